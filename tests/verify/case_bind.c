// Fits the tensors of a case to its options: element types, sizes, strides. What passes here is
// consistent: every buffer is as large as the call may assume from the descriptor.
#include <string.h>

#include "case_file.h"

// Element types -----------------------------------------------------------------------------------

static const struct {
    st_dtype dtype;
    merit_dtype merit;
} dtype_pairs[] = {{ST_F32, MERIT_DTYPE_F32},   {ST_F64, MERIT_DTYPE_F64},
                   {ST_BF16, MERIT_DTYPE_BF16}, {ST_F16, MERIT_DTYPE_F16},
                   {ST_I32, MERIT_DTYPE_I32},   {ST_I64, MERIT_DTYPE_I64}};
enum { NUM_PAIRS = (int)(sizeof dtype_pairs / sizeof dtype_pairs[0]) };

static bool from_merit(int32_t merit, st_dtype *dtype)
{
    for (int i = 0; i < NUM_PAIRS; i++) {
        if ((int32_t)dtype_pairs[i].merit != merit) continue;
        *dtype = dtype_pairs[i].dtype;
        return true;
    }
    return false;
}

static int32_t to_merit(st_dtype dtype)
{
    for (int i = 0; i < NUM_PAIRS; i++) {
        if (dtype_pairs[i].dtype == dtype) return (int32_t)dtype_pairs[i].merit;
    }
    return -1;
}

static bool allowed(const case_array *a, st_dtype dtype)
{
    return (a->dtypes & CASE_DTYPE(dtype)) != 0;
}

static st_dtype widest(unsigned dtypes)
{
    st_dtype best = ST_U8;
    for (int d = 0; d < ST_NUM_DTYPES; d++) {
        if ((dtypes & CASE_DTYPE(d)) != 0 && st_dtype_bytes(d) >= st_dtype_bytes(best)) best = d;
    }
    return best;
}

static const char *field_at(const case_op *op, size_t offset)
{
    const field *f = op->fields;
    while (f->name != NULL && f->offset != offset) {
        f++;
    }
    return f->name;
}

static bool wrong_dtype(const case_slot *s, case_error *error)
{
    case_fail(error, "tensor \"%.80s\" is %s, expected", s->given->name,
              st_dtype_name(s->given->dtype));
    const char *separator = "";
    for (int d = 0; d < ST_NUM_DTYPES; d++) {
        const bool fits = allowed(s->array, (st_dtype)d) || (s->array->output && d == ST_F64);
        if (fits) {
            case_append(error, "%s %s", separator, st_dtype_name((st_dtype)d));
            separator = ",";
        }
    }
    return false;
}

// The type of an array whose type is an option: the descriptor's when the case sets it, else that
// of the tensor, else the default.
static bool bind_option_dtype(case_file *c, case_slot *s, int setter[], case_error *error)
{
    int32_t *const option = (int32_t *)((unsigned char *)c->desc + s->array->dtype_offset);
    const char *const name = field_at(c->op, s->array->dtype_offset);
    const bool stated = json_object_get(c->desc_json, name) != NULL;
    const int self = (int)(s - c->slots);
    if (s->given != NULL && !stated) {
        for (int i = 0; i < self; i++) {
            if (setter[i] != 0 && c->slots[i].array->dtype_offset == s->array->dtype_offset &&
                *option != to_merit(s->given->dtype)) {
                return case_fail(error, "tensors \"%.80s\" and \"%.80s\" differ in type",
                                 c->slots[i].given->name, s->given->name);
            }
        }
        *option = to_merit(s->given->dtype);
        setter[self] = 1;
    }
    if (!from_merit(*option, &s->dtype) || !allowed(s->array, s->dtype)) {
        // A value to be rejected: room for any type that it could be taken for.
        s->dtype = ST_F64;
        return true;
    }
    if (s->given == NULL || s->given->dtype == s->dtype) return true;
    if (s->array->output && s->given->dtype == ST_F64) return true;
    return case_fail(error, "tensor \"%.80s\" is %s, but merit.desc.%s says otherwise",
                     s->given->name, st_dtype_name(s->given->dtype), name);
}

static bool bind_dtypes(case_file *c, case_error *error)
{
    int setter[CASE_MAX_ARRAYS] = {0};
    for (int i = 0; i < c->num_slots; i++) {
        case_slot *const s = &c->slots[i];
        if (!s->used) continue;
        const bool f64 = s->array->output && s->given != NULL && s->given->dtype == ST_F64;
        if (s->given != NULL && !f64 && !allowed(s->array, s->given->dtype)) {
            return wrong_dtype(s, error);
        }
        s->dtype = widest(s->array->dtypes); // the only one, unless it is an option
        if (s->array->dtype_offset != 0 && !bind_option_dtype(c, s, setter, error)) return false;
    }
    return true;
}

// Sizes -------------------------------------------------------------------------------------------

typedef struct dimension {
    int symbol; // index into case_sizes, -1: constant
    int64_t add; // or the constant
    bool optional;
} dimension;

