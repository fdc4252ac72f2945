/* A frame of an LSTM layer. Accumulators are i, f, g and o; what it keeps is c. */
static void deltarnn_lstm(const deltarnn_layer *layer, const deltarnn_value *x,
                          const deltarnn_memory *its, uint32_t *events_x, uint32_t *events_h)
{
    const size_t units = layer->units;
    const int fraction = DELTARNN_GATE_FRACTION > DELTARNN_CELL_FRACTION ? DELTARNN_GATE_FRACTION
                                                                         : DELTARNN_CELL_FRACTION;
    const int64_t of_gate = (int64_t)1 << (fraction - DELTARNN_GATE_FRACTION);
    const int64_t of_cell = (int64_t)1 << (fraction - DELTARNN_CELL_FRACTION);
    size_t k;
    *events_x = deltarnn_accumulate(its->sums, layer->weight_x, 4 * units, 0, 0, x, its->sent_x,
                                    layer->inputs, layer->theta_x);
    *events_h = deltarnn_accumulate(its->sums, layer->weight_h, 4 * units, 0, 0, its->a,
                                    its->sent_h, units, layer->theta_h);
    for (k = 0; k < units; k++) {
        const int64_t m_i = deltarnn_readout(layer, its->sums, k);
        const int64_t m_f = deltarnn_readout(layer, its->sums, units + k);
        const int64_t m_g = deltarnn_readout(layer, its->sums, 2 * units + k);
        const int64_t m_o = deltarnn_readout(layer, its->sums, 3 * units + k);
        const int index = DELTARNN_READOUT_FRACTION - DELTARNN_PREACTIVATION_FRACTION;
        const int64_t i = deltarnn_look_up(deltarnn_sigmoid, m_i, index);
        const int64_t f = deltarnn_look_up(deltarnn_sigmoid, m_f, index);
        const int64_t g = deltarnn_look_up(deltarnn_tanh, m_g, index);
        const int64_t o = deltarnn_look_up(deltarnn_sigmoid, m_o, index);
        const int64_t both = f * its->kept[k] * of_cell + i * g * of_gate;
        const int n = fraction + DELTARNN_GATE_FRACTION - DELTARNN_CELL_FRACTION;
        const int64_t kept = deltarnn_sat(deltarnn_rshift(both, n), DELTARNN_CELL_BITS);
        const int64_t y = deltarnn_look_up(
            deltarnn_tanh, kept, DELTARNN_CELL_FRACTION - DELTARNN_PREACTIVATION_FRACTION);
        const int over = 2 * DELTARNN_GATE_FRACTION - DELTARNN_ACTIVATION_FRACTION;
        its->kept[k] = (deltarnn_kept)kept;
        its->a[k] =
            (deltarnn_value)deltarnn_sat(deltarnn_rshift(o * y, over), DELTARNN_ACTIVATION_BITS);
    }
}
