/* Every decoder against one that is written from the layout alone: value i of a block by itself, in double. The scales
 * have 11 bits, what multiplies them no more than 13, so that products are exact in float32 and the one rounding is
 * that of adding the minimum: the decoders must give the double rounded once, bit for bit. */
#include "cli/kernels/layouts.h"
#include "engine/base/random.h"
#include "engine/kernels/kernels.h"
#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 5 };

/* Blocks at an odd address, in memory of exactly their size. */
struct blocks {
    const struct dtype *type;
    uint8_t *memory, *bytes;
    int64_t n;
    float *values; /* [n] */
};

static struct blocks blocks_new(const struct layout *l, int count)
{
    struct blocks b = {.type = dtype_of((int)l->type), .n = (int64_t)count * dtype_of((int)l->type)->block};
    b.memory = malloc(1 + (size_t)count * b.type->block_bytes);
    b.values = malloc((size_t)b.n * sizeof *b.values);
    assert_true(b.memory && b.values);
    b.bytes = b.memory + 1;
    return b;
}

static void blocks_free(struct blocks *b)
{
    free(b->memory);
    free(b->values);
}

/* Random bytes. Finite: with 16-bit scales whose exponents are below the largest. */
static void blocks_fill(struct blocks *b, const struct layout *l, struct random *r, bool finite)
{
    int64_t count = b->n / b->type->block;
    for (size_t i = 0; i < (size_t)count * b->type->block_bytes; i++) b->bytes[i] = (uint8_t)random_below(r, 256);
    for (int64_t i = 0; finite && i < count; i++)
        for (int s = 0; s < 2; s++)
            if (l->scales[s] >= 0) b->bytes[(size_t)i * b->type->block_bytes + (size_t)l->scales[s] + 1] &= 0xbf;
}

static void assert_layout(const struct layout *l, const struct blocks *b, const char *isa)
{
    for (int64_t i = 0; i < b->n; i++) {
        const uint8_t *block = b->bytes + (size_t)(i / b->type->block) * b->type->block_bytes;
        float wanted = (float)l->value(block, (int)(i % b->type->block)), got = b->values[i];
        if (isnan(wanted) ? !isnan(got) : memcmp(&got, &wanted, sizeof got) != 0)
            fail_msg("%s, %s: value %d is %.9g instead of %.9g", b->type->name, isa, (int)i, (double)got,
                     (double)wanted);
    }
}

static void test_every_decoder_is_tested(void **state)
{
    (void)state;
    bool tested[DTYPE_LIMIT] = {false};
    for (size_t l = 0; layout_at(l); l++) tested[layout_at(l)->type] = true;
    for (int type = 0; type < DTYPE_LIMIT; type++)
        if (!kernels_get()->decode[type] != !tested[type])
            fail_msg("type %d is %s", type, tested[type] ? "not decoded" : "decoded, but not tested");
}

static void test_random_blocks(void **state)
{
    (void)state;
    struct random r = {1};
    for (size_t l = 0; layout_at(l); l++)
        for (size_t round = 0; round < test_items(200); round++) {
            struct blocks b = blocks_new(layout_at(l), round % 2 ? 1 : BLOCKS);
            blocks_fill(&b, layout_at(l), &r, round % 4 > 0);
            for (size_t t = 0; kernels_at(t); t++) {
                kernels_at(t)->decode[layout_at(l)->type](b.bytes, b.values, b.n);
                assert_layout(layout_at(l), &b, kernels_at(t)->name);
            }
            blocks_free(&b);
        }
}

/* One bit set, scales of 1 apart from it: each bit of a block is in its place. */
static void test_single_bits(void **state)
{
    (void)state;
    for (size_t l = 0; layout_at(l); l++) {
        struct blocks b = blocks_new(layout_at(l), 1);
        for (size_t bit = 0; bit < 8 * b.type->block_bytes; bit++) {
            memset(b.bytes, 0, b.type->block_bytes);
            for (int s = 0; s < 2 && b.type->block > 1; s++)
                if (layout_at(l)->scales[s] >= 0) memcpy(b.bytes + layout_at(l)->scales[s], "\x00\x3c", 2);
            b.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            kernels_get()->decode[layout_at(l)->type](b.bytes, b.values, b.n);
            assert_layout(layout_at(l), &b, kernels_get()->name);
        }
        blocks_free(&b);
    }
}

/* A block of zero bytes is exact zeros, whatever its type. */
static void test_zeros(void **state)
{
    (void)state;
    for (size_t l = 0; layout_at(l); l++) {
        struct blocks b = blocks_new(layout_at(l), BLOCKS);
        memset(b.bytes, 0, BLOCKS * b.type->block_bytes);
        kernels_get()->decode[layout_at(l)->type](b.bytes, b.values, b.n);
        for (int64_t i = 0; i < b.n; i++) assert_true(b.values[i] == 0.f);
        blocks_free(&b);
    }
}

/* By hand: super-blocks whose every value can be said in words. */
static void test_by_hand(void **state)
{
    (void)state;
    float out[256];
    uint8_t q4_k[144] = {0x00, 0x3c, 0x00, 0x40}; /* d = 1, dmin = 2 */
    q4_k[4] = 5, q4_k[8] = 3;                     /* sub-block 0: scale 5, minimum 3 */
    q4_k[7] = 2 << 6, q4_k[15] = 1 << 4 | 7;      /* sub-block 7: scale 2 * 16 + 7, minimum 1 */
    memset(q4_k + 16, 0x0a, 32);
    memset(q4_k + 112, 0x90, 32);
    kernels_get()->decode[DTYPE_Q4_K](q4_k, out, 256);
    assert_true(out[0] == 5 * 10 - 2 * 3 && out[31] == 44 && out[32] == 0 && out[224] == 39 * 9 - 2 && out[255] == 349);

    uint8_t q6_k[210] = {0};
    memcpy(q6_k + 208, "\x00\xb8", 2); /* d = -0.5 */
    memset(q6_k + 192, 4, 15);
    q6_k[207] = 0x80; /* -128 */
    q6_k[127] = 0x1f; /* value 191 has code 15, value 255 code 1 */
    q6_k[191] = 0xc0; /* and value 255 high bits 3: 49 */
    kernels_get()->decode[DTYPE_Q6_K](q6_k, out, 256);
    assert_true(out[0] == -0.5f * 4 * -32 && out[191] == -2 * (15 - 32) && out[255] == -0.5f * -128 * (49 - 32));

    uint8_t tq1_0[54] = {0};
    memcpy(tq1_0 + 52, "\x00\x3c", 2);
    tq1_0[1] = (uint8_t)((((((2 * 3 + 0) * 3 + 1) * 3 + 2) * 3 + 1) * 256 + 242) / 243);
    kernels_get()->decode[DTYPE_TQ1_0](tq1_0, out, 256);
    assert_true(out[0] == -1 && out[1] == 1 && out[33] == -1 && out[65] == 0 && out[97] == 1 && out[129] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_decoder_is_tested),
        cmocka_unit_test(test_random_blocks),
        cmocka_unit_test(test_single_bits),
        cmocka_unit_test(test_zeros),
        cmocka_unit_test(test_by_hand),
    };
    return cmocka_run_group_tests_name("kernels/decode", tests, NULL, NULL);
}