static int parse_dimensions(const char *shape, dimension *dims)
{
    int n = 0;
    for (const char *p = shape; *p != '\0'; n++) {
        dims[n] = (dimension){.symbol = -1};
        if (*p >= 'A' && *p <= 'Z') dims[n].symbol = *p++ - 'A';
        if (*p == '+') p++;
        while (*p >= '0' && *p <= '9') {
            dims[n].add = 10 * dims[n].add + (*p++ - '0');
        }
        dims[n].optional = *p == '?';
        while (*p == '?' || *p == ' ') {
            p++;
        }
    }
    return n;
}

// The sizes of a tensor in all dimensions, those left out being 1.
static bool full_shape(const case_slot *s, const dimension *dims, int n, int64_t *full,
                       case_error *error)
{
    int optional = 0;
    for (int d = 0; d < n; d++) {
        optional += dims[d].optional;
    }
    const st_tensor *const t = s->given;
    // One element may come without dimensions.
    const bool scalar = t->rank == 0 && n == 1;
    if (t->rank != n && t->rank != n - optional && !scalar) {
        return case_fail(error, "tensor \"%.80s\" has %d dimensions, expected [%s]", t->name,
                         t->rank, s->array->shape);
    }
    for (int d = 0, from = 0; d < n; d++) {
        full[d] = scalar || (t->rank < n && dims[d].optional) ? 1 : t->shape[from++];
    }
    return true;
}

typedef struct binding {
    case_sizes value;
    const char *from[26]; // NULL: not bound
} binding;

static bool bind_size(binding *b, int symbol, int64_t value, const char *from, case_error *error)
{
    if (b->from[symbol] != NULL && b->value[symbol] != value) {
        return case_fail(error, "%.80s gives %c = %lld, but %.80s gives %lld", from, 'A' + symbol,
                         (long long)value, b->from[symbol], (long long)b->value[symbol]);
    }
    b->value[symbol] = value;
    if (b->from[symbol] == NULL) b->from[symbol] = from;
    return true;
}

static json_t *json_at(json_t *object, const char *path)
{
    const char *const dot = strchr(path, '.');
    if (dot == NULL) return json_object_get(object, path);
    char head[64];
    snprintf(head, sizeof head, "%.*s", (int)(dot - path), path);
    return json_at(json_object_get(object, head), dot + 1);
}

static void *size_field(const case_file *c, const case_size *s)
{
    return (unsigned char *)(s->name != NULL ? c->desc : c->io) + s->offset;
}

static int64_t read_size(const case_file *c, const case_size *s)
{
    int32_t narrow;
    int64_t wide;
    if (s->type == FIELD_I64) {
        memcpy(&wide, size_field(c, s), sizeof wide);
        return wide;
    }
    memcpy(&narrow, size_field(c, s), sizeof narrow);
    return narrow;
}

static bool write_size(const case_file *c, const case_size *s, int64_t value, case_error *error)
{
    const int32_t narrow = (int32_t)value;
    if (s->type == FIELD_I64) {
        memcpy(size_field(c, s), &value, sizeof value);
    } else if (narrow == value) {
        memcpy(size_field(c, s), &narrow, sizeof narrow);
    } else {
        return case_fail(error, "%c = %lld does not fit its 32-bit field", s->symbol,
                         (long long)value);
    }
    return true;
}

static bool is_base(const case_op *op, int symbol)
{
    for (const case_size *s = op->sizes; s->symbol != '\0'; s++) {
        if (s->symbol - 'A' == symbol) return true;
    }
    return false;
}

static bool bind_tensors(case_file *c, binding *b, bool outputs, case_error *error)
{
    for (int i = 0; i < c->num_slots; i++) {
        const case_slot *const s = &c->slots[i];
        if (s->given == NULL || s->array->output != outputs) continue;
        dimension dims[CASE_MAX_RANK];
        int64_t full[CASE_MAX_RANK];
        const int n = parse_dimensions(s->array->shape, dims);
        if (!full_shape(s, dims, n, full, error)) return false;
        for (int d = 0; d < n; d++) {
            const int64_t value = full[d] - dims[d].add;
            if (dims[d].symbol < 0 || !is_base(c->op, dims[d].symbol)) continue;
            if (value < 0) {
                return case_fail(error, "tensor \"%.80s\" is empty, expected at least %lld",
                                 s->given->name, (long long)dims[d].add);
            }
            if (!bind_size(b, dims[d].symbol, value, s->given->name, error)) return false;
        }
    }
    return true;
}

// num_groups of a uniform layout, when nothing else says it.
static bool bind_groups(case_file *c, binding *b, case_error *error)
{
    const case_groups *const g = &c->op->groups;
    if (g->groups == '\0' || b->from[g->groups - 'A'] != NULL) return true;
    if (b->from[g->rows - 'A'] == NULL) return true;
    merit_groups groups;
    memcpy(&groups, (unsigned char *)c->desc + g->offset, sizeof groups);
    if (groups.group_size <= 0) return true;
    const int64_t stride = groups.group_stride > 0 ? groups.group_stride : groups.group_size;
    const int64_t rows = b->value[g->rows - 'A'];
    if (rows % stride != 0) {
        return case_fail(error, "merit.desc.%s needs num_groups: %lld rows are no multiple of %lld",
                         g->name, (long long)rows, (long long)stride);
    }
    return bind_size(b, g->groups - 'A', rows / stride, "group_size", error);
}

