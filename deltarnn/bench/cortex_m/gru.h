/* What the programs written for this comparison share: layers of network.h, cells of GRUs, and who
 * calls whom. A program adds how a layer's sums are made. All numbers have 32 bits at most. */
#include <arm_acle.h>
#include <stdint.h>

typedef struct layer {
    int inputs, units, shift; /* shift: from a sum to a readout */
    int theta_x, theta_h;
    const weight *weight_x, *weight_h; /* weight_h of a GRU alone */
    const int32_t *bias;
    int32_t *sums; /* r, u, xc, hc of a GRU */
    int8_t *a, *sent_x, *sent_h;
    int16_t *kept;
} layer;

#include "network.h"
#include "program.h"

/* The program's own: what a reset does to a layer, and a layer's sums in a frame. */
static void begin(const layer *its);
static void sum(const layer *its, const int8_t *v);

static inline int32_t rounded(int32_t v, int n)
{
    return n == 0 ? v : (v + (1 << (n - 1))) >> n;
}

static inline int32_t clipped(int32_t v, int bits)
{
    const int32_t end = 1 << bits;
    return v < -end ? -end : v >= end ? end - 1 : v;
}

static inline int32_t looked_up(const int8_t *table, int32_t v, int n)
{
    return table[clipped(rounded(v, n), PREACTIVATION_BITS) + (1 << PREACTIVATION_BITS)];
}

static inline int32_t readout(const layer *its, int32_t sum)
{
    return clipped(rounded(sum, its->shift), READOUT_BITS);
}

/* The units' new h, of a GRU's sums. */
static void cells(const layer *its)
{
    const int units = its->units;
    const int index = READOUT_FRACTION - PREACTIVATION_FRACTION;
    const int fraction = GATE_FRACTION > STATE_FRACTION ? GATE_FRACTION : STATE_FRACTION;
    int k;
    for (k = 0; k < units; k++) {
        const int32_t *m = its->sums + k;
        const int32_t r = looked_up(sigmoid, readout(its, m[0]), index);
        const int32_t u = looked_up(sigmoid, readout(its, m[units]), index);
        const int32_t pre = readout(its, m[2 * units]) * (1 << GATE_FRACTION) +
                            r * readout(its, m[3 * units]);
        const int32_t c = looked_up(tanh, pre, index + GATE_FRACTION) *
                          (1 << (fraction - GATE_FRACTION));
        const int32_t h = its->kept[k] * (1 << (fraction - STATE_FRACTION));
        const int32_t blend = c * (1 << GATE_FRACTION) + u * (h - c);
        const int32_t kept =
            clipped(rounded(blend, fraction + GATE_FRACTION - STATE_FRACTION), STATE_BITS);
        its->kept[k] = (int16_t)kept;
        its->a[k] =
            (int8_t)clipped(rounded(kept, STATE_FRACTION - ACTIVATION_FRACTION), ACTIVATION_BITS);
    }
}

void reset(void)
{
    int k, n;
    for (k = 0; k < LAYERS; k++) {
        const layer *its = &layers[k];
        for (n = 0; its->weight_h && n < its->units; n++) {
            its->a[n] = 0;
            its->kept[n] = 0;
        }
        begin(its);
    }
}

void frame(void)
{
    const int8_t *v = x;
    int k;
    for (k = 0; k < LAYERS; k++) {
        sum(&layers[k], v);
        if (layers[k].weight_h) {
            cells(&layers[k]);
            v = layers[k].a;
        }
    }
}

PROGRAM(x, RESULTS, KEPT)
