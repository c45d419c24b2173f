#include "engine/formats/gguf.h"
#include "tests/formats/samples.h"
#include "tests/testing.h"

/* The fields of the sample that cases patch. */
enum mark {
    MAGIC,
    VERSION,
    TENSOR_COUNT,
    METADATA_COUNT,
    KEY_LENGTH,
    KEY,
    ALIGNMENT_TYPE,
    ALIGNMENT,
    STRING_TYPE,
    STRING_LENGTH,
    BOOL,
    ARRAY_TYPE,
    ARRAY_COUNT,
    ARRAY_STRING,
    NUMBERS_COUNT,
    LAST_KEY,
    NAME_LENGTH,
    NAME,
    N_DIMS,
    ROW,
    ROWS,
    TYPE,
    OFFSET,
    NAME_2,
    ROW_2,
    TYPE_2,
    OFFSET_2,
    MARKS
};

struct sample {
    struct text bytes;
    size_t at[MARKS];
};

static void mark(struct sample *s, enum mark m, ptrdiff_t away) { s->at[m] = s->bytes.length + (size_t)away; }

static void put_metadata(struct sample *s)
{
    struct text *t = &s->bytes;
    mark(s, KEY_LENGTH, 0);
    mark(s, KEY, 8);
    put_key(t, "general.alignment", GGUF_U32);
    mark(s, ALIGNMENT_TYPE, -4);
    mark(s, ALIGNMENT, 0);
    put_u32(t, 32);
    put_key(t, "general.architecture", GGUF_STRING);
    mark(s, STRING_TYPE, -4);
    mark(s, STRING_LENGTH, 0);
    put_string(t, "llama");
    put_key(t, "a.bool", GGUF_BOOL);
    mark(s, BOOL, 0);
    text_char(t, 1);
    put_key(t, "a.strings", GGUF_ARRAY);
    mark(s, ARRAY_TYPE, 0);
    put_u32(t, GGUF_STRING);
    mark(s, ARRAY_COUNT, 0);
    put_u64(t, 2);
    put_string(t, "x");
    mark(s, ARRAY_STRING, 0);
    put_string(t, "yz");
    put_key(t, "a.numbers", GGUF_ARRAY);
    put_u32(t, GGUF_F64);
    mark(s, NUMBERS_COUNT, 0);
    put_u64(t, 2);
    put_zeros(t, 16);
    mark(s, LAST_KEY, 8);
    put_key(t, "b.bool", GGUF_BOOL);
    text_char(t, 0);
}

/* 48 bytes of F32, padding to 64, and 68 bytes of Q8_0 that end the file. */
static struct sample make_sample(void)
{
    struct sample s = {0};
    struct text *t = &s.bytes;
    put_gguf(t, 3, 2, 6);
    s.at[MAGIC] = 0, s.at[VERSION] = 4, s.at[TENSOR_COUNT] = 8, s.at[METADATA_COUNT] = 16;
    put_metadata(&s);
    mark(&s, NAME_LENGTH, 0);
    mark(&s, NAME, 8);
    mark(&s, N_DIMS, 9);
    mark(&s, ROW, 13);
    mark(&s, ROWS, 21);
    mark(&s, TYPE, 29);
    mark(&s, OFFSET, 33);
    put_tensor(t, "a", (uint64_t[]){4, 3, 0}, DTYPE_F32, 0);
    mark(&s, NAME_2, 8);
    mark(&s, ROW_2, 13);
    mark(&s, TYPE_2, 29);
    mark(&s, OFFSET_2, 33);
    put_tensor(t, "b", (uint64_t[]){32, 2, 0}, DTYPE_Q8_0, 64);
    put_zeros(t, (32 - t->length % 32) % 32);
    put_zeros(t, 64 + 68);
    return s;
}

static int open_sample(const char *folder, const struct text *t, struct error *e)
{
    struct gguf *g;
    char *path = put_file(folder, "x.gguf", t);
    int status = gguf_open(&g, path, e);
    assert_int_equal(g == NULL, status != 0);
    gguf_close(g);
    free(path);
    return status;
}

