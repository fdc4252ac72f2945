/* All that the programs take of a C library; reference.c has it. */
#include <stddef.h>

void *memset(void *to, int value, size_t count);
