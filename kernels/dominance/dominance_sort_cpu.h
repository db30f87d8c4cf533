// Sorting rows, CPU: insertion for short ones, else a radix sort of the keys with the places behind.
#ifndef MERIT_DOMINANCE_SORT_CPU_H
#define MERIT_DOMINANCE_SORT_CPU_H

#include "dominance_sort.h"

enum { DOMINANCE_INSERTION = 24, DOMINANCE_DIGITS = 256 };

// Sorts words[0 .. count) by key; equal keys keep their order. spare: as many.
static inline void dominance_sort_words(uint64_t *words, uint64_t *spare, int count)
{
    if (count <= DOMINANCE_INSERTION) {
        for (int i = 1; i < count; i++) {
            const uint64_t word = words[i];
            int at = i;
            for (; at > 0 && words[at - 1] > word; at--) {
                words[at] = words[at - 1];
            }
            words[at] = word;
        }
        return;
    }
    int32_t counts[4][DOMINANCE_DIGITS];
    memset(counts, 0, sizeof counts);
    for (int i = 0; i < count; i++) {
        for (int digit = 0; digit < 4; digit++) {
            counts[digit][words[i] >> (32 + 8 * digit) & 255]++;
        }
    }
    for (int digit = 0; digit < 4; digit++) { // an even number of moves: the result is in words
        int32_t next = 0;
        for (int value = 0; value < DOMINANCE_DIGITS; value++) {
            const int32_t here = counts[digit][value];
            counts[digit][value] = next;
            next += here;
        }
        for (int i = 0; i < count; i++) {
            spare[counts[digit][words[i] >> (32 + 8 * digit) & 255]++] = words[i];
        }
        uint64_t *const other = words;
        words = spare;
        spare = other;
    }
}

#endif
