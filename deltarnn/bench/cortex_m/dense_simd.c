/* Every weight in every frame, two products an instruction: a word of weights is four columns of
 * one row, and the words of four rows follow each other. */
#include <stdint.h>
typedef uint32_t weight;
#include "gru.h"

static uint32_t pairs[WIDEST / 2]; /* of v: elements 0 and 2 of each four, then 1 and 3 */

static void begin(const layer *its)
{
    (void)its;
}

static void widen(const int8_t *v, int count)
{
    const uint32_t *words = (const uint32_t *)v;
    int j;
    for (j = 0; j < count / 4; j++) {
        pairs[2 * j] = __sxtb16(words[j]);
        pairs[2 * j + 1] = __sxtb16(__ror(words[j], 8));
    }
}

static inline int32_t four(uint32_t w, uint32_t even, uint32_t odd, int32_t sum)
{
    return __smlad(__sxtb16(__ror(w, 8)), odd, __smlad(__sxtb16(w), even, sum));
}

/* Sums that begin with `first`, of the widened v. It is not inlined, so that pointers and sums all
 * stay in registers. */
__attribute__((noinline)) static void rows(int32_t *sums, const int32_t *first, const weight *w,
                                           int count, int columns, const uint32_t *begin)
{
    const uint32_t *const end = begin + columns / 2;
    int i;
    for (i = 0; i < count; i += 4) {
        int32_t s0 = first[i], s1 = first[i + 1], s2 = first[i + 2], s3 = first[i + 3];
        const uint32_t *p;
#pragma clang loop unroll(disable)
        for (p = begin; p < end; p += 2, w += 4) {
            const uint32_t even = p[0], odd = p[1];
            s0 = four(w[0], even, odd, s0);
            s1 = four(w[1], even, odd, s1);
            s2 = four(w[2], even, odd, s2);
            s3 = four(w[3], even, odd, s3);
        }
        sums[i] = s0, sums[i + 1] = s1, sums[i + 2] = s2, sums[i + 3] = s3;
    }
}

static void sum(const layer *its, const int8_t *v)
{
    const int units = its->units;
    widen(v, its->inputs);
    if (!its->weight_h) {
        rows(its->sums, its->bias, its->weight_x, units, its->inputs, pairs);
        return;
    }
    rows(its->sums, its->bias, its->weight_x, 3 * units, its->inputs, pairs);
    widen(its->a, units);
    rows(its->sums, its->sums, its->weight_h, 2 * units, units, pairs);
    rows(its->sums + 3 * units, its->bias + 3 * units, its->weight_h + units * units / 2, units,
         units, pairs);
}
