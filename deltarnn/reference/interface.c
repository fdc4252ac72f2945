/* What a frame gives: its results, and how many inputs and units of each layer fired. */
typedef struct {
    deltarnn_result results[DELTARNN_OUTPUTS];
    uint32_t events_x[DELTARNN_LAYERS];
    uint32_t events_h[DELTARNN_LAYERS];
} deltarnn_out;

void deltarnn_reset(deltarnn_state *state);

/* x: DELTARNN_INPUTS activations, within their format. */
void deltarnn_frame(deltarnn_state *state, const deltarnn_value *x, deltarnn_out *out);

/* A layer's numbers and arrays. Weights lie column after column, so that one that did not fire is
 * not read; shift holds row shifts, or is NULL. */
typedef struct {
    size_t inputs, units;
    int weight_fraction;
    int32_t theta_x, theta_h;
    const int8_t *weight_x, *weight_h, *shift;
} deltarnn_layer;

/* The part of the state that is a layer's. */
typedef struct {
    deltarnn_value *sent_x, *sent_h, *a;
    deltarnn_sum *sums;
    deltarnn_kept *kept;
} deltarnn_memory;
