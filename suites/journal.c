#include "suites/journal.h"
#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHECK = 16 }; /* hexadecimal digits of a line's sum */
static const char check_key[] = ",\"check\":\"";

struct journal {
    int fd;
    char *path;
    char key[HASH_HEX];
    double synced;
    bool dirty; /* results were written since then */
};

static void line_check(const struct journal *j, const char *line, size_t n, char out[HASH_HEX])
{
    struct hash h;
    hash_init(&h);
    hash_update(&h, j->key, sizeof j->key);
    hash_update(&h, line, n);
    hash_finish(&h, out);
    out[CHECK] = 0;
}

/* --- writing --- */

static int sync_file(struct journal *j, struct error *e)
{
    const int status = j->dirty && fdatasync(j->fd) ? error_errno(e, j->path, "write") : 0;
    j->dirty = false;
    j->synced = seconds_now();
    return status;
}

static int write_all(struct journal *j, const char *s, size_t n, struct error *e)
{
    while (n) {
        ssize_t here = write(j->fd, s, n);
        if (here < 0 && errno == EINTR) continue;
        if (here < 0)
            return error_set(e, ERROR_IO,
                             "%s: write: %s: make room and run the same again: it goes on from what is kept there",
                             j->path, strerror(errno));
        s += here;
        n -= (size_t)here;
    }
    return 0;
}

/* Takes over the value. A line that was only begun is taken back. */
static int append(struct journal *j, json_t *value, struct error *e)
{
    char *body = value ? json_dump_text(value, JSON_COMPACT | JSON_REAL_PRECISION(17), NULL) : NULL, check[HASH_HEX];
    json_decref(value);
    if (!body) return error_set(e, ERROR_IO, "%s: out of memory for a line", j->path);
    size_t n = strlen(body) - 1; /* the closing brace comes after the sum */
    line_check(j, body, n, check);
    struct text line = {0};
    text_bytes(&line, body, n);
    text_printf(&line, "%s%s\"}\n", check_key, check);
    free(body);
    off_t before = lseek(j->fd, 0, SEEK_END);
    int status = line.failed ? error_set(e, ERROR_IO, "%s: out of memory for a line", j->path)
                             : write_all(j, text_c(&line), line.length, e);
    text_free(&line);
    if (status && before >= 0 && ftruncate(j->fd, before)) status = ERROR_IO; /* a torn line is passed over anyway */
    j->dirty = true;
    if (!status && seconds_now() - j->synced >= 1) status = sync_file(j, e);
    return status;
}

int journal_group(struct journal *j, size_t index, const struct group *g, struct error *e)
{
    json_t *values = json_array(), *greedy = json_array();
    for (size_t i = 0; i < g->n_parts; i++) {
        json_array_append_new(values, json_real(g->parts[i].loglikelihood));
        json_array_append_new(greedy, json_boolean(g->parts[i].greedy));
    }
    return append(
        j, json_pack("{s:I, s:o, s:o}", "group", (json_int_t)index, "loglikelihood", values, "greedy", greedy), e);
}

static json_t *text_hex(const struct text *t)
{
    static const char digits[] = "0123456789abcdef";
    struct text hex = {0};
    for (size_t i = 0; i < t->length; i++) {
        text_char(&hex, digits[(unsigned char)t->bytes[i] >> 4]);
        text_char(&hex, digits[(unsigned char)t->bytes[i] & 15]);
    }
    json_t *j = hex.failed ? NULL : json_string(text_c(&hex));
    text_free(&hex);
    return j;
}

int journal_generation(struct journal *j, size_t index, const struct generation *g, struct error *e)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < g->ids.count; i++) json_array_append_new(ids, json_integer(g->ids.at[i]));
    bool plain = !memchr(text_c(&g->text), 0, g->text.length);
    json_t *text = plain ? json_stringn(text_c(&g->text), g->text.length) : NULL; /* NULL too where it is not UTF-8 */
    const char *key = text ? "text" : "text_hex";
    if (!text) text = text_hex(&g->text);
    json_t *number = isfinite(g->log_probability) ? json_real(g->log_probability) : json_null();
    return append(j,
                  json_pack("{s:I, s:o, s:o, s:s, s:o, s:I}", "generation", (json_int_t)index, key, text, "ids", ids,
                            "ended", g->ended, "log_probability", number, "fed", (json_int_t)g->fed),
                  e);
}

