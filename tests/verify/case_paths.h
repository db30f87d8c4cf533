// Arguments to case files: files as they are, folders searched for *.safetensors.
#ifndef MERIT_CASE_PATHS_H
#define MERIT_CASE_PATHS_H

#include "case_error.h"

typedef struct case_path {
    char *path;
    const char *name; // end of `path`: below the folder it was found in, or that of the file
} case_path;

typedef struct case_paths {
    case_path *at;
    int count;
} case_paths;

// Adds a file, or what a folder holds, in the order of names.
bool case_paths_add(case_paths *list, const char *path, case_error *error);
void case_paths_free(case_paths *list);

#endif
