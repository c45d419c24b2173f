#include "engine/base/memory.h"
#include "engine/formats/gguf.h"

#include <stdlib.h>
#include <string.h>

/* A number of any type: a real, or an integer in two's complement with its sign beside it. */
struct number {
    bool is_real, negative;
    uint64_t bits;
    double real;
};

static struct number from_signed(int64_t v) { return (struct number){.negative = v < 0, .bits = (uint64_t)v}; }

/* The number of this type at p, which may be unaligned. */
static bool number_at(enum gguf_type type, const uint8_t *p, struct number *n)
{
    union {
        uint16_t u16;
        int16_t i16;
        uint32_t u32;
        int32_t i32;
        uint64_t u64;
        int64_t i64;
        float f32;
        double f64;
    } v;
    if (type >= GGUF_TYPES || type == GGUF_BOOL || type == GGUF_STRING || type == GGUF_ARRAY) return false;
    memcpy(&v, p, gguf_type_bytes(type));
    *n = (struct number){0};
    switch (type) {
    case GGUF_U8:
        n->bits = *p;
        break;
    case GGUF_I8:
        *n = from_signed((int8_t)*p);
        break;
    case GGUF_U16:
        n->bits = v.u16;
        break;
    case GGUF_I16:
        *n = from_signed(v.i16);
        break;
    case GGUF_U32:
        n->bits = v.u32;
        break;
    case GGUF_I32:
        *n = from_signed(v.i32);
        break;
    case GGUF_U64:
        n->bits = v.u64;
        break;
    case GGUF_I64:
        *n = from_signed(v.i64);
        break;
    case GGUF_F32:
        *n = (struct number){.is_real = true, .real = (double)v.f32};
        break;
    default:
        *n = (struct number){.is_real = true, .real = v.f64};
        break;
    }
    return true;
}

static bool number_f64(const struct number *n, double *out)
{
    uint64_t size = n->negative ? -n->bits : n->bits;
    if (!n->is_real && size > UINT64_C(1) << 53) return false;
    *out = n->is_real ? n->real : n->negative ? -(double)size : (double)size;
    return true;
}

bool gguf_as_u64(const struct gguf_value *v, uint64_t *out)
{
    struct number n;
    if (!number_at(v->type, v->data, &n) || n.is_real || n.negative) return false;
    *out = n.bits;
    return true;
}

bool gguf_as_f64(const struct gguf_value *v, double *out)
{
    struct number n;
    return number_at(v->type, v->data, &n) && number_f64(&n, out);
}

bool gguf_as_bool(const struct gguf_value *v, bool *out)
{
    if (v->type != GGUF_BOOL) return false;
    *out = v->data[0] != 0;
    return true;
}

static struct gguf_string string_at(const uint8_t *p)
{
    uint64_t n;
    memcpy(&n, p, sizeof n);
    return (struct gguf_string){(const char *)p + sizeof n, (size_t)n};
}

bool gguf_as_string(const struct gguf_value *v, struct gguf_string *out)
{
    if (v->type != GGUF_STRING) return false;
    *out = string_at(v->data);
    return true;
}

struct gguf_string *gguf_strings(const struct gguf *g, const struct gguf_value *v, struct error *e)
{
    if (v->type != GGUF_ARRAY || v->element != GGUF_STRING) {
        error_set(e, ERROR_INPUT, "%s: offset 0x%zx: metadata \"%.*s\": type: is %s%s, but must be an array of strings",
                  gguf_path(g), (size_t)(v->data - gguf_bytes(g)), v->key.length < 128 ? (int)v->key.length : 128,
                  v->key.bytes, v->type == GGUF_ARRAY ? "an array of " : "", gguf_type_name(v->element));
        return NULL;
    }
    struct gguf_string *strings = memory_new((size_t)v->count, sizeof *strings, "strings", e);
    const uint8_t *p = v->data;
    for (uint64_t i = 0; strings && i < v->count; i++) {
        strings[i] = string_at(p);
        p = (const uint8_t *)strings[i].bytes + strings[i].length;
    }
    return strings;
}

bool gguf_element_f64(const struct gguf_value *v, uint64_t i, double *out)
{
    struct number n;
    return i < v->count && number_at(v->element, v->data + i * gguf_type_bytes(v->element), &n) && number_f64(&n, out);
}

bool gguf_element_i64(const struct gguf_value *v, uint64_t i, int64_t *out)
{
    struct number n;
    if (i >= v->count || !number_at(v->element, v->data + i * gguf_type_bytes(v->element), &n) || n.is_real ||
        (!n.negative && n.bits > INT64_MAX))
        return false;
    *out = (int64_t)n.bits;
    return true;
}