/* One that is not finite is not kept: it is found again, and reported, when the walk goes on. */
int journal_floor(struct journal *j, const struct noise_floor *f, struct error *e)
{
    if (!isfinite(f->kl) || !isfinite(f->largest)) return 0;
    return append(j,
                  json_pack("{s:{s:I, s:I, s:f, s:f, s:f}}", "floor", "windows", (json_int_t)f->windows, "tokens",
                            (json_int_t)f->tokens, "kl", f->kl, "largest", f->largest, "same_top", f->same_top),
                  e);
}

static json_t *position_row(const struct position *at, size_t n_subjects)
{
    json_t *row = json_array();
    for (size_t s = 0; s < n_subjects; s++) {
        json_array_append_new(row, json_real(at[s].loglikelihood));
        json_array_append_new(row, json_integer(at[s].top));
        json_array_append_new(row, json_real(at[s].chance_top));
        if (!s) continue;
        json_array_append_new(row, json_real(at[s].divergence.kl));
        json_array_append_new(row, json_real(at[s].divergence.reverse));
        json_array_append_new(row, json_real(at[s].divergence.change));
        json_array_append_new(row, json_boolean(at[s].divergence.same_top));
    }
    return row;
}

int journal_window(struct journal *j, size_t index, const struct position *positions, int64_t tokens, size_t n_subjects,
                   struct error *e)
{
    json_t *rows = json_array();
    for (int64_t i = 0; i < tokens; i++)
        json_array_append_new(rows, position_row(positions + (size_t)i * n_subjects, n_subjects));
    return append(j, json_pack("{s:I, s:o}", "window", (json_int_t)index, "positions", rows), e);
}

int journal_close(struct journal *j, struct error *e)
{
    if (!j) return 0;
    int status = j->fd >= 0 ? sync_file(j, e) : 0;
    if (j->fd >= 0 && close(j->fd) && !status) status = error_errno(e, j->path, "write");
    free(j->path);
    free(j);
    return status;
}

/* --- reading --- */

/* Where what the lines say goes: results into the requests, or a walk's windows into its past. */
struct taker {
    struct requests *q;
    int64_t vocab;
    const struct requests *walked;
    size_t n_subjects;
    struct walk_past *past;
};

static bool take_real(const json_t *v, double *out)
{
    *out = json_real_value(v);
    return json_is_real(v) && isfinite(*out);
}

static bool take_group(const json_t *line, struct requests *q)
{
    const json_t *values = json_object_get(line, "loglikelihood"), *greedy = json_object_get(line, "greedy");
    json_int_t index = json_integer_value(json_object_get(line, "group"));
    if (index < 0 || (size_t)index >= q->n_groups) return false;
    struct group *g = &q->groups[index];
    if (g->done || json_array_size(values) != g->n_parts || json_array_size(greedy) != g->n_parts) return false;
    for (size_t i = 0; i < g->n_parts; i++) {
        const json_t *v = json_array_get(values, i), *b = json_array_get(greedy, i);
        if (!take_real(v, &g->parts[i].loglikelihood) || !json_is_boolean(b)) return false;
        g->parts[i].greedy = json_is_true(b);
    }
    g->done = true;
    return true;
}

static bool take_text(const json_t *line, struct text *out)
{
    const json_t *plain = json_object_get(line, "text"), *hex = json_object_get(line, "text_hex");
    if (json_is_string(plain)) text_bytes(out, json_string_value(plain), json_string_length(plain));
    const char *digits = json_string_value(hex);
    for (size_t i = 0; digits && i + 1 < json_string_length(hex); i += 2) {
        char pair[3] = {digits[i], digits[i + 1], 0}, *end;
        text_char(out, (char)strtol(pair, &end, 16));
        if (*end) return false;
    }
    return !out->failed && (plain ? json_is_string(plain) : digits && json_string_length(hex) % 2 == 0);
}

static bool take_ids(const json_t *line, int64_t most, int64_t vocab, struct ids *out)
{
    const json_t *ids = json_object_get(line, "ids"), *id;
    size_t i, n = json_array_size(ids);
    if (!json_is_array(ids) || (int64_t)n > most) return false;
    json_array_foreach((json_t *)(uintptr_t)ids, i, id)
    {
        json_int_t v = json_integer_value(id);
        if (!json_is_integer(id) || v < 0 || v >= vocab || ids_add(out, (int32_t)v, NULL)) return false;
    }
    return true;
}

