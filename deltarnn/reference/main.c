#ifdef DELTARNN_MAIN
/* Frames from standard input, of int8 or little-endian int16; begins at reset. For each of them
 * goes to standard output, as little-endian int64: the results, what the last recurrent layer
 * keeps, then how many x and how many h of each layer fired. */
#include <stdio.h>

static void deltarnn_put(int64_t value)
{
    const uint64_t bits = (uint64_t)value;
    int n;
    for (n = 0; n < 64; n += 8) {
        putchar((int)(bits >> n & 0xFFu));
    }
}

/* The next element: 1 if there is one, 0 at the end, -1 if it is cut off or out of its format. */
static int deltarnn_get(deltarnn_value *value)
{
    const int bytes = (int)sizeof *value;
    int32_t code = 0;
    int n;
    for (n = 0; n < bytes; n++) {
        const int byte = getchar();
        if (byte == EOF) {
            return n == 0 ? 0 : -1;
        }
        code += (int32_t)byte * (n == 0 ? 1 : 256);
    }
    if (code >= (bytes == 1 ? 128 : 32768)) {
        code -= bytes == 1 ? 256 : 65536;
    }
    *value = (deltarnn_value)code;
    return deltarnn_sat(code, DELTARNN_ACTIVATION_BITS) == code ? 1 : -1;
}

int main(void)
{
    static deltarnn_state state;
    static deltarnn_out out;
    static deltarnn_value x[DELTARNN_INPUTS];
    unsigned long frame = 0;
    deltarnn_reset(&state);
    for (;; frame++) {
        size_t n;
        for (n = 0; n < DELTARNN_INPUTS; n++) {
            const int got = deltarnn_get(&x[n]);
            if (got == 0 && n == 0) {
                return fflush(stdout) == 0 && !ferror(stdin) ? 0 : 1;
            }
            if (got != 1) {
                fprintf(stderr,
                        "standard input: found frame %lu %s, expected %lu codes from %ld to %ld\n",
                        frame, feof(stdin) ? "cut off" : "with a code out of range",
                        (unsigned long)DELTARNN_INPUTS, -(1L << DELTARNN_ACTIVATION_BITS),
                        (1L << DELTARNN_ACTIVATION_BITS) - 1);
                return 2;
            }
        }
        deltarnn_frame(&state, x, &out);
        for (n = 0; n < DELTARNN_OUTPUTS; n++) {
            deltarnn_put(out.results[n]);
        }
        for (n = 0; n < DELTARNN_UNITS; n++) {
            deltarnn_put(DELTARNN_KEPT(&state)[n]);
        }
        for (n = 0; n < DELTARNN_LAYERS; n++) {
            deltarnn_put(out.events_x[n]);
        }
        for (n = 0; n < DELTARNN_LAYERS; n++) {
            deltarnn_put(out.events_h[n]);
        }
    }
}
#endif
