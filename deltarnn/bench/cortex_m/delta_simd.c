/* The columns that fired, four rows at a time, whose sums stay in registers: a word of weights is
 * four rows of one column. */
#include <stdint.h>
typedef uint32_t weight;
#include "gru.h"

typedef struct {
    const weight *column;
    int32_t d;
} event;

static event events[WIDEST];

static void begin(const layer *its)
{
    const int sums = its->weight_h ? 4 * its->units : its->units;
    int k;
    for (k = 0; k < its->inputs; k++) {
        its->sent_x[k] = 0;
    }
    for (k = 0; k < sums; k++) {
        its->sums[k] = its->bias[k];
    }
    for (k = 0; its->weight_h && k < its->units; k++) {
        its->sent_h[k] = 0;
    }
}

/* Lists what fires; returns the list's end. A column has `words` words. */
static const event *fired(const int8_t *v, int8_t *sent, int count, int theta, const weight *w,
                          int words)
{
    event *next = events;
    int j;
    for (j = 0; j < count; j++, w += words) {
        const int32_t d = v[j] - sent[j];
        if (d > theta || d < -theta) {
            sent[j] = v[j];
            next->column = w;
            next->d = d;
            next++;
        }
    }
    return next;
}

/* Adds rows of the listed columns, from word `first` of each on. */
static void add(int32_t *sums, int count, const event *end, int first)
{
    int i;
    for (i = 0; i < count; i += 4, sums += 4, first++) {
        int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
        const event *e;
        for (e = events; e < end; e++) {
            const uint32_t w = e->column[first];
            const uint32_t even = __sxtb16(w), odd = __sxtb16(__ror(w, 8));
            s0 = __smlabb(even, e->d, s0);
            s1 = __smlabb(odd, e->d, s1);
            s2 = __smlatb(even, e->d, s2);
            s3 = __smlatb(odd, e->d, s3);
        }
        sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
    }
}

static void sum(const layer *its, const int8_t *v)
{
    const int units = its->units;
    const int of_x = its->weight_h ? 3 * units : (units + 3) / 4 * 4;
    const event *end =
        fired(v, its->sent_x, its->inputs, its->theta_x, its->weight_x, of_x / 4);
    add(its->sums, of_x, end, 0);
    if (its->weight_h) {
        end = fired(its->a, its->sent_h, units, its->theta_h, its->weight_h, 3 * units / 4);
        add(its->sums, 2 * units, end, 0);
        add(its->sums + 3 * units, units, end, units / 2);
    }
}
