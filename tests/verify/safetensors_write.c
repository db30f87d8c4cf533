#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "safetensors.h"

// Widest elements first, so that every tensor is aligned to its own type in the data.
static int *order_of(const st_tensor *tensors, int n)
{
    int *const order = malloc(sizeof(int) * (size_t)(n + 1));
    if (order == NULL) return NULL;
    int used = 0;
    for (size_t bytes = 8; bytes >= 1; bytes /= 2) {
        for (int i = 0; i < n; i++) {
            if (st_dtype_bytes(tensors[i].dtype) == bytes) order[used++] = i;
        }
    }
    return order;
}

static char *header_text(json_t *metadata, const st_tensor *tensors, const int *order, int n)
{
    json_t *const header = json_object();
    json_object_set(header, "__metadata__", metadata);
    json_int_t begin = 0;
    for (int i = 0; i < n; i++) {
        const st_tensor *const t = &tensors[order[i]];
        json_t *const shape = json_array();
        for (int d = 0; d < t->rank; d++) {
            json_array_append_new(shape, json_integer(t->shape[d]));
        }
        const json_int_t end = begin + (json_int_t)t->bytes;
        json_object_set_new(header, t->name,
                            json_pack("{s:s, s:o, s:[I,I]}", "dtype", st_dtype_name(t->dtype),
                                      "shape", shape, "data_offsets", begin, end));
        begin = end;
    }
    char *const text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    return text;
}

static bool write_all(FILE *stream, const char *header, const st_tensor *tensors, const int *order,
                      int n)
{
    // Spaces after the header put the data at a multiple of eight bytes.
    const uint64_t length = (strlen(header) + 7) / 8 * 8;
    for (int i = 0; i < 8; i++) {
        putc((int)(length >> (8 * i) & 0xff), stream);
    }
    fprintf(stream, "%-*s", (int)length, header);
    for (int i = 0; i < n; i++) {
        fwrite(tensors[order[i]].data, 1, tensors[order[i]].bytes, stream);
    }
    return !ferror(stream);
}

bool st_write(const char *path, json_t *metadata, const st_tensor *tensors, int num_tensors,
              case_error *error)
{
    int *const order = order_of(tensors, num_tensors);
    char *const header = order != NULL ? header_text(metadata, tensors, order, num_tensors) : NULL;
    char *temporary = NULL;
    bool good = false;
    if (header == NULL || asprintf(&temporary, "%s.%ld.part", path, (long)getpid()) < 0) {
        temporary = NULL;
        case_fail(error, "no memory to write the file");
        goto cleanup;
    }
    const int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    FILE *const stream = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (stream == NULL) {
        case_fail(error, "cannot be written: %s", strerror(errno));
        if (fd >= 0) close(fd);
        goto cleanup;
    }
    good = fchmod(fd, 0644) == 0 && write_all(stream, header, tensors, order, num_tensors);
    good = fclose(stream) == 0 && good;
    good = good && rename(temporary, path) == 0;
    if (!good) {
        case_fail(error, "cannot be written: %s", strerror(errno));
        unlink(temporary);
    }
cleanup:
    free(temporary);
    free(header);
    free(order);
    return good;
}