static void test_fields(void **state)
{
    (void)state;
    static const struct {
        enum mark at;
        size_t size;
        uint64_t value;
        const char *says;
    } cases[] = {
        {MAGIC, 1, 'g', "offset 0x0: magic: the bytes 67 47 55 46 are not"},
        {VERSION, 4, 0, "offset 0x4: version: 0 is not supported"},
        {VERSION, 4, 1, "offset 0x4: version: 1 is not supported (2 and 3 are)"},
        {VERSION, 4, 4, "offset 0x4: version: 4 is not supported"},
        {VERSION, 4, 0x03000000, "offset 0x4: version: 0x03000000: the file is big-endian"},
        {TENSOR_COUNT, 8, UINT64_C(1) << 60, "offset 0x8: tensor_count: 1152921504606846976 does not fit in the rem"},
        {TENSOR_COUNT, 8, UINT64_MAX, "offset 0x8: tensor_count: 18446744073709551615 does not fit"},
        {TENSOR_COUNT, 8, 100, "offset 0x8: tensor_count: 100 does not fit"},
        {TENSOR_COUNT, 8, 3, "tensor 2: name: is empty"},
        {METADATA_COUNT, 8, UINT64_C(1) << 60, "offset 0x10: metadata_count: 1152921504606846976 does not fit"},
        {METADATA_COUNT, 8, UINT64_MAX, "offset 0x10: metadata_count: 18446744073709551615 does not fit"},
        {METADATA_COUNT, 8, UINT64_C(1) << 63, "offset 0x10: metadata_count: 9223372036854775808 does not fit"},
        {METADATA_COUNT, 8, 5, "tensor \"b.bool\": n_dims: 7 is more than 4"},
        {METADATA_COUNT, 8, 7, "tensor 0: name: 844424930131968 does not fit"},
        {KEY_LENGTH, 8, UINT64_MAX, "offset 0x18: metadata 0: key: 18446744073709551615 does not fit"},
        {KEY_LENGTH, 8, UINT64_MAX - 31, "offset 0x18: metadata 0: key: 18446744073709551584 does not fit"},
        {KEY_LENGTH, 8, 0, "offset 0x18: metadata 0: key: is empty"},
        {KEY, 1, 0, "metadata 0: key: has a NUL byte in it"},
        {ALIGNMENT_TYPE, 4, GGUF_TYPES, "metadata \"general.alignment\": type: 13 is no value type"},
        {ALIGNMENT_TYPE, 4, UINT32_MAX, "metadata \"general.alignment\": type: 4294967295 is no value type"},
        {ALIGNMENT_TYPE, 4, GGUF_F32, "metadata \"general.alignment\": type: is f32, but must be u32"},
        {ALIGNMENT_TYPE, 4, GGUF_I32, "metadata \"general.alignment\": type: is i32, but must be u32"},
        {ALIGNMENT, 4, 0, "metadata \"general.alignment\": value: 0 is not a power of two of at least 8"},
        {ALIGNMENT, 4, 4, "metadata \"general.alignment\": value: 4 is not"},
        {ALIGNMENT, 4, 13, "metadata \"general.alignment\": value: 13 is not"},
        {ALIGNMENT, 4, UINT32_MAX, "metadata \"general.alignment\": value: 4294967295 is not"},
        {ALIGNMENT, 4, 48, "metadata \"general.alignment\": value: 48 is not"},
        {ALIGNMENT, 4, 64, "tensor \"b\": offset: 64 and 68 bytes from there exceed the data"},
        {ALIGNMENT, 4, UINT32_C(1) << 31, "tensor \"b\": offset: 64 is no multiple of the alignment, 2147483648"},
        {STRING_TYPE, 4, GGUF_ARRAY, "metadata \"general.architecture\": array count: 7881700033987346432 does"},
        {STRING_LENGTH, 8, UINT64_C(1) << 60,
         "general.architecture\": string length: 1152921504606846976 does not fit"},
        {STRING_LENGTH, 8, UINT64_MAX, "general.architecture\": string length: 18446744073709551615 does not fit"},
        {STRING_LENGTH, 8, UINT64_MAX - 7, "general.architecture\": string length: 18446744073709551608 does not fit"},
        {BOOL, 1, 2, "metadata \"a.bool\": bool: 2 is neither 0 nor 1"},
        {ARRAY_TYPE, 4, GGUF_ARRAY, "metadata \"a.strings\": array type: arrays of arrays are not supported"},
        {ARRAY_TYPE, 4, 99, "metadata \"a.strings\": array type: 99 is no value type"},
        {ARRAY_COUNT, 8, UINT64_C(1) << 60, "metadata \"a.strings\": array count: 1152921504606846976 does not fit"},
        {ARRAY_COUNT, 8, UINT64_MAX, "metadata \"a.strings\": array count: 18446744073709551615 does not fit"},
        {ARRAY_COUNT, 8, UINT64_C(1) << 61, "metadata \"a.strings\": array count: 2305843009213693952 does not fit"},
        {ARRAY_STRING, 8, UINT64_MAX, "metadata \"a.strings\": string length: 18446744073709551615 does not fit"},
        {NUMBERS_COUNT, 8, (UINT64_C(1) << 61) + 2, "\"a.numbers\": array count: 2305843009213693954 does not fit"},
        {LAST_KEY, 1, 'a', "metadata \"a.bool\": key: is there twice"},
        {NAME_LENGTH, 8, UINT64_MAX, "tensor 0: name: 18446744073709551615 does not fit"},
        {NAME_LENGTH, 8, UINT64_C(1) << 60, "tensor 0: name: 1152921504606846976 does not fit"},
        {NAME_LENGTH, 8, 0, "tensor 0: name: is empty"},
        {NAME, 1, 0, "tensor 0: name: has a NUL byte in it"},
        {N_DIMS, 4, 5, "tensor \"a\": n_dims: 5 is more than 4"},
        {N_DIMS, 4, UINT32_MAX, "tensor \"a\": n_dims: 4294967295 is more than 4"},
        {ROW, 8, UINT64_MAX, "tensor \"a\": dims: 18446744073709551615 is more than 2^63 - 1"},
        {ROW, 8, UINT64_C(1) << 63, "tensor \"a\": dims: 9223372036854775808 is more than 2^63 - 1"},
        {ROW, 8, INT64_MAX, "tensor \"a\": dims: their product is more than 2^63 - 1"},
        {ROWS, 8, UINT64_C(1) << 62, "tensor \"a\": dims: their product is more than 2^63 - 1"},
        {ROWS, 8, UINT64_C(1) << 59, "tensor \"a\": dims: their product is more than 2^63 - 1"},
        {ROWS, 8, 1000, "tensor \"a\": offset: 0 and 16000 bytes from there exceed the data, 132 bytes"},
        {ROWS, 8, 5, "tensor \"b\": offset: 64 is within tensor \"a\""},
        {TYPE, 4, 4, "tensor \"a\": type: 4 (Q4_2) was withdrawn"},
        {TYPE, 4, 31, "tensor \"a\": type: 31 (Q4_0_4_4) was withdrawn"},
        {TYPE, 4, 40, "tensor \"a\": type: 40 is no known tensor type"},
        {TYPE, 4, UINT32_MAX, "tensor \"a\": type: 4294967295 is no known tensor type"},
        {OFFSET, 8, 1, "tensor \"a\": offset: 1 is no multiple of the alignment, 32"},
        {OFFSET, 8, UINT64_MAX - 31, "tensor \"a\": offset: 18446744073709551584 and 48 bytes from there exceed"},
        {OFFSET, 8, 64, "offset: 64 is within tensor"},
        {NAME_2, 1, 'a', "tensor \"a\": name: is there twice"},
        {ROW_2, 8, 33, "tensor \"b\": dims: rows of 33 elements are no multiple of the 32 in a block of Q8_0"},
        {TYPE_2, 4, DTYPE_Q4_K,
         "tensor \"b\": dims: rows of 32 elements are no multiple of the 256 in a block of Q4_K"},
        {OFFSET_2, 8, 96, "tensor \"b\": offset: 96 and 68 bytes from there exceed the data, 132 bytes"},
        {OFFSET_2, 8, 32, "tensor \"b\": offset: 32 is within tensor \"a\""},
    };
    char *folder = folder_temporary();
    struct sample s = make_sample();
    struct error e;
    assert_ok(open_sample(folder, &s.bytes, &e), &e);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char saved[8], *p = s.bytes.bytes + s.at[cases[i].at];
        memcpy(saved, p, sizeof saved);
        memcpy(p, &cases[i].value, cases[i].size);
        assert_error(open_sample(folder, &s.bytes, &e), &e, ERROR_INPUT, cases[i].says);
        memcpy(p, saved, sizeof saved);
    }
    text_free(&s.bytes);
    folder_remove(folder);
}

