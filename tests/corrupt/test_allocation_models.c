/* Memory that runs out while whole models are opened: a checkpoint folder of each kind of layer. */
#include "tests/corrupt/failing.h"
#include "tests/models/gptq_edit.h"
#include "tests/models/tiny_models.h"

static int open_whole(const char *path, struct error *e)
{
    struct model *m;
    const int status = model_open(&m, path, NULL, e);
    if (!status) model_close(m);
    return status;
}

static void test_folders(void **state)
{
    (void)state;
    static const char *const names[] = {"llama", "qwen2moe"};
    json_t *nothing = json_object();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *folder = tiny_folder(names[i], nothing);
        assert_fails(names[i], open_whole, folder, 200, 0);
        folder_remove(folder);
    }
    json_decref(nothing);
}

static void test_gptq(void **state)
{
    (void)state;
    json_t *nothing = json_object();
    char *from = tiny_folder("llama", nothing), *folder = folder_temporary();
    char *out = quantized(from, "rtn:4,group=32", folder, "out");
    assert_fails("GPTQ", open_whole, out, 200, 1); /* qsort() of glibc does without */
    free(out);
    folder_remove(folder);
    folder_remove(from);
    json_decref(nothing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_folders), cmocka_unit_test(test_gptq)};
    return cmocka_run_group_tests_name("corrupt/allocation_models", tests, NULL, NULL);
}
