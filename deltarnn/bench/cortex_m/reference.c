/* The delta network as `deltarnn reference` writes it. */
#include "model.c"
#include "program.h"

static deltarnn_state state;
static deltarnn_value x[DELTARNN_INPUTS];
static deltarnn_out out;

void *memset(void *to, int value, size_t count)
{
    unsigned char *next = to;
    while (count-- > 0) {
        *next++ = (unsigned char)value;
    }
    return to;
}

void reset(void)
{
    deltarnn_reset(&state);
}

void frame(void)
{
    deltarnn_frame(&state, x, &out);
}

PROGRAM(x, out.results, DELTARNN_KEPT(&state))