/* Every bit of what comes before the data, alone: the file opens or is refused in one line with its place. */
static void test_every_bit(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct sample s = make_sample();
    struct error e;
    size_t refused = 0;
    for (size_t i = 0; i < 8 * (s.bytes.length - 132); i++) {
        s.bytes.bytes[i / 8] ^= (char)(1 << i % 8);
        const int status = open_sample(folder, &s.bytes, &e);
        s.bytes.bytes[i / 8] ^= (char)(1 << i % 8);
        if (status) assert_error(status, &e, ERROR_INPUT, "x.gguf: offset 0x");
        refused += status != 0;
    }
    assert_in_range(refused, 1000, 8 * (s.bytes.length - 132) - 200); /* names and values may be others */
    assert_ok(open_sample(folder, &s.bytes, &e), &e);
    text_free(&s.bytes);
    folder_remove(folder);
}

/* Dims, whose product says nothing of them; the tensor is of no bytes, or refused. */
static void test_dims(void **state)
{
    (void)state;
    static const uint64_t high = UINT64_C(1) << 62, half = UINT64_C(1) << 32;
    static const struct {
        uint64_t dims[4];
        const char *says;
    } cases[] = {
        {{0, 0, 0, 0}, NULL},
        {{0, 5, 7, 1}, NULL},
        {{5, 7, 1, 0}, NULL},
        {{high, 1, 1, 0}, NULL}, /* in the file's order: the fastest first */
        {{high, 2, 2, 0}, NULL},
        {{0, 2, 2, high}, "dims: their product is more than 2^63 - 1"},
        {{half, half, 1, 1}, "dims: their product is more than 2^63 - 1"},
        {{half, half, half, half}, "dims: their product is more than 2^63 - 1"},
        {{high, 4, 1, 1}, "dims: their product is more than 2^63 - 1"},
        {{high, 1, 1, 1}, "dims: their product is more than 2^63 - 1"}, /* bytes */
        {{high - 1, 1, 1, UINT64_MAX}, "dims: 18446744073709551615 is more than 2^63 - 1"},
        {{half, half / 16, 1, 1}, "offset: 0 and 4611686018427387904 bytes from there exceed"},
    };
    char *folder = folder_temporary();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text t = {0};
        struct error e;
        put_gguf(&t, 3, 1, 0);
        put_string(&t, "a");
        put_u32(&t, 4);
        for (size_t k = 0; k < 4; k++) put_u64(&t, cases[i].dims[k]);
        put_u32(&t, DTYPE_F32);
        put_u64(&t, 0);
        const int status = open_sample(folder, &t, &e);
        if (cases[i].says)
            assert_error(status, &e, ERROR_INPUT, cases[i].says);
        else
            assert_ok(status, &e);
        text_free(&t);
    }
    folder_remove(folder);
}

