#include "real_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER = 4096 };

// The header of an .npy file, version 1.0: magic, version, length and a Python dictionary.
static bool read_header(FILE *file, char header[MAX_HEADER])
{
    unsigned char start[10];
    if (fread(start, 1, sizeof start, file) != sizeof start) return false;
    if (memcmp(start, "\x93NUMPY\x01", 7) != 0) return false;
    const size_t length = (size_t)start[8] | (size_t)start[9] << 8;
    if (length >= MAX_HEADER || fread(header, 1, length, file) != length) return false;
    header[length] = '\0';
    return true;
}

static bool read_array(FILE *file, bench_bytes *bytes)
{
    char header[MAX_HEADER];
    if (!read_header(file, header)) return false;
    if (strstr(header, "'descr': '|u1'") == NULL) return false;
    if (strstr(header, "'fortran_order': False") == NULL) return false;
    const char *const shape = strstr(header, "'shape': (");
    long long rows = 0, columns = 0;
    if (shape == NULL || sscanf(shape, "'shape': (%lld, %lld)", &rows, &columns) != 2) return false;
    if (rows <= 0 || columns <= 0 || rows > 1 << 24 || columns > 1 << 10) return false;
    const size_t count = (size_t)(rows * columns);
    *bytes = (bench_bytes){malloc(count), rows, columns};
    if (bytes->values != NULL && fread(bytes->values, 1, count, file) == count) return true;
    free(bytes->values);
    return false;
}

bool bench_read_bytes(const char *folder, const char *name, bench_bytes *bytes,
                      char reason[BENCH_TEXT])
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *const file = fopen(path, "rb");
    if (file == NULL) {
        snprintf(reason, BENCH_TEXT, "%.60s is not in the data folder", name);
        return false;
    }
    const bool good = read_array(file, bytes);
    fclose(file);
    if (!good) snprintf(reason, BENCH_TEXT, "%.60s is not a uint8 [rows, columns] array", name);
    return good;
}
