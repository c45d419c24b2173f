#include "engine/base/text.h"
#include "reports/foreign/build.h"

static const struct foreign *const tools[] = {&foreign_lm_eval, &foreign_llama_bench};
enum { TOOLS = sizeof tools / sizeof *tools };

static const struct foreign *recognise(const struct file *f)
{
    for (size_t i = 0; i < TOOLS; i++)
        if (tools[i]->recognise(f)) return tools[i];
    return NULL;
}

static int unknown(const char *path, struct error *e)
{
    struct text list = {0};
    for (size_t i = 0; i < TOOLS; i++)
        text_printf(&list, "%s%s (%s)", i ? " or " : "", tools[i]->name, tools[i]->summary);
    int status = error_set(e, ERROR_INPUT, "%s: is no folder of kerf's and no file of %s", path, text_c(&list));
    text_free(&list);
    return status;
}

json_t *foreign_read(const char *path, struct error *e)
{
    struct file f;
    if (file_map(&f, path, e)) return NULL;
    const struct foreign *tool = recognise(&f);
    json_t *runs = tool ? tool->read(&f, path, e) : NULL;
    if (!tool) unknown(path, e);
    file_unmap(&f);
    return runs;
}
