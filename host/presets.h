// Named presets as data: rows of a name and a descriptor whose options are copied over the caller's.
#ifndef MERIT_PRESETS_H
#define MERIT_PRESETS_H

#include <stddef.h>

#include "check.h"

typedef struct merit_preset_table {
    const void *rows; // the first member of each: const char *name
    size_t row_bytes;
    size_t options_offset; // of the descriptor in a row
    int32_t count;
    size_t begin, end; // bytes of the descriptor that hold options
    size_t keep_begin, keep_end; // a size among them that is the caller's; equal: none
} merit_preset_table;

// `function`: the public one, for sentences. An unknown name is NOT_FOUND, and nothing is written.
merit_status merit_preset_apply(const char *function, const merit_preset_table *table,
                                const char *name, void *desc);

// NULL where there is none.
const char *merit_preset_name(const merit_preset_table *table, int32_t i);

// A row of an operation.
#define MERIT_PRESET_ROW(op)          \
    typedef struct merit_##op##_row { \
        const char *name;             \
        merit_##op##_desc options;    \
    } merit_##op##_row

// Defines merit_OP_preset and merit_OP_preset_name from `presets`, an array of rows. The options are all
// fields from `first` to `last`, but for those from `kept` to the one before `resumed`.
#define MERIT_PRESETS_KEEPING(op, presets, first, last, kept, resumed)          \
    static const merit_preset_table op##_table = {                              \
        .rows = (presets),                                                      \
        .row_bytes = sizeof(presets)[0],                                        \
        .options_offset = offsetof(merit_##op##_row, options),                  \
        .count = (int32_t)(sizeof(presets) / sizeof(presets)[0]),               \
        .begin = offsetof(merit_##op##_desc, first),                            \
        .end = MERIT_SIZE_0_1(merit_##op##_desc, last),                         \
        .keep_begin = offsetof(merit_##op##_desc, kept),                        \
        .keep_end = offsetof(merit_##op##_desc, resumed),                       \
    };                                                                          \
    merit_status merit_##op##_preset(const char *name, merit_##op##_desc *desc) \
    {                                                                           \
        return merit_preset_apply(__func__, &op##_table, name, desc);           \
    }                                                                           \
    const char *merit_##op##_preset_name(int32_t i)                             \
    {                                                                           \
        return merit_preset_name(&op##_table, i);                               \
    }

#define MERIT_PRESETS(op, presets, first, last) \
    MERIT_PRESETS_KEEPING(op, presets, first, last, first, first)

#endif
