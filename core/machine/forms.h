/* SPDX-License-Identifier: MIT
 *
 * machine/forms.h - the forms of values that have more than one part, without their places: where a
 * value stands and what is told of it is props.c's.
 */
#ifndef MACHINE_FORMS_H
#define MACHINE_FORMS_H

#include <stdint.h>

/* Digits at `*text`, decimal or after 0x, behind which it moves. 0; -ERANGE beyond 64 bits, -EINVAL
 * without a digit. [any] */
int form_digits(const char **text, uint64_t *out);

/* BP_PROP_ADDRESS: NULL if `text` is unix:PATH or tcp:HOST:PORT, or else what was expected. Whether
 * there is such a host or path is not looked at. [any] */
const char *form_address(const char *text);

/* BP_PROP_RANGE: NULL and the two numbers, or else what was expected. [any] */
const char *form_range(const char *text, uint64_t *first, uint64_t *last);

/* BP_PROP_PCI: NULL and device << 3 | function, or else what was expected. [any] */
const char *form_pci(const char *text, uint32_t *devfn);

#endif
