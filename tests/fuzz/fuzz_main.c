// Mutates a corpus of cases and feeds it to LLVMFuzzerTestOneInput: fuzz_case ITERATIONS DIR...
// The same arguments give the same inputs. An input that ends the program is kept in
// fuzz_case.input.
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#include "case_paths.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_SIZE = 1 << 14, MAX_MUTATIONS = 4 };

typedef struct input {
    uint8_t bytes[MAX_SIZE];
    size_t size;
} input;

static uint64_t state = 1;

// splitmix64 (Steele, Lea, Flood 2014)
static uint64_t random_bits(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t below(size_t n)
{
    return n == 0 ? 0 : (size_t)(random_bits() % n);
}

// Mutations ---------------------------------------------------------------------------------------

static uint64_t header_length(const input *in)
{
    uint64_t length = 0;
    if (in->size >= 8) memcpy(&length, in->bytes, 8);
    return length;
}

static void replace(input *in, size_t at, size_t old_bytes, const void *with, size_t new_bytes)
{
    if (at + old_bytes > in->size || in->size - old_bytes + new_bytes > MAX_SIZE) return;
    memmove(in->bytes + at + new_bytes, in->bytes + at + old_bytes, in->size - at - old_bytes);
    memcpy(in->bytes + at, with, new_bytes);
    in->size = in->size - old_bytes + new_bytes;
}

static void flip_bit(input *in)
{
    if (in->size > 0) in->bytes[below(in->size)] ^= (uint8_t)(1u << below(8));
}

static void cut(input *in)
{
    in->size = below(in->size + 1);
}

static void set_length(input *in)
{
    static const uint64_t lengths[] = {0, 1, 7, 8, 1u << 24, UINT32_MAX, INT64_MAX, UINT64_MAX};
    if (in->size < 8) return;
    uint64_t length = random_bits() % 2 ? lengths[below(8)] : header_length(in) + below(17) - 8;
    memcpy(in->bytes, &length, 8);
}

// Changes the header and keeps its length right, so that the change is read.
static void edit_header(input *in)
{
    static const char *const words[] = {"0",
                                        "1",
                                        "-1",
                                        "4096",
                                        "9223372036854775807",
                                        "18446744073709551615",
                                        "1e400",
                                        "0.5",
                                        "\"nan\"",
                                        "\"-inf\"",
                                        "null",
                                        "true",
                                        "[]",
                                        "{}",
                                        "[[[[[[[[",
                                        "\"",
                                        "\\",
                                        "\\u0000",
                                        "\xff",
                                        "\"F64\"",
                                        "\"BF16\"",
                                        "\"I64\"",
                                        "\"in.rewards\"",
                                        "\"out.keep\"",
                                        "group_size",
                                        "batch",
                                        "leave_one_out",
                                        ",",
                                        ":",
                                        "\"merit.alias\"",
                                        "separate",
                                        "rank",
                                        "offsets",
                                        "num_groups"};
    const uint64_t length = header_length(in);
    if (length == 0 || length > in->size - 8) return;
    size_t at = 8 + below((size_t)length), old_bytes = below(12);
    // Half of the edits replace a number or a word as a whole.
    if (random_bits() % 2) {
        while (at > 8 && strchr("{[:,\"\\", in->bytes[at - 1]) == NULL) {
            at--;
        }
        old_bytes = 0;
        while (at + old_bytes < 8 + length &&
               strchr("}],\"\\", in->bytes[at + old_bytes]) == NULL) {
            old_bytes++;
        }
    }
    if (at + old_bytes > 8 + length) old_bytes = (size_t)(8 + length) - at;
    const char *const word = words[below(sizeof words / sizeof words[0])];
    const size_t before = in->size;
    replace(in, at, old_bytes, word, strlen(word));
    const uint64_t edited = length + in->size - before;
    memcpy(in->bytes, &edited, 8);
}

static void edit_data(input *in)
{
    static const uint64_t words[] = {0, UINT64_MAX, 0x7ff0000000000000u, 0x7fc000007fc00000u,
                                     1, INT64_MAX,  0x8000000080000000u, 0xff800000u};
    const uint64_t length = header_length(in);
    if (in->size < 24 || length > in->size - 16) return;
    const size_t data = 8 + (size_t)length;
    const size_t at = data + below(in->size - data - 7);
    memcpy(in->bytes + at, &words[below(8)], 1 + below(8));
}

static void mutate(input *in)
{
    static void (*const mutations[])(input *) = {edit_header, edit_header, edit_header, edit_data,
                                                 edit_data,   flip_bit,    set_length,  cut};
    for (size_t n = 1 + below(MAX_MUTATIONS); n > 0; n--) {
        mutations[below(sizeof mutations / sizeof mutations[0])](in);
    }
}

// Corpus ------------------------------------------------------------------------------------------

static int load(const char *path, input *in)
{
    FILE *const file = fopen(path, "rb");
    if (file == NULL) return 0;
    in->size = fread(in->bytes, 1, MAX_SIZE, file);
    const int whole = fgetc(file) == EOF; // large cases are no better seeds
    fclose(file);
    return whole;
}

// Death -------------------------------------------------------------------------------------------

static input at_work;

static void keep(void)
{
    FILE *const file = fopen("fuzz_case.input", "wb");
    if (file == NULL) return;
    fwrite(at_work.bytes, 1, at_work.size, file);
    fclose(file);
}

static void keep_and_die(int number)
{
    keep();
    signal(number, SIG_DFL);
    raise(number);
}

int main(int argc, char **argv)
{
    case_paths paths = {0};
    case_error error;
    const long iterations = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
    for (int i = 2; i < argc; i++) {
        if (!case_paths_add(&paths, argv[i], &error)) {
            fprintf(stderr, "fuzz_case: %s: %s\n", argv[i], error.text);
            return 2;
        }
    }
    input *const seeds = calloc((size_t)paths.count + 1, sizeof *seeds);
    size_t num_seeds = 0;
    for (int i = 0; i < paths.count && seeds != NULL; i++) {
        num_seeds += (size_t)load(paths.at[i].path, &seeds[num_seeds]);
    }
    if (iterations <= 0 || num_seeds == 0) {
        fprintf(stderr, "usage: fuzz_case ITERATIONS CASE|DIR...\n");
        return 2;
    }
    signal(SIGABRT, keep_and_die);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_set_death_callback(keep);
#endif
    for (size_t i = 0; i < num_seeds; i++) {
        at_work = seeds[i];
        LLVMFuzzerTestOneInput(at_work.bytes, at_work.size);
    }
    for (long i = 0; i < iterations; i++) {
        at_work = seeds[below(num_seeds)];
        mutate(&at_work);
        LLVMFuzzerTestOneInput(at_work.bytes, at_work.size);
    }
    printf("%ld inputs from %zu seeds\n", iterations, num_seeds);
    free(seeds);
    case_paths_free(&paths);
    return 0;
}
