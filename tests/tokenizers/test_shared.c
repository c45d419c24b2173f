/* Vocabularies of others, with the ids that llama.cpp's tests ask for. */
#include "tests/tokenizers/small.h"

#include "engine/base/file.h"
#include "engine/base/random.h"

#include <math.h>
#include <time.h>
#include <unistd.h>

/* The end of the text that starts at `at`: the line that parts the texts, or the end of the file. */
static const char *text_end(const char *at, const char *end)
{
    static const char part[] = "\n__ggml_vocab_test__\n";
    const char *found = memmem(at, (size_t)(end - at), part, sizeof part - 1);
    return found ? found : end;
}

static void compare(const struct tokenizer *t, const char *text, size_t n, const char *line, size_t line_length)
{
    struct ids ids = encode(t, text, n, 0);
    struct text got = {0};
    for (size_t i = 0; i < ids.count; i++) text_printf(&got, " %d", ids.at[i]);
    if (got.length != line_length || (line_length && memcmp(got.bytes, line, line_length) != 0))
        fail_msg("\"%.*s\":%s, not%.*s", (int)n, text, text_c(&got), (int)line_length, line);
    text_free(&got);
    ids_free(&ids);
    if (strcmp(tokenizer_kind_name(t), "wordpiece") == 0) return; /* what it normalizes is lost */
    assert_round_trip(t, text, n, 0);
    assert_round_trip(t, text, n, TOKENIZER_PLAIN);
}

static void assert_texts(const struct tokenizer *t, const char *name)
{
    struct error e;
    struct file texts, wanted;
    char path[200];
    snprintf(path, sizeof path, "%s.inp", name);
    assert_ok(file_map(&texts, shared_path(path), &e), &e);
    snprintf(path, sizeof path, "%s.out", name);
    assert_ok(file_map(&wanted, shared_path(path), &e), &e);
    const char *text = (const char *)texts.data, *end = text + texts.size;
    const char *line = (const char *)wanted.data, *lines_end = line + wanted.size;
    size_t count = 0;
    for (; line < lines_end; count++) {
        const char *line_end = memchr(line, '\n', (size_t)(lines_end - line)), *stop = text_end(text, end);
        compare(t, text, (size_t)(stop - text), line, (size_t)(line_end - line));
        line = line_end + 1;
        text = stop == end ? end : stop + sizeof "\n__ggml_vocab_test__\n" - 1;
    }
    assert_true(count > 40);
    file_unmap(&texts);
    file_unmap(&wanted);
}

static void run(const char *name, const char *kind, size_t size)
{
    struct error e;
    struct tokenizer *t;
    assert_ok(tokenizer_open(&t, shared_path(name), &e), &e);
    assert_string_equal(tokenizer_kind_name(t), kind);
    assert_int_equal(tokenizer_size(t), size);
    assert_texts(t, name);
    assert_written_equal(t);
    tokenizer_close(t);
}

static void gpt_2(void **state)
{
    (void)state;
    run("data/tokenizers/ggml-vocab-gpt-2.gguf", "bpe", 50257);
}

static void llama_spm(void **state)
{
    (void)state;
    run("data/tokenizers/ggml-vocab-llama-spm.gguf", "sentencepiece", 32000);
}

static void phi_3(void **state)
{
    (void)state;
    run("data/tokenizers/ggml-vocab-phi-3.gguf", "sentencepiece", 32064);
}

static void stories(void **state)
{
    (void)state;
    struct error e;
    struct tokenizer *t;
    assert_ok(tokenizer_open(&t, shared_path("data/models/stories260K.gguf"), &e), &e);
    assert_string_equal(tokenizer_kind_name(t), "sentencepiece");
    assert_int_equal(tokenizer_bos(t), 1);
    assert_true(tokenizer_adds_bos(t));
    assert_round_trip(t, "Once upon a time, there was a \xF0\x9F\x90\xAE.", 35, 0);
    assert_written_equal(t);
    tokenizer_close(t);
}

static void falcon(void **state)
{
    (void)state;
    run("data/tokenizers/ggml-vocab-falcon.gguf", "bpe", 65024);
}

static void bert_bge(void **state)
{
    (void)state;
    run("data/tokenizers/ggml-vocab-bert-bge.gguf", "wordpiece", 30522);
}

#define DATA "data/tokenizers/"

static struct tokenizer *open_shared(const char *name)
{
    struct error e;
    struct tokenizer *t;
    assert_ok(tokenizer_open(&t, shared_path(name), &e), &e);
    return t;
}

/* SentencePiece's own file is the tokenizer of the GGUF. */
static void llama_spm_model(void **state)
{
    (void)state;
    struct tokenizer *t = open_shared(DATA "llama-spm.tokenizer.model");
    struct tokenizer *g = open_shared(DATA "ggml-vocab-llama-spm.gguf");
    assert_string_equal(tokenizer_hash(t), tokenizer_hash(g));
    assert_texts(t, DATA "ggml-vocab-llama-spm.gguf");
    tokenizer_close(t);
    tokenizer_close(g);
}

