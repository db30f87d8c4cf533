#include "presets.h"

#include <string.h>

static const unsigned char *row_at(const merit_preset_table *table, int32_t i)
{
    return (const unsigned char *)table->rows + (size_t)i * table->row_bytes;
}

const char *merit_preset_name(const merit_preset_table *table, int32_t i)
{
    if (i < 0 || i >= table->count) return NULL;
    const char *name;
    memcpy(&name, row_at(table, i), sizeof name);
    return name;
}

merit_status merit_preset_apply(const char *function, const merit_preset_table *table,
                                const char *name, void *desc)
{
    if (name == NULL) return merit_fail_in(function, MERIT_STATUS_INVALID_ARGUMENT, "name is NULL");
    if (desc == NULL) return merit_fail_in(function, MERIT_STATUS_INVALID_ARGUMENT, "desc is NULL");
    size_t struct_size; // the first member of every descriptor
    memcpy(&struct_size, desc, sizeof struct_size);
    if (struct_size < table->end) {
        return merit_fail_in(function, MERIT_STATUS_INVALID_ARGUMENT,
                             "desc->struct_size is %zu, expected at least %zu", struct_size,
                             table->end);
    }
    for (int32_t i = 0; i < table->count; i++) {
        if (strcmp(merit_preset_name(table, i), name) != 0) continue;
        const unsigned char *const options = row_at(table, i) + table->options_offset;
        const int keeps = table->keep_begin < table->keep_end;
        merit_copy_fields(desc, options, table->begin, keeps ? table->keep_begin : table->end);
        if (keeps) merit_copy_fields(desc, options, table->keep_end, table->end);
        return MERIT_STATUS_OK;
    }
    return merit_fail_in(function, MERIT_STATUS_NOT_FOUND, "there is no preset named \"%s\"", name);
}
