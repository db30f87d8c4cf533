#include "scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void scratch_path(char path[SCRATCH_PATH])
{
    static int number;
    const char *const base = getenv("TMPDIR");
    const char *const folder = base != NULL && base[0] != '\0' ? base : "/tmp";
    do {
        snprintf(path, SCRATCH_PATH, "%.200s/merit_%ld_%d", folder, (long)getpid(), number++);
    } while (access(path, F_OK) == 0); // left by an earlier process of the same number
}

int scratch_folder(char path[SCRATCH_PATH])
{
    scratch_path(path);
    return mkdir(path, 0700);
}
