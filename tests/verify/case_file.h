// A case: one call of one operation, read from a safetensors file and checked down to the last
// size, so that running it touches only memory that is there.
//
// Metadata: merit.case "1", merit.op, merit.preset, merit.desc, merit.check, merit.note,
// merit.status, merit.alias. Tensors: in.<parameter>, out.<parameter>, out.diagnostics.<counter>.
// Outputs start as bytes 0xcd: an element that the operation leaves alone is expected to hold them.
#ifndef MERIT_CASE_FILE_H
#define MERIT_CASE_FILE_H

#include "compare.h"
#include "ops.h"

enum { CASE_FILL = 0xcd };

// One pointer of the call.
typedef struct case_slot {
    const case_array *array;
    const st_tensor *given; // input, or expected output; NULL: none
    bool used; // else the pointer is NULL
    st_dtype dtype;
    int rank;
    int64_t dims[CASE_MAX_RANK], strides[CASE_MAX_RANK]; // elements
    int64_t count; // product of dims
    size_t bytes; // of the buffer, gaps between strides included
    int alias; // slot of the input whose memory this output takes, -1: its own
    compare_rule rule; // outputs
} case_slot;

typedef struct case_counter {
    const st_tensor *expected; // U64, one element; NULL: not compared
    compare_rule rule;
} case_counter;

typedef struct case_file {
    st_file file;
    const case_op *op;
    const char *preset, *note; // NULL: none
    merit_status status;
    json_t *desc_json, *check, *alias; // objects
    void *desc; // everything set but the pointers
    void *io; // likewise
    field_memory lists;
    size_t extra_bytes; // bound on memory beyond what the tensors hold: outputs, gaps, workspace
    case_slot slots[CASE_MAX_ARRAYS]; // in the order of op->arrays
    int num_slots;
    case_counter counters[MERIT_NUM_COUNTERS];
} case_file;

// Reads a case that needs at most `extra_bytes` of memory beyond what its tensors hold (outputs that
// it does not expect, gaps between strides; as much again for the workspace). False with a sentence:
// nothing is held then.
bool case_read(case_file *c, const char *path, size_t extra_bytes, case_error *error);

// As case_read, from memory that outlives the case.
bool case_parse(case_file *c, const void *bytes, size_t size, size_t extra_bytes,
                case_error *error);
void case_free(case_file *c);

const char *case_counter_name(int i); // "nan_in"; NULL for a counter without a name
const char *case_status_name(merit_status status); // "invalid_argument"

// Fits tensors and options together; the second half of case_read.
bool case_bind(case_file *c, case_error *error);

#endif