static void phi_3_json(void **state)
{
    (void)state;
    struct tokenizer *t = open_shared(DATA "phi-3.tokenizer.json");
    assert_string_equal(tokenizer_kind_name(t), "sentencepiece");
    assert_texts(t, DATA "ggml-vocab-phi-3.gguf");
    assert_written_equal(t);
    tokenizer_close(t);
}

static void falcon_json(void **state)
{
    (void)state;
    struct tokenizer *t = open_shared(DATA "falcon.tokenizer.json");
    assert_string_equal(tokenizer_kind_name(t), "bpe");
    assert_texts(t, DATA "ggml-vocab-falcon.gguf");
    tokenizer_close(t);
}

/* The examples of T5's documentation. */
static void t5_json(void **state)
{
    (void)state;
    static const int32_t house[] = {13959, 1566, 12, 2968, 10, 37, 629, 19, 1627, 5};
    static const int32_t haus[] = {644, 4598, 229, 19250, 5};
    static const int32_t studies[] = {6536, 43, 2008, 24, 293, 53, 3, 9, 1782, 19, 207, 21, 25};
    struct tokenizer *t = open_shared(DATA "t5-small.tokenizer.json");
    assert_string_equal(tokenizer_kind_name(t), "unigram");
    assert_int_equal(tokenizer_size(t), 32100);
    assert_int_equal(tokenizer_eos(t), 1);
    assert_ids(t, "translate English to German: The house is wonderful.", 0, house, 10);
    assert_ids(t, "Das Haus ist wunderbar.", 0, haus, 5);
    assert_ids(t, "Studies have shown that owning a dog is good for you", 0, studies, 13);
    /* the map of characters: a ligature, a full-width letter, an ideographic space, accents apart */
    struct ids plain = encode(t, "fine A caf\xC3\xA9 x", 14, 0);
    assert_ids(t,
               "\xEF\xAC\x81ne \xEF\xBC\xA1\xE3\x80\x80"
               "cafe\xCC\x81\t x",
               0, plain.at, plain.count);
    ids_free(&plain);
    assert_ids(t, "<extra_id_0>", 0, (const int32_t[]){32099}, 1);
    tokenizer_close(t);
}

/* Text of every plane, combining marks, emoji sequences, and bytes that are not UTF-8. */
static size_t random_unicode(struct random *r, bool invalid, char *bytes, size_t limit)
{
    static const char *const parts[] = {"e\xCC\x81",
                                        "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7",
                                        "\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD",
                                        " the",
                                        "  ",
                                        "\n",
                                        "12",
                                        "\xE1\x84\x80\xE1\x85\xA1",
                                        "'s"};
    struct text t = {0};
    while (t.length + 32 < limit && random_below(r, 40)) {
        const uint32_t plane = random_below(r, 17), c = plane << 16 | random_below(r, 0x10000);
        if (random_below(r, 3) == 0)
            text_add(&t, parts[random_below(r, sizeof parts / sizeof *parts)]);
        else if (invalid && random_below(r, 4) == 0)
            text_char(&t, (char)(0x80 + random_below(r, 128)));
        else if (c < 0xD800 || c > 0xDFFF)
            text_codepoint(&t, random_below(r, 2) ? c : c & 0x7FF);
    }
    const size_t n = t.length;
    memcpy(bytes, text_c(&t), n);
    text_free(&t);
    return n;
}

/* decode(encode(text)) is the text without the bytes that the vocabulary lacks, which the reference drops, too. */
static void assert_round_trip_without(const struct tokenizer *t, const bool missing[256], const char *text, size_t n,
                                      unsigned flags)
{
    struct error e;
    struct ids ids = encode(t, text, n, flags);
    struct text back = {0}, wanted = {0};
    for (size_t i = 0; i < n; i++)
        if (!missing[(unsigned char)text[i]]) text_char(&wanted, text[i]);
    assert_ok(tokenizer_decode(t, ids.at, ids.count, flags, &back, &e), &e);
    assert_int_equal(back.length, wanted.length);
    assert_memory_equal(text_c(&back), text_c(&wanted), wanted.length);
    text_free(&back);
    text_free(&wanted);
    ids_free(&ids);
}

static size_t find_missing(const struct tokenizer *t, bool missing[256])
{
    size_t count = 0;
    for (int byte = 0; byte < 256; byte++) {
        struct ids ids = encode(t, &(char){(char)byte}, 1, TOKENIZER_PLAIN);
        missing[byte] = !ids.count;
        count += missing[byte];
        ids_free(&ids);
    }
    return count;
}

/* A U+2581 in a text comes back as a space where pieces mark spaces by it, so there is none here. */
static void mark_out(char *bytes, size_t n)
{
    for (size_t i = 0; i + 2 < n; i++)
        if (memcmp(bytes + i, "\xE2\x96\x81", 3) == 0) bytes[i + 2] = '\x82';
}

