/* What whoever runs a program calls and reads: it lies at address 0. */
typedef struct {
    void (*reset)(void);
    void (*frame)(void);
    int8_t *x;
    const void *results, *kept; /* of a frame; what the last recurrent layer's units keep */
    uint32_t result_bytes, kept_bytes;
} program_table;

#define PROGRAM(x, results, kept)                                                                  \
    __attribute__((section(".table"), used)) static const program_table table = {                  \
        reset, frame, x, results, kept, sizeof *(results), sizeof *(kept)};
