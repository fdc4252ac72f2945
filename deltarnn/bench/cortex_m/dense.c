/* Every weight in every frame, a row after the other. */
#include <stdint.h>
typedef int8_t weight;
#include "gru.h"

static void begin(const layer *its)
{
    (void)its;
}

static void rows(int32_t *sums, const int32_t *first, const weight *w, int count, int columns,
                 const int8_t *v)
{
    int i, j;
    for (i = 0; i < count; i++) {
        int32_t sum = first[i];
        for (j = 0; j < columns; j++) {
            sum += w[j] * v[j];
        }
        sums[i] = sum;
        w += columns;
    }
}

static void sum(const layer *its, const int8_t *v)
{
    const int units = its->units;
    if (!its->weight_h) {
        rows(its->sums, its->bias, its->weight_x, units, its->inputs, v);
        return;
    }
    rows(its->sums, its->bias, its->weight_x, 3 * units, its->inputs, v);
    rows(its->sums, its->sums, its->weight_h, 2 * units, units, its->a);
    rows(its->sums + 3 * units, its->bias + 3 * units, its->weight_h + 2 * units * units, units,
         units, its->a);
}
