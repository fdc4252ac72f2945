/* A frame of a linear layer: its results are its accumulators. */
static void deltarnn_linear(const deltarnn_layer *layer, const deltarnn_value *x,
                            const deltarnn_memory *its, uint32_t *events_x, uint32_t *events_h)
{
    *events_x = deltarnn_accumulate(its->sums, layer->weight_x, layer->units, 0, 0, x, its->sent_x,
                                    layer->inputs, layer->theta_x);
    *events_h = 0;
}