static bool bind_sizes(case_file *c, case_sizes sizes, case_error *error)
{
    binding b = {.from = {NULL}};
    for (const case_size *s = c->op->sizes; s->symbol != '\0'; s++) {
        if (s->name == NULL || json_at(c->desc_json, s->name) == NULL) continue;
        if (!bind_size(&b, s->symbol - 'A', read_size(c, s), s->name, error)) return false;
    }
    if (!bind_tensors(c, &b, false, error) || !bind_groups(c, &b, error) ||
        !bind_tensors(c, &b, true, error) || !bind_groups(c, &b, error)) {
        return false;
    }
    for (const case_size *s = c->op->sizes; s->symbol != '\0'; s++) {
        const int symbol = s->symbol - 'A';
        if (b.from[symbol] != NULL && !write_size(c, s, b.value[symbol], error)) return false;
        sizes[symbol] = read_size(c, s);
    }
    if (c->op->derive != NULL) c->op->derive(c->desc, sizes);
    return true;
}

// Buffers -----------------------------------------------------------------------------------------

static bool too_large(const case_slot *s, case_error *error)
{
    return case_fail(error, "%s.%s would be too large for a case", s->array->output ? "out" : "in",
                     s->array->name);
}

static bool read_strides(const case_file *c, case_slot *s, case_error *error)
{
    int64_t dense = 1;
    for (int d = s->rank - 1; d >= 0; d--) {
        int64_t stride = 0;
        if (s->array->strides[d] != 0) {
            memcpy(&stride, (unsigned char *)c->desc + s->array->strides[d], sizeof stride);
        }
        if (stride < 0) {
            return case_fail(error, "a stride of \"%s\" is %lld, expected >= 0", s->array->name,
                             (long long)stride);
        }
        s->strides[d] = stride != 0 ? stride : dense;
        if (__builtin_mul_overflow(dense, s->dims[d] > 0 ? s->dims[d] : 1, &dense)) {
            return too_large(s, error);
        }
    }
    return true;
}

static bool measure(case_slot *s, size_t *extra_left, case_error *error)
{
    int64_t span = 1;
    s->count = 1;
    for (int d = 0; d < s->rank; d++) {
        int64_t reach;
        if (s->dims[d] <= 0) s->count = 0;
        if (s->count == 0) continue;
        if (__builtin_mul_overflow(s->count, s->dims[d], &s->count) ||
            __builtin_mul_overflow(s->dims[d] - 1, s->strides[d], &reach) ||
            __builtin_add_overflow(span, reach, &span)) {
            return too_large(s, error);
        }
    }
    // Room for any type when the descriptor names none.
    const size_t element = st_dtype_bytes(s->dtype);
    size_t bytes;
    if (s->count == 0) span = 0;
    if (__builtin_mul_overflow((size_t)span, element, &bytes)) return too_large(s, error);
    const size_t held = s->given != NULL ? (size_t)s->given->count * element : 0;
    const size_t extra = bytes > held ? bytes - held : 0;
    if (extra > *extra_left) return too_large(s, error);
    *extra_left -= extra;
    s->bytes = bytes;
    return true;
}

static bool lay_out(case_file *c, const case_sizes sizes, case_error *error)
{
    size_t extra_left = c->extra_bytes;
    for (int i = 0; i < c->num_slots; i++) {
        case_slot *const s = &c->slots[i];
        if (!s->used) continue;
        dimension dims[CASE_MAX_RANK];
        int64_t full[CASE_MAX_RANK];
        s->rank = parse_dimensions(s->array->shape, dims);
        for (int d = 0; d < s->rank; d++) {
            const int64_t size = dims[d].symbol >= 0 ? sizes[dims[d].symbol] : 0;
            if (__builtin_add_overflow(size, dims[d].add, &s->dims[d])) return too_large(s, error);
        }
        if (s->given != NULL && !full_shape(s, dims, s->rank, full, error)) return false;
        for (int d = 0; d < s->rank && s->given != NULL; d++) {
            if (full[d] != s->dims[d]) {
                return case_fail(
                    error, "tensor \"%.80s\" has %lld in dimension %d of [%s], expected %lld",
                    s->given->name, (long long)full[d], d, s->array->shape, (long long)s->dims[d]);
            }
        }
        if (!read_strides(c, s, error) || !measure(s, &extra_left, error)) return false;
    }
    return true;
}

bool case_bind(case_file *c, case_error *error)
{
    case_sizes sizes = {0};
    return bind_dtypes(c, error) && bind_sizes(c, sizes, error) && lay_out(c, sizes, error);
}
