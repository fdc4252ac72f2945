/* A frame of a GRU layer. Accumulators are r, u, xc and hc; what it keeps is h. */
static void deltarnn_gru(const deltarnn_layer *layer, const deltarnn_value *x,
                         const deltarnn_memory *its, uint32_t *events_x, uint32_t *events_h)
{
    const size_t units = layer->units;
    const int fraction = DELTARNN_GATE_FRACTION > DELTARNN_STATE_FRACTION
                             ? DELTARNN_GATE_FRACTION
                             : DELTARNN_STATE_FRACTION;
    const int64_t of_gate = (int64_t)1 << (fraction - DELTARNN_GATE_FRACTION);
    const int64_t of_state = (int64_t)1 << (fraction - DELTARNN_STATE_FRACTION);
    size_t k;
    *events_x = deltarnn_accumulate(its->sums, layer->weight_x, 3 * units, 0, 0, x, its->sent_x,
                                    layer->inputs, layer->theta_x);
    *events_h = deltarnn_accumulate(its->sums, layer->weight_h, 3 * units, units, units, its->a,
                                    its->sent_h, units, layer->theta_h);
    for (k = 0; k < units; k++) {
        const int64_t m_r = deltarnn_readout(layer, its->sums, k);
        const int64_t m_u = deltarnn_readout(layer, its->sums, units + k);
        const int64_t m_xc = deltarnn_readout(layer, its->sums, 2 * units + k);
        const int64_t m_hc = deltarnn_readout(layer, its->sums, 3 * units + k);
        const int index = DELTARNN_READOUT_FRACTION - DELTARNN_PREACTIVATION_FRACTION;
        const int64_t r = deltarnn_look_up(deltarnn_sigmoid, m_r, index);
        const int64_t u = deltarnn_look_up(deltarnn_sigmoid, m_u, index);
        const int64_t pre = m_xc * ((int64_t)1 << DELTARNN_GATE_FRACTION) + r * m_hc;
        const int64_t c =
            of_gate * deltarnn_look_up(deltarnn_tanh, pre, index + DELTARNN_GATE_FRACTION);
        const int64_t h = of_state * its->kept[k];
        const int64_t blend = c * ((int64_t)1 << DELTARNN_GATE_FRACTION) + u * (h - c);
        const int n = fraction + DELTARNN_GATE_FRACTION - DELTARNN_STATE_FRACTION;
        const int64_t kept = deltarnn_sat(deltarnn_rshift(blend, n), DELTARNN_STATE_BITS);
        const int over = DELTARNN_STATE_FRACTION - DELTARNN_ACTIVATION_FRACTION;
        its->kept[k] = (deltarnn_kept)kept;
        its->a[k] =
            (deltarnn_value)deltarnn_sat(deltarnn_rshift(kept, over), DELTARNN_ACTIVATION_BITS);
    }
}
