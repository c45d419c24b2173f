/* Names beside points, so that they cover neither one another nor what is drawn.
 *
 *     struct chart_room room = {.frame = frame};
 *     chart_room_take(&room, box, 1, e) ...                          of each point, interval and line
 *     chart_label_place(&room, point, width, 90, &label)              the most important first
 *     chart_room_free(&room);
 */
#ifndef KERF_REPORTS_CHARTS_LABELS_H
#define KERF_REPORTS_CHARTS_LABELS_H

#include "reports/charts/draw.h"

/* A box that is taken, and what it costs to cover it: from 1 on it must not be. */
struct chart_taken {
    struct chart_box box;
    double cost;
};

struct chart_room {
    struct chart_box frame;
    struct chart_taken *taken;
    size_t n, capacity;
};

struct chart_label {
    double x, y; /* of the text's anchor */
    enum chart_anchor anchor;
    bool is_led;              /* far enough from its point for a line to it */
    struct chart_point leads; /* where the line ends */
};

int chart_room_take(struct chart_room *room, struct chart_box box, double cost, struct error *e);
void chart_room_free(struct chart_room *room);
/* What covering a box would cost; out of the frame 1. */
double chart_room_cost(const struct chart_room *room, struct chart_box box);
/* The box of a text of this width. */
struct chart_box chart_text_box(double x, double y, enum chart_anchor anchor, double width);
/* Where a text of this width goes best; false where there is no room within `reach` of the point. */
bool chart_label_place(const struct chart_room *room, struct chart_point at, double width, double reach,
                       struct chart_label *label);

#endif
