#include "case_paths.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 16 };

// Its name begins `before` bytes into the path.
static bool append(case_paths *list, const char *path, size_t before, case_error *error)
{
    case_path *const grown = realloc(list->at, sizeof *grown * (size_t)(list->count + 1));
    if (grown == NULL) return case_fail(error, "no memory for the list of cases");
    list->at = grown;
    char *const copy = strdup(path);
    if (copy == NULL) return case_fail(error, "no memory for the list of cases");
    grown[list->count++] = (case_path){.path = copy, .name = copy + before};
    return true;
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool is_case(const char *name)
{
    static const char suffix[] = ".safetensors";
    const size_t length = strlen(name), tail = sizeof suffix - 1;
    return length > tail && strcmp(name + length - tail, suffix) == 0;
}

static bool add_folder(case_paths *list, const char *folder, size_t before, int depth,
                       case_error *error)
{
    struct dirent **entries = NULL;
    const int n = scandir(folder, &entries, NULL, alphasort);
    if (n < 0) return case_fail(error, "cannot be listed: %s", strerror(errno));
    bool good = true;
    for (int i = 0; i < n; i++) {
        char *path = NULL;
        if (good && entries[i]->d_name[0] != '.') {
            good = asprintf(&path, "%s/%s", folder, entries[i]->d_name) >= 0;
            if (!good) path = NULL;
        }
        if (path != NULL && is_folder(path)) {
            good = depth == MAX_DEPTH ? case_fail(error, "%s lies too deep", path)
                                      : add_folder(list, path, before, depth + 1, error);
        } else if (path != NULL && is_case(path)) {
            good = append(list, path, before, error);
        }
        free(path);
        free(entries[i]);
    }
    free(entries);
    return good;
}

bool case_paths_add(case_paths *list, const char *path, case_error *error)
{
    const char *const slash = strrchr(path, '/');
    if (!is_folder(path)) {
        return append(list, path, slash != NULL ? (size_t)(slash + 1 - path) : 0, error);
    }
    const int count = list->count;
    if (!add_folder(list, path, strlen(path) + 1, 0, error)) return false;
    return list->count > count || case_fail(error, "holds no *.safetensors");
}

void case_paths_free(case_paths *list)
{
    for (int i = 0; i < list->count; i++) {
        free(list->at[i].path);
    }
    free(list->at);
    *list = (case_paths){0};
}
