#include "engine/base/file.h"
#include "engine/formats/checkpoint.h"
#include "tests/formats/samples.h"
#include "tests/testing.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char one[] = "{\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}";

static void put_text(const char *folder, const char *name, const char *text)
{
    if (text) free(file_put(folder, name, text, strlen(text)));
}

static void remove_text(const char *folder, const char *name)
{
    struct error e;
    char *path = path_join(folder, name, &e);
    remove(path);
    free(path);
}

static int open_path(const char *path, struct error *e)
{
    struct checkpoint *c;
    int status = checkpoint_open(&c, path, e);
    assert_int_equal(c == NULL, status != 0);
    checkpoint_close(c);
    return status;
}

#define MAP(text) "{\"weight_map\":{" text "}}"
#define POINTER "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n"
#define X16 "xxxxxxxxxxxxxxxx"
#define X256 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 /* longer than names of files may be */

/* Folders by their config.json and index, beside shards "s.safetensors" and "swapped.safetensors" that have the tensor
 * "a", a FIFO, a folder, a link that leads nowhere and one that leads to itself; NULL where the file is not there. */
static void test_folders(void **state)
{
    (void)state;
    static const struct {
        const char *config, *index;
        enum error_code code;
        const char *says;
    } cases[] = {
        {NULL, MAP("\"a\":\"s.safetensors\""), ERROR_IO, "has no config.json: a folder of a model has one"},
        {"", MAP("\"a\":\"s.safetensors\""), ERROR_INPUT, "/config.json: line 1, column 0"},
        {"[]", MAP("\"a\":\"s.safetensors\""), ERROR_INPUT, "/config.json: must be a JSON object"},
        {"{\"a\":1,\"a\":2}", MAP("\"a\":\"s.safetensors\""), ERROR_INPUT, "/config.json: line 1"},
        {"{}", "{", ERROR_INPUT, "/model.safetensors.index.json: line 1, column 1"},
        {"{}", POINTER, ERROR_INPUT, "/model.safetensors.index.json: is a pointer of Git LFS"},
        {POINTER, "{}", ERROR_INPUT, "/config.json: is a pointer of Git LFS"},
        {"{}", "7", ERROR_INPUT, "/model.safetensors.index.json: must be a JSON object"},
        {"{}", "{}", ERROR_INPUT, "/model.safetensors.index.json: weight_map: must be an object"},
        {"{}", "{\"weight_map\":[]}", ERROR_INPUT, "/model.safetensors.index.json: weight_map: must be an object"},
        {"{}", MAP("\"a\":\"s.safetensors\",\"a\":\"s.safetensors\""), ERROR_INPUT, "duplicate object key"},
        {"{}", MAP("\"a\":1"), ERROR_INPUT, "weight_map: \"a\": must be a file name"},
        {"{}", MAP("\"a\":\"\""), ERROR_INPUT, "weight_map: \"a\": \"\" is not a plain file name"},
        {"{}", MAP("\"a\":\"..\""), ERROR_INPUT, "weight_map: \"a\": \"..\" is not a plain file name"},
        {"{}", MAP("\"a\":\"../s.safetensors\""), ERROR_INPUT, "\"../s.safetensors\" is not a plain file name"},
        {"{}", MAP("\"a\":\"/etc/passwd\""), ERROR_INPUT, "\"/etc/passwd\" is not a plain file name"},
        {"{}", MAP("\"a\":\"folder/s.safetensors\""), ERROR_INPUT, "is not a plain file name"},
        {"{}", MAP("\"a\":\"gone.safetensors\""), ERROR_INPUT,
         "/model.safetensors.index.json: weight_map: \"a\": gone.safetensors is not in the folder"},
        {"{}", MAP("\"a\":\"s.safetensors\",\"b\":\"gone.safetensors\""), ERROR_INPUT,
         "\"b\": gone.safetensors is not in"},
        {"{}", MAP("\"a\":\"" X256 "\""), ERROR_INPUT, "xxxx is not in the folder: get it from where the others came"},
        {"{}", MAP("\"a\":\"dangling\""), ERROR_IO, "/dangling: open: No such file or directory"},
        {"{}", MAP("\"a\":\"loop\""), ERROR_IO, "/loop: open: Too many levels of symbolic links"},
        {"{}", MAP("\"a\":\"s\\u0000.safetensors\""), ERROR_INPUT, "/model.safetensors.index.json: line 1, column "},
        {"{}", MAP("\"a\":\"s.safetensors\",\"c\":\"swapped.safetensors\""), ERROR_INPUT,
         "weight_map: \"c\" is not in swapped.safetensors"},
        {"{}", MAP("\"a\":null"), ERROR_INPUT, "weight_map: \"a\": must be a file name"},
        {"{}", MAP("\"a\":[\"s.safetensors\"]"), ERROR_INPUT, "weight_map: \"a\": must be a file name"},
        {"{}", "{\"weight_map\":null}", ERROR_INPUT, "/model.safetensors.index.json: weight_map: must be an object"},
        {"{}", MAP("\"a\":\"fifo\""), ERROR_INPUT, "/fifo: is a device, pipe or socket, not a regular file"},
        {"{}", MAP("\"a\":\"folder\""), ERROR_INPUT, "/folder: is a folder, not a regular file"},
        {"{}", MAP("\"a\":\"config.json\""), ERROR_INPUT, "/config.json: offset 0x0: header length"},
        {"{}", MAP("\"b\":\"s.safetensors\""), ERROR_INPUT, "weight_map: \"b\" is not in s.safetensors"},
        {"{}", MAP("\"a\":\"s.safetensors\",\"b\":\"s.safetensors\""), ERROR_INPUT, "\"b\" is not in s.safetensors"},
    };
    char *folder = folder_temporary();
    struct error e;
    struct text t = {0};
    put_safetensors(&t, one, 1);
    free(put_file(folder, "s.safetensors", &t));
    free(put_file(folder, "swapped.safetensors", &t));
    text_free(&t);
    char *dangling = path_join(folder, "dangling", &e), *loop = path_join(folder, "loop", &e);
    assert_int_equal(symlink("nowhere", dangling), 0);
    assert_int_equal(symlink("loop", loop), 0);
    char *fifo = path_join(folder, "fifo", &e), *inner = path_join(folder, "folder", &e);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(mkdir(inner, 0700), 0);
    put_text(folder, "config.json", "{}");
    put_text(folder, "model.safetensors.index.json", MAP("\"a\":\"s.safetensors\""));
    assert_ok(open_path(folder, &e), &e);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        remove_text(folder, "config.json");
        remove_text(folder, "model.safetensors.index.json");
        put_text(folder, "config.json", cases[i].config);
        put_text(folder, "model.safetensors.index.json", cases[i].index);
        assert_error(open_path(folder, &e), &e, cases[i].code, cases[i].says);
    }
    free(dangling);
    free(loop);
    free(fifo);
    free(inner);
    folder_remove(folder);
}

