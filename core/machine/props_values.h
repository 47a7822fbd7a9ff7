/* SPDX-License-Identifier: MIT
 *
 * machine/props_values.h - one key's value by its type: what props.c asks of props_values.c.
 */
#ifndef MACHINE_PROPS_VALUES_H
#define MACHINE_PROPS_VALUES_H

#include "machine/props.h"

/* Can a value of `prop` be stored in a struct of `size` bytes? A table may be wrong, which must not
 * make us write beside the struct. */
int props_fits(const struct bp_prop *prop, uint32_t size);
/* Bytes of one element: of a list's, or of the member. The key's type is one that there is. */
uint32_t props_element_width(const struct bp_prop *prop);
/* Stores `from->text`, which is there, at `out`. -EINVAL when that was told to be wrong. [main] */
int props_parse(const struct props_job *job, const struct bp_prop *prop,
                const struct props_text *from, void *out);

#endif
