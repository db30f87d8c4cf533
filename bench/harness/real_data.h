// Arrays of bytes from .npy files of a data folder.
#ifndef MERIT_BENCH_REAL_DATA_H
#define MERIT_BENCH_REAL_DATA_H

#include "bench.h"

typedef struct bench_bytes {
    unsigned char *values; // free() when done
    int64_t rows;
    int64_t columns;
} bench_bytes;

// Reads folder/name, a uint8 array [rows, columns] in C order. False with the reason.
bool bench_read_bytes(const char *folder, const char *name, bench_bytes *bytes,
                      char reason[BENCH_TEXT]);

#endif