/* Which files are the weights: any one index, else any one file, unless they have the usual name. */
static void test_weight_files(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct error e;
    struct text t = {0};
    put_safetensors(&t, one, 1);
    put_text(folder, "config.json", "{}");
    put_text(folder, ".hidden.safetensors", "x");
    put_text(folder, "model.safetensors.txt", "x");
    assert_error(open_path(folder, &e), &e, ERROR_IO, "has neither model.safetensors nor model.safetensors.index.json");
    free(put_file(folder, "s.safetensors", &t));
    assert_ok(open_path(folder, &e), &e);
    free(put_file(folder, "t.safetensors", &t));
    assert_error(open_path(folder, &e), &e, ERROR_INPUT,
                 "has 2 files *.safetensors and none is model.safetensors: of a model in parts get "
                 "model.safetensors.index.json from where they came; else keep");
    assert_true(strstr(e.text, "s.safetensors") && strstr(e.text, "t.safetensors"));
    put_text(folder, "s.safetensors.index.json", "{");
    assert_error(open_path(folder, &e), &e, ERROR_INPUT, "/s.safetensors.index.json: line 1");
    put_text(folder, "s.safetensors.index.json", MAP("\"a\":\"t.safetensors\""));
    assert_ok(open_path(folder, &e), &e);
    put_text(folder, "t.safetensors.index.json", "{");
    assert_error(open_path(folder, &e), &e, ERROR_INPUT, "has 2 files *.safetensors.index.json and none is model.");
    put_text(folder, "model.safetensors.index.json", MAP("\"b\":\"t.safetensors\""));
    assert_error(open_path(folder, &e), &e, ERROR_INPUT,
                 "/model.safetensors.index.json: weight_map: \"b\" is not in t");
    free(put_file(folder, "model.safetensors", &t));
    assert_ok(open_path(folder, &e), &e);
    put_text(folder, "quant_config.json", "[]");
    assert_error(open_path(folder, &e), &e, ERROR_INPUT, "/quant_config.json: must be a JSON object");
    put_text(folder, "quantize_config.json", "{}");
    assert_ok(open_path(folder, &e), &e);
    remove_text(folder, "quantize_config.json");
    char *link = path_join(folder, "quantize_config.json", &e), *weights = path_join(folder, "model.safetensors", &e);
    assert_int_equal(symlink("gone", link), 0); /* not as if it were not there */
    assert_error(open_path(folder, &e), &e, ERROR_IO, "/quantize_config.json: open: No such file or directory");
    remove_text(folder, "quantize_config.json");
    put_text(folder, "quantize_config.json", "{}");
    remove_text(folder, "model.safetensors");
    assert_int_equal(symlink("gone", weights), 0);
    assert_error(open_path(folder, &e), &e, ERROR_IO, "/model.safetensors: open: No such file or directory");
    remove_text(folder, "model.safetensors");
    free(put_file(folder, "model.safetensors", &t));
    free(link);
    free(weights);
    put_text(folder, "quantize_config.json", "{\"bits\": ");
    assert_error(open_path(folder, &e), &e, ERROR_INPUT, "/quantize_config.json: line 1");
    text_free(&t);
    folder_remove(folder);
}

