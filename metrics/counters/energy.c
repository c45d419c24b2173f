#include "metrics/counters/energy.h"
#include "engine/base/file.h"
#include "engine/base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ZONES_MOST = 64, KINDS = 2 };

struct zone {
    int file; /* energy_uj */
    int kind;
    uint64_t last, range; /* uJ */
};

/* What there is of one kind: packages, or memory. */
struct energy_kind {
    uint64_t total;
    char reason[160], source[128];
    bool failed; /* `reason` is that of a zone, not of there being none */
};

struct energy {
    struct zone zones[ZONES_MOST];
    int n;
    struct energy_kind kinds[KINDS];
};

static int kind_of(enum counter_meter meter) { return meter == METER_DRAM; }

/* --- files of the folder --- */

/* A number that a file begins with; 0 or errno. */
static int read_number(int file, uint64_t *out)
{
    char text[32] = "", *end;
    const ssize_t n = pread(file, text, sizeof text - 1, 0);
    if (n < 0) return errno;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno ? errno : end == text || *text == '-' ? EINVAL : 0;
}

static int open_in(const char *folder, const char *zone, const char *name)
{
    char path[512];
    const int n = snprintf(path, sizeof path, "%s/%s/%s", folder, zone, name);
    if (n < 0 || (size_t)n >= sizeof path) return errno = ENAMETOOLONG, -1;
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* 0 for packages, 1 for memory, -1 for what is neither. */
static int zone_kind(const char *folder, const char *zone)
{
    char name[32] = "";
    const int file = open_in(folder, zone, "name");
    if (file < 0) return -1;
    const ssize_t n = read(file, name, sizeof name - 1);
    close(file);
    if (n <= 0) return -1;
    name[strcspn(name, "\n")] = 0;
    return strncmp(name, "package", 7) == 0 ? 0 : strcmp(name, "dram") == 0 ? 1 : -1;
}

static void zone_refuse(struct energy_kind *k, const char *folder, const char *zone, int why)
{
    if (k->failed) return;
    k->failed = true;
    const bool permission = why == EACCES || why == EPERM;
    snprintf(k->reason, sizeof k->reason, "not readable: %.32s: %s%.48s/%.24s/energy_uj", strerror(why),
             permission ? "root or chmod a+r " : "", folder, zone);
}

static void zone_add(struct energy *r, const char *folder, const char *zone)
{
    const int kind = zone_kind(folder, zone);
    if (kind < 0 || r->n == ZONES_MOST) return;
    struct energy_kind *k = &r->kinds[kind];
    struct zone z = {.kind = kind, .file = open_in(folder, zone, "energy_uj")};
    int why = z.file < 0 ? errno : read_number(z.file, &z.last);
    const int range = why ? -1 : open_in(folder, zone, "max_energy_range_uj");
    if (!why) why = range < 0 ? errno : read_number(range, &z.range);
    if (range >= 0) close(range);
    if (why) {
        zone_refuse(k, folder, zone, why);
        if (z.file >= 0) close(z.file);
        return;
    }
    const size_t used = strlen(k->source);
    snprintf(k->source + used, sizeof k->source - used, "%s%s", used ? ", " : "", zone);
    r->zones[r->n++] = z;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }
static int is_zone(const struct dirent *d) { return strncmp(d->d_name, "intel-rapl:", 11) == 0; }

int energy_open(struct energy **out, const char *folder, struct error *e)
{
    if (!folder) folder = "/sys/class/powercap";
    struct energy *r = *out = memory_new(1, sizeof *r, "energy", e);
    if (!r) return e->code;
    struct dirent **names = NULL;
    const int n = scandir(folder, &names, is_zone, by_name);
    for (int i = 0; i < n; i++) {
        zone_add(r, folder, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    for (int kind = 0; kind < KINDS; kind++) {
        struct energy_kind *k = &r->kinds[kind];
        if (k->failed || k->source[0]) continue;
        if (n > 0)
            snprintf(k->reason, sizeof k->reason, "RAPL has no zone for %s here", kind ? "memory" : "packages");
        else
            snprintf(k->reason, sizeof k->reason,
                     "no RAPL: %s %s (a virtual machine or container, or the module intel_rapl_msr is not loaded)",
                     folder, n < 0 ? "is not there" : "has no zone intel-rapl:N");
    }
    return 0;
}

void energy_close(struct energy *r)
{
    for (int i = 0; r && i < r->n; i++) close(r->zones[i].file);
    free(r);
}

/* --- reading --- */

/* What came since `last`. The counter goes on at 0 after its range. */
static uint64_t risen(uint64_t last, uint64_t now, uint64_t range)
{
    return now >= last ? now - last : range >= last ? range - last + now : now;
}

uint64_t energy_read(struct energy *r, enum counter_meter meter)
{
    const int kind = kind_of(meter);
    struct energy_kind *k = &r->kinds[kind];
    for (int i = 0; i < r->n && !k->failed; i++) {
        struct zone *z = &r->zones[i];
        uint64_t now = z->last;
        if (z->kind != kind) continue;
        const int why = read_number(z->file, &now);
        if (why) {
            k->failed = true;
            snprintf(k->reason, sizeof k->reason, "could be read no more: %s", strerror(why));
            break;
        }
        k->total += risen(z->last, now, z->range);
        z->last = now;
    }
    return k->total;
}

const char *energy_reason(const struct energy *r, enum counter_meter meter) { return r->kinds[kind_of(meter)].reason; }

const char *energy_source(const struct energy *r, enum counter_meter meter)
{
    const struct energy_kind *k = &r->kinds[kind_of(meter)];
    return k->failed ? "" : k->source;
}