static const char *take_ended(const json_t *line)
{
    static const char *const ways[] = {"stop", "eos", "limit"};
    const char *ended = json_string_value(json_object_get(line, "ended"));
    for (size_t i = 0; ended && i < sizeof ways / sizeof *ways; i++)
        if (strcmp(ended, ways[i]) == 0) return ways[i];
    return NULL;
}

static bool take_generation(const json_t *line, struct requests *q, int64_t vocab)
{
    json_int_t index = json_integer_value(json_object_get(line, "generation"));
    const json_t *number = json_object_get(line, "log_probability"), *fed = json_object_get(line, "fed");
    if (index < 0 || (size_t)index >= q->n_generations || q->generations[index].ended) return false;
    struct generation *g = &q->generations[index], got = *g;
    bool good = (json_is_real(number) || json_is_null(number)) && json_is_integer(fed) &&
                take_ids(line, g->limit, vocab, &got.ids) && take_text(line, &got.text);
    got.ended = take_ended(line);
    got.log_probability = json_is_real(number) ? json_real_value(number) : (double)NAN;
    got.fed = json_integer_value(fed);
    if (good && got.ended && got.fed >= 0 && got.fed <= INT32_MAX) { /* sums of it stay numbers */
        *g = got;
        return true;
    }
    generation_free(&got);
    return false;
}

static void take_floor(const json_t *floor, struct noise_floor *out)
{
    const json_int_t windows = json_integer_value(json_object_get(floor, "windows")),
                     tokens = json_integer_value(json_object_get(floor, "tokens"));
    struct noise_floor f = {.windows = (size_t)windows, .tokens = tokens};
    if (windows > 0 && tokens > 0 && take_real(json_object_get(floor, "kl"), &f.kl) &&
        take_real(json_object_get(floor, "largest"), &f.largest) &&
        take_real(json_object_get(floor, "same_top"), &f.same_top))
        *out = f;
}

static bool take_position(const json_t *row, const struct taker *t, struct position *out)
{
    if (json_array_size(row) != 7 * t->n_subjects - 4) return false;
    for (size_t s = 0, at = 0; s < t->n_subjects; s++) {
        struct position *p = &out[s];
        const json_t *top = json_array_get(row, at + 1), *same = json_array_get(row, at + 6);
        const json_int_t token = json_integer_value(top);
        if (!take_real(json_array_get(row, at), &p->loglikelihood) || !json_is_integer(top) || token < 0 ||
            token >= t->vocab || !take_real(json_array_get(row, at + 2), &p->chance_top))
            return false;
        p->top = (int32_t)token;
        if (s && (!take_real(json_array_get(row, at + 3), &p->divergence.kl) ||
                  !take_real(json_array_get(row, at + 4), &p->divergence.reverse) ||
                  !take_real(json_array_get(row, at + 5), &p->divergence.change) || !json_is_boolean(same)))
            return false;
        p->divergence.same_top = s && json_is_true(same);
        at += s ? 7 : 3;
    }
    return true;
}

static void take_window(const json_t *line, const struct taker *t)
{
    const json_int_t index = json_integer_value(json_object_get(line, "window"));
    const json_t *rows = json_object_get(line, "positions");
    const size_t n = json_array_size(rows);
    if (index < 0 || (size_t)index >= t->walked->n_groups || t->past->windows[index]) return;
    if (!n || (int64_t)n != t->walked->groups[index].parts->n) return;
    struct position *all = memory_new(n, t->n_subjects * sizeof *all, "a window", NULL);
    bool good = all;
    for (size_t i = 0; i < n && good; i++) good = take_position(json_array_get(rows, i), t, all + i * t->n_subjects);
    if (good)
        t->past->windows[index] = all;
    else
        free(all);
}

/* A line without its newline. What is wrong with one that counts for nothing does not matter. */
static void take_line(const struct journal *j, const char *line, size_t n, const struct taker *t)
{
    const size_t end = sizeof check_key - 1 + CHECK + 2; /* of the sum, with its quotation mark and brace */
    char check[HASH_HEX];
    if (n <= end || memcmp(line + n - end, check_key, sizeof check_key - 1)) return;
    line_check(j, line, n - end, check);
    if (memcmp(line + n - CHECK - 2, check, CHECK) || memcmp(line + n - 2, "\"}", 2)) return;
    struct error ignored;
    json_t *value = json_read_bytes(line, n, j->path, &ignored);
    if (t->q && json_is_integer(json_object_get(value, "group")))
        take_group(value, t->q);
    else if (t->q && json_is_integer(json_object_get(value, "generation")))
        take_generation(value, t->q, t->vocab);
    else if (t->past && json_is_integer(json_object_get(value, "window")))
        take_window(value, t);
    else if (t->past)
        take_floor(json_object_get(value, "floor"), &t->past->floor);
    json_decref(value);
}

