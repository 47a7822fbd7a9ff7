/* SPDX-License-Identifier: MIT
 *
 * base/nearest.h - "did you mean": the word that somebody probably wanted to write.
 */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

/* The word among `words` (ends with NULL) that is fewest edits away from `word`: a letter put in,
 * left out, replaced, or two neighbours swapped; the first of equals. NULL if the best is further
 * than a third of `word`'s length (of two letters: one), or if `word` exceeds 64 bytes. [any] */
const char *nearest_word(const char *word, const char *const *words);

#endif