static void test_pickled(void **state)
{
    (void)state;
    char *folder = folder_temporary();
    struct error e;
    put_text(folder, "config.json", "{}");
    put_text(folder, "pytorch_model.bin", "PK");
    assert_error(open_path(folder, &e), &e, ERROR_INPUT, "save the model as safetensors");
    remove_text(folder, "pytorch_model.bin");
    put_text(folder, "pytorch_model.bin.index.json", "{}");
    assert_error(open_path(folder, &e), &e, ERROR_INPUT, "save the model as safetensors");
    folder_remove(folder);
}

static void test_files(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        const char *says;
    } cases[] = {
        {"empty", "", "/empty: offset 0x0: magic: is not \"GGUF\": expected a GGUF file or a folder with config.json"},
        {"short", "GGU", "/short: offset 0x0: magic: is not \"GGUF\""},
        {"old", "tjgg0000", "/old: offset 0x0: magic: is not \"GGUF\""},
        {"cut", "GGUF", "/cut: offset 0x4: version: takes 4 bytes, but only 0 are left"},
        {"model.safetensors", "????????{}", "/model.safetensors: is one file of a checkpoint: give the folder"},
    };
    char *folder = folder_temporary();
    struct error e;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = file_put(folder, cases[i].name, cases[i].text, strlen(cases[i].text));
        assert_error(open_path(path, &e), &e, ERROR_INPUT, cases[i].says);
        free(path);
    }
    char *path = path_join(folder, "absent", &e);
    assert_error(open_path(path, &e), &e, ERROR_IO, "/absent: open: No such file or directory");
    free(path);
    path = path_join(folder, "fifo", &e);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_error(open_path(path, &e), &e, ERROR_INPUT, "/fifo: is a device, pipe or socket");
    assert_error(open_path("", &e), &e, ERROR_IO, "No such file or directory");
    free(path);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_weight_files),
        cmocka_unit_test(test_pickled),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests_name("corrupt/checkpoint", tests, NULL, NULL);
}
