/* rshift of the numerics: floor(v / 2^n + 1/2), or v * 2^-n. Only non-negative numbers are shifted,
 * which C99 defines. */
static int64_t deltarnn_rshift(int64_t v, int n)
{
    if (n <= 0) {
        return v * ((int64_t)1 << -n);
    }
    v += (int64_t)1 << (n - 1);
    return v >= 0 ? v >> n : -1 - ((-1 - v) >> n);
}

/* sat: clips to a format of 1 + bits bits. */
static int64_t deltarnn_sat(int64_t v, int bits)
{
    const int64_t end = (int64_t)1 << bits;
    return v < -end ? -end : v >= end ? end - 1 : v;
}

/* Accumulators begin as their biases. */
static void deltarnn_load(deltarnn_sum *sums, const int32_t *bias, size_t count)
{
    size_t i;
    for (i = 0; i < count; i++) {
        sums[i] = bias[i];
    }
}

/* The entry of a table for v, which has n fraction bits more than the table's index. */
static int64_t deltarnn_look_up(const deltarnn_gate *table, int64_t v, int n)
{
    const int64_t index = deltarnn_sat(deltarnn_rshift(v, n), DELTARNN_PREACTIVATION_BITS);
    return table[index + ((int64_t)1 << DELTARNN_PREACTIVATION_BITS)];
}

/* R(M) of the accumulator i of a layer. */
static int64_t deltarnn_readout(const deltarnn_layer *layer, const deltarnn_sum *sums, size_t i)
{
    const int row = layer->shift == NULL ? 0 : layer->shift[i];
    const int n = DELTARNN_ACTIVATION_FRACTION + layer->weight_fraction + row;
    return deltarnn_sat(deltarnn_rshift(sums[i], n - DELTARNN_READOUT_FRACTION),
                        DELTARNN_READOUT_BITS);
}

/* By how much v has moved from what was last sent of it; 0 unless that is more than theta. What
 * has moved is sent. */
static int32_t deltarnn_delta(deltarnn_value v, deltarnn_value *sent, int32_t theta)
{
    const int32_t d = (int32_t)v - (int32_t)*sent;
    if (d <= theta && -d <= theta) {
        return 0;
    }
    *sent = v;
    return d;
}

/* Adds d times a column of weights to as many accumulators. */
static void deltarnn_add(deltarnn_sum *sums, const int8_t *column, size_t rows, int32_t d)
{
    size_t i;
    for (i = 0; i < rows; i++) {
        sums[i] += column[i] * d;
    }
}

/* Adds the columns of all elements of v that fire; returns how many they are. A column has `rows`
 * weights, and the last `apart` of them belong to the accumulators `gap` further on. */
static uint32_t deltarnn_accumulate(deltarnn_sum *sums, const int8_t *weights, size_t rows,
                                    size_t apart, size_t gap, const deltarnn_value *v,
                                    deltarnn_value *sent, size_t elements, int32_t theta)
{
    const size_t first = rows - apart;
    uint32_t events = 0;
    size_t j;
    for (j = 0; j < elements; j++) {
        const int32_t d = deltarnn_delta(v[j], &sent[j], theta);
        if (d != 0) {
            const int8_t *column = weights + rows * j;
            deltarnn_add(sums, column, first, d);
            deltarnn_add(sums + first + gap, column + first, apart, d);
            events++;
        }
    }
    return events;
}
