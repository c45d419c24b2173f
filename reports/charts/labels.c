#include "reports/charts/labels.h"
#include "engine/base/memory.h"

#include <math.h>
#include <stdlib.h>

int chart_room_take(struct chart_room *room, struct chart_box box, double cost, struct error *e)
{
    if (memory_reserve((void **)&room->taken, &room->capacity, room->n + 1, sizeof *room->taken, "labels", e))
        return e->code;
    room->taken[room->n++] = (struct chart_taken){box, cost};
    return 0;
}

void chart_room_free(struct chart_room *room)
{
    free(room->taken);
    *room = (struct chart_room){0};
}

static bool overlap(struct chart_box a, struct chart_box b)
{
    return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

double chart_room_cost(const struct chart_room *room, struct chart_box box)
{
    const struct chart_box f = room->frame;
    double cost = box.left < f.left || box.right > f.right || box.top < f.top || box.bottom > f.bottom;
    for (size_t i = 0; i < room->n && cost < 1; i++)
        if (overlap(box, room->taken[i].box)) cost += room->taken[i].cost;
    return cost;
}

struct chart_box chart_text_box(double x, double y, enum chart_anchor anchor, double width)
{
    const double left = anchor == ANCHOR_START ? x : anchor == ANCHOR_MIDDLE ? x - width / 2 : x - width;
    const double beside = 3, above = TEXT_SIZE * 0.6;
    return (struct chart_box){left - beside, y - above, left + width + beside, y + above};
}

/* The most that the line from a point to its name would cover at any place. */
static double lead_cost(const struct chart_room *room, struct chart_point a, struct chart_point b)
{
    const double length = hypot(b.x - a.x, b.y - a.y), own = 10, step = 4;
    double cost = 0;
    for (double at = own; at < length; at += step) {
        const double x = a.x + (b.x - a.x) * at / length, y = a.y + (b.y - a.y) * at / length;
        cost = fmax(cost, chart_room_cost(room, (struct chart_box){x - 1, y - 1, x + 1, y + 1}));
    }
    return cost;
}

/* Places around the point, and again further away, where a line leads to the text: the nearest that covers least. */
bool chart_label_place(const struct chart_room *room, struct chart_point at, double width, double reach,
                       struct chart_label *label)
{
    static const double distances[] = {10, 22, 36, 52, 70, 90};
    static const double directions[][2] = {{1, 0},        {-1, 0},     {0, -1.35},   {0, 1.35},    {0.8, -1.05},
                                           {-0.8, -1.05}, {0.8, 1.05}, {-0.8, 1.05}, {1, -0.55},   {-1, -0.55},
                                           {1, 0.55},     {-1, 0.55},  {0.4, -1.25}, {-0.4, -1.25}};
    double least = 1;
    for (size_t d = 0; d < sizeof distances / sizeof *distances && distances[d] <= reach; d++)
        for (size_t k = 0; k < sizeof directions / sizeof *directions; k++) {
            const double dx = directions[k][0], x = at.x + dx * distances[d],
                         y = at.y + directions[k][1] * distances[d];
            const enum chart_anchor anchor = dx > 0 ? ANCHOR_START : dx < 0 ? ANCHOR_END : ANCHOR_MIDDLE;
            const struct chart_box box = chart_text_box(x, y, anchor, width);
            const struct chart_point end = {dx == 0 ? x : x + (dx > 0 ? -2 : 2), dx != 0    ? y
                                                                                 : y > at.y ? box.top
                                                                                            : box.bottom};
            double cost = chart_room_cost(room, box) + 0.1 * (double)d + 0.005 * (double)k;
            if (d > 0 && cost < least) cost += lead_cost(room, at, end);
            if (cost >= least) continue;
            least = cost;
            *label = (struct chart_label){x, y, anchor, d > 0, end};
        }
    return least < 1;
}