static void round_trips(void **state)
{
    (void)state;
    static const char *const names[] = {DATA "ggml-vocab-gpt-2.gguf",     DATA "ggml-vocab-falcon.gguf",
                                        DATA "ggml-vocab-llama-spm.gguf", DATA "llama-spm.tokenizer.model",
                                        DATA "ggml-vocab-phi-3.gguf",     DATA "falcon.tokenizer.json"};
    struct error e;
    struct file wiki;
    assert_ok(file_map(&wiki, shared_path("data/wikitext2/test.txt"), &e), &e);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct tokenizer *t = open_shared(names[i]);
        struct random r = {i + 1};
        char bytes[4000];
        bool missing[256];
        /* Falcon's vocabulary lacks controls, bytes that no UTF-8 has, and the lead of planes 8 to 11 */
        assert_int_equal(find_missing(t, missing), strstr(names[i], "falcon") ? 28 : 0);
        assert_round_trip(t, (const char *)wiki.data, wiki.size, TOKENIZER_PLAIN);
        for (int round = 0; round < 400; round++) {
            const size_t n = random_unicode(&r, round % 2, bytes, sizeof bytes);
            mark_out(bytes, n);
            assert_round_trip_without(t, missing, bytes, n, TOKENIZER_PLAIN);
            assert_round_trip_without(t, missing, bytes, n, TOKENIZER_PLAIN | TOKENIZER_CONTINUES);
        }
        tokenizer_close(t);
    }
    file_unmap(&wiki);
}

static double encoding_seconds(const struct tokenizer *t, const char *text, size_t n)
{
    struct timespec a, b;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    struct ids ids = encode(t, text, n, 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    ids_free(&ids);
    return (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
}

/* Far more than 5 MB/s of a core, where nothing slows the program down, and no more for each byte of a long text. The
 * bounds here leave room for sanitizers and for others on the machine. */
static void speed(void **state)
{
    (void)state;
    static const char *const names[] = {DATA "ggml-vocab-gpt-2.gguf",     DATA "falcon.tokenizer.json",
                                        DATA "ggml-vocab-llama-spm.gguf", DATA "phi-3.tokenizer.json",
                                        DATA "ggml-vocab-bert-bge.gguf",  DATA "t5-small.tokenizer.json"};
    enum { TIMES = 8 };
    struct error e;
    struct file wiki;
    assert_ok(file_map(&wiki, shared_path("data/wikitext2/test.txt"), &e), &e);
    char *text = malloc(wiki.size * TIMES);
    for (size_t i = 0; i < TIMES; i++) memcpy(text + i * wiki.size, wiki.data, wiki.size);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct tokenizer *t = open_shared(names[i]);
        double one = encoding_seconds(t, text, wiki.size);
        for (int again = 0; again < 2; again++) one = fmin(one, encoding_seconds(t, text, wiki.size));
        const double all = encoding_seconds(t, text, wiki.size * TIMES);
        print_message("%s: %.1f MB/s, %.1f of %d times the text\n", names[i], 1e-6 * (double)wiki.size / one,
                      1e-6 * TIMES * (double)wiki.size / all, TIMES);
        assert_true(all < 3 * TIMES * one);
        assert_true(1e-6 * (double)wiki.size / one > 0.5);
        tokenizer_close(t);
    }
    free(text);
    file_unmap(&wiki);
}

static void link_into(const char *folder, const char *name, const char *as)
{
    char from[4300], to[4300];
    char *full = realpath(shared_path(name), NULL);
    snprintf(from, sizeof from, "%s", full);
    snprintf(to, sizeof to, "%s/%s", folder, as);
    assert_int_equal(symlink(from, to), 0);
    free(full);
}

static void gpt_2_pair(void **state)
{
    (void)state;
    struct error e;
    struct tokenizer *t;
    shared_path(DATA "gpt-2.vocab.json");
    char *folder = folder_temporary();
    link_into(folder, DATA "gpt-2.vocab.json", "vocab.json");
    link_into(folder, DATA "gpt-2.merges.txt", "merges.txt");
    assert_ok(tokenizer_open(&t, folder, &e), &e);
    struct tokenizer *g = open_shared(DATA "ggml-vocab-gpt-2.gguf");
    assert_string_equal(tokenizer_hash(t), tokenizer_hash(g));
    assert_texts(t, DATA "ggml-vocab-gpt-2.gguf");
    tokenizer_close(t);
    tokenizer_close(g);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt_2),           cmocka_unit_test(llama_spm),  cmocka_unit_test(phi_3),
        cmocka_unit_test(stories),         cmocka_unit_test(falcon),     cmocka_unit_test(bert_bge),
        cmocka_unit_test(llama_spm_model), cmocka_unit_test(phi_3_json), cmocka_unit_test(falcon_json),
        cmocka_unit_test(t5_json),         cmocka_unit_test(gpt_2_pair), cmocka_unit_test(round_trips),
        cmocka_unit_test(speed),
    };
    return cmocka_run_group_tests_name("tokenizers/shared", tests, NULL, NULL);
}