/* An alignment larger than the file: padding goes as far as the file does, and nothing is behind it. */
static void test_large_alignment(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    for (uint64_t row = 0; row < 2; row++) {
        struct text t = {0};
        struct error e;
        put_gguf(&t, 3, 1, 1);
        put_key(&t, "general.alignment", GGUF_U32);
        put_u32(&t, UINT32_C(1) << 31);
        put_string(&t, "a");
        put_u32(&t, 1);
        put_u64(&t, row);
        put_u32(&t, DTYPE_F32);
        put_u64(&t, 0);
        put_zeros(&t, 100);
        const int status = open_sample(folder, &t, &e);
        if (row)
            assert_error(status, &e, ERROR_INPUT,
                         "tensor \"a\": offset: 0 and 4 bytes from there exceed the data, 0 b");
        else
            assert_ok(status, &e);
        text_free(&t);
    }
    folder_remove(folder);
}

static void test_long_key(void **state)
{
    (void)state;
    struct error e;
    char *folder = folder_temporary();
    struct text t = {0};
    put_gguf(&t, 3, 0, 1);
    put_u64(&t, 65536);
    put_zeros(&t, 65536 + 5);
    memset(t.bytes + 32, 'k', 65536);
    assert_error(open_sample(folder, &t, &e), &e, ERROR_INPUT, "offset 0x18: metadata 0: key: is 65536 bytes long");
    text_free(&t);
    folder_remove(folder);
}

/* The last tensor ends the file: each shorter file is one that lacks something. */
static void test_truncated(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct sample s = make_sample();
    struct error e;
    size_t whole = s.bytes.length;
    for (s.bytes.length = 0; s.bytes.length < whole; s.bytes.length++)
        assert_error(open_sample(folder, &s.bytes, &e), &e, ERROR_INPUT, "x.gguf: offset 0x");
    text_free(&s.bytes);
    folder_remove(folder);
}

/* Any one byte may be anything: the file opens or is refused, and nothing else happens. */
static void test_every_byte(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct sample s = make_sample();
    struct error e;
    size_t refused = 0;
    for (size_t i = 0; i < s.bytes.length - 132; i++) {
        char saved = s.bytes.bytes[i];
        const char values[] = {0, 1, 0x7f, (char)0x80, (char)0xff};
        for (size_t k = 0; k < sizeof values; k++) {
            s.bytes.bytes[i] = values[k];
            int status = open_sample(folder, &s.bytes, &e);
            if (status) assert_error(status, &e, ERROR_INPUT, "x.gguf: offset 0x");
            refused += status != 0;
        }
        s.bytes.bytes[i] = saved;
    }
    assert_true(refused > 500);
    text_free(&s.bytes);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),          cmocka_unit_test(test_every_bit), cmocka_unit_test(test_dims),
        cmocka_unit_test(test_large_alignment), cmocka_unit_test(test_long_key),  cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_every_byte),
    };
    return cmocka_run_group_tests_name("corrupt/gguf", tests, NULL, NULL);
}
