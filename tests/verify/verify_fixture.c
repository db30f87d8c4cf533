#include "verify_fixture.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"

static char folder[SCRATCH_PATH];

vf_bytes vf_raw(const char *header, size_t data_bytes)
{
    const uint64_t length = strlen(header);
    vf_bytes b = {.data = calloc(1, 8 + length + data_bytes), .size = 8 + length + data_bytes};
    cr_assert_not_null(b.data);
    memcpy(b.data, &length, 8);
    memcpy(b.data + 8, header, length);
    return b;
}

vf_bytes vf_case(const char *metadata, const float *expected)
{
    const float rewards[4] = {0, 0, 1, 1};
    char header[2048];
    snprintf(header, sizeof header,
             "{\"__metadata__\":{\"merit.case\":\"1\",\"merit.op\":\"advantage_group\"%s},"
             "\"in.rewards\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},"
             "\"out.advantages\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,32]}}",
             metadata[0] != '\0' ? metadata
                                 : ",\"merit.desc\":\"{\\\"groups\\\":{\\\"group_size\\\":4},"
                                   "\\\"ddof\\\":0,\\\"eps\\\":0}\"");
    vf_bytes b = vf_raw(header, 32);
    memcpy(b.data + b.size - 32, rewards, 16);
    memcpy(b.data + b.size - 16, expected, 16);
    return b;
}

void vf_free(vf_bytes *bytes)
{
    free(bytes->data);
    *bytes = (vf_bytes){0};
}

// Files -------------------------------------------------------------------------------------------

const char *vf_folder(void)
{
    if (folder[0] == '\0') {
        cr_assert(scratch_folder(folder) == 0, "no temporary folder");
    }
    return folder;
}

const char *vf_path(const char *name)
{
    static char paths[4][SCRATCH_PATH + 64];
    static int next;
    char *const path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%.48s", vf_folder(), name);
    return path;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info, (void)type, (void)walk;
    return remove(path);
}

void vf_done(void)
{
    if (folder[0] != '\0') nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    folder[0] = '\0';
}

const char *vf_write(const char *name, vf_bytes bytes)
{
    const char *const path = vf_path(name);
    FILE *const file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
    fclose(file);
    return path;
}

vf_bytes vf_read(const char *path)
{
    vf_bytes b = {.data = malloc(1 << 20)};
    FILE *const file = fopen(path, "rb");
    cr_assert_not_null(file, "cannot open %s", path);
    b.size = fread(b.data, 1, 1 << 20, file);
    cr_assert(b.size < 1 << 20);
    fclose(file);
    return b;
}

// The program -------------------------------------------------------------------------------------

static char *text_of(const char *path)
{
    vf_bytes b = vf_read(path);
    b.data[b.size] = '\0';
    return (char *)b.data;
}

vf_result vf_run(const char *format, ...)
{
    char arguments[1024], command[2048];
    va_list list;
    va_start(list, format);
    vsnprintf(arguments, sizeof arguments, format, list);
    va_end(list);
    const char *const out = vf_path("stdout"), *const err = vf_path("stderr");
    snprintf(command, sizeof command, "\"%s\" %s >\"%s\" 2>\"%s\"", VERIFY_PROGRAM, arguments, out,
             err);
    const int status = system(command);
    return (vf_result){.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                       .out = text_of(out),
                       .err = text_of(err)};
}

void vf_result_free(vf_result *result)
{
    free(result->out);
    free(result->err);
    *result = (vf_result){0};
}