static int take_lines(struct journal *j, const struct taker *t, struct error *e)
{
    struct file f;
    int status = file_map(&f, j->path, e);
    if (status) return status;
    const char *at = (const char *)f.data, *end = at + f.size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline) break; /* torn */
        take_line(j, at, (size_t)(newline - at), t);
        at = newline + 1;
    }
    bool torn = at < end;
    file_unmap(&f);
    return torn ? write_all(j, "\n", 1, e) : 0; /* so that the next line is one of its own */
}

int journal_resume(struct journal *j, struct requests *q, int64_t vocab, struct error *e)
{
    return take_lines(j, &(struct taker){.q = q, .vocab = vocab}, e);
}

int journal_walk(struct journal *j, const struct requests *q, size_t n_subjects, int64_t vocab, struct walk_past *out,
                 struct error *e)
{
    *out = (struct walk_past){.windows = memory_new(q->n_groups, sizeof(struct position *), "windows", e)};
    const struct taker t = {.vocab = vocab, .walked = q, .n_subjects = n_subjects, .past = out};
    return out->windows ? take_lines(j, &t, e) : ERROR_IO;
}

/* --- opening --- */

static char *journal_path(const struct journal *j, const char *folder, const char *suite, struct error *e)
{
    char *under = path_join(folder, "journal", e), *path = NULL;
    struct text name = {0};
    text_printf(&name, "%s-%.16s.jsonl", suite, j->key);
    if (under && !name.failed && !folder_make(under, e)) path = path_join(under, text_c(&name), e);
    text_free(&name);
    free(under);
    return path;
}

int journal_open(struct journal **out, const char *folder, const char *suite, const json_t *parts, bool fresh,
                 struct error *e)
{
    struct journal *j = *out = memory_new(1, sizeof *j, "a journal", e);
    if (!j) return ERROR_IO;
    j->fd = -1;
    j->synced = seconds_now();
    char *text = json_dump_text(parts, JSON_COMPACT | JSON_SORT_KEYS, NULL);
    if (text) hash_hex(text, strlen(text), j->key);
    j->path = text ? journal_path(j, folder, suite, e) : NULL;
    int status = j->path ? 0 : ERROR_IO;
    if (!text) error_set(e, ERROR_IO, "out of memory for a journal");
    free(text);
    struct stat st = {0};
    if (!status) j->fd = open(j->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | (fresh ? O_TRUNC : 0), 0644);
    if (!status && (j->fd < 0 || fstat(j->fd, &st))) status = error_errno(e, j->path, "open");
    if (!status && !S_ISREG(st.st_mode)) status = error_set(e, ERROR_IO, "%s: is no regular file", j->path);
    if (!status && st.st_size == 0) status = append(j, json_pack("{s:O}", "journal", parts), e);
    j->dirty = false;
    if (!status) return 0;
    journal_close(j, NULL);
    *out = NULL;
    return status;
}

int journal_lock(const char *folder, struct error *e)
{
    char *under = path_join(folder, "journal", e), who[32] = "";
    char *path = under && !folder_make(under, e) ? path_join(under, "lock", e) : NULL;
    free(under);
    if (!path) return ERROR_IO;
    int status = 0, fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        status = error_errno(e, path, "open");
    } else if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        int n = snprintf(who, sizeof who, "%ld\n", (long)getpid());
        if (ftruncate(fd, 0) || write(fd, who, (size_t)n) != n) status = error_errno(e, path, "write");
        output_sweep(folder, "run.json");
        output_sweep(folder, "samples_*.jsonl");
    } else if (errno == EWOULDBLOCK) {
        ssize_t n = read(fd, who, sizeof who - 1);
        who[n > 0 ? strspn(who, "0123456789") : 0] = 0;
        status = error_set(e, ERROR_IO, "%s: process %s works in this folder: wait for its end, or give another --out",
                           folder, *who ? who : "(unknown)");
    } /* else a file system without locks: one must know what one does there */
    free(path);
    if (status && fd >= 0) close(fd); /* else it stays open, and locked, as long as the process lives */
    return status;
}
