// score: the defaults and what each published head changes of them.
#include <math.h>

#include "presets.h"
#include "score_checks.h"

// A row names only what differs, so it overrides the defaults that precede it.
#pragma GCC diagnostic ignored "-Woverride-init"

// clang-format off
#define DEFAULTS                                                        \
    .struct_size = sizeof(merit_score_desc),                            \
    .positions_per_row = 1, .pad_id = -1, .num_heads = 1,               \
    .hidden_dtype = MERIT_DTYPE_BF16, .weight_dtype = MERIT_DTYPE_F32,  \
    .index_dtype = MERIT_DTYPE_I64,                                     \
    .positions = MERIT_POSITIONS_LENGTHS,                               \
    .position_layout = MERIT_POSITION_LAYOUT_FLAT,                      \
    .empty_value = NAN,                                                 \
    .path = MERIT_SCORE_PATH_EXACT,                                     \
    .shard = MERIT_SCORE_SHARD_NONE,                                    \
    .grad_layout = MERIT_GRAD_LAYOUT_ROWS

#define POSITIONS(word) .positions = MERIT_POSITIONS_##word
#define EXPLICIT(word) POSITIONS(EXPLICIT), .position_layout = MERIT_POSITION_LAYOUT_##word
#define PRESET(preset, ...) {.name = preset, .options = {DEFAULTS, __VA_ARGS__}}

MERIT_PRESET_ROW(score);

static const merit_score_row presets[] = {
    // The rightmost token that is no padding; no bias; pad_id from the caller.
    PRESET("hf.sequence_classification", POSITIONS(LAST_NON_PAD)),
    PRESET("trl.reward", POSITIONS(LAST_NON_PAD)),
    PRESET("nemo.bt", POSITIONS(LAST_NON_PAD)),
    PRESET("skywork", POSITIONS(LAST_NON_PAD)),
    PRESET("armo", POSITIONS(LAST_NON_PAD)), // num_heads: 19

    // The token before the first padding behind the prompt; context_length: its length.
    PRESET("trl.get_reward", POSITIONS(BEFORE_FIRST_PAD)),
    PRESET("open_instruct.get_reward", POSITIONS(BEFORE_FIRST_PAD)),

    PRESET("openrlhf.reward", POSITIONS(MASK)), // at evaluation io.post_mean, io.post_std
    PRESET("areal.reward", POSITIONS(CU_SEQLENS)),
    PRESET("aligner.regression", POSITIONS(LENGTHS)), // io.bias, num_heads attributes
    PRESET("value_head", POSITIONS(ALL)), // io.bias, num_heads 1

    PRESET("prm.steps", EXPLICIT(RAGGED)), // io.positions: ends of steps
    PRESET("yojo", EXPLICIT(PER_ROW)), // io.positions: the separators of N responses
    PRESET("mah", .routed = 1),
};
// clang-format on

const merit_score_desc merit_score_defaults = {DEFAULTS};

merit_status merit_score_desc_init(merit_score_desc *desc, size_t size)
{
    return merit_init_struct(__func__, desc, size, &merit_score_defaults, sizeof *desc,
                             MERIT_SIZE_0_1(merit_score_desc, grad_layout));
}

MERIT_PRESETS(score, presets, positions, grad_layout)
