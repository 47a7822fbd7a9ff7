/* SPDX-License-Identifier: MIT
 *
 * fuzz/fuzz_pc.h - what the two files of fuzz_pc share.
 */
#ifndef FUZZ_PC_H
#define FUZZ_PC_H

#include "instance_fuzz.h"

/* Runs the input against the interrupt controllers; `options` are their keys. fuzz_pc_chip.c. */
void fuzz_chip(struct fuzz_input *in, uint32_t options);

#endif
