// Replays cases and reports one after the other, in their order.
#ifndef MERIT_VERIFY_REPLAY_H
#define MERIT_VERIFY_REPLAY_H

#include <jansson.h>

#include "case_backend.h"
#include "case_paths.h"

// Memory that a case may need beyond what its tensors hold.
#define REPLAY_EXTRA_BYTES ((size_t)1 << 30)

typedef struct replay {
    const char *backend; // as case_backends_open takes it
    const char *record; // folder, NULL: nothing is recorded
    bool json;
    int jobs; // processes
    case_paths paths;

    case_backend backends[CASE_MAX_BACKENDS];
    int num_backends;

    json_t *rows; // of all cases, if json
    json_t *errors; // {file, error} of what could not be used
    int held, failed, unusable;
} replay;

// What cannot be used is told on stderr at once. False with a sentence when nothing could be run.
bool replay_run(replay *r, case_error *error);

// Notes what cannot be used. path "": no file of its own.
void replay_complain(replay *r, const char *path, const char *sentence);

#endif
