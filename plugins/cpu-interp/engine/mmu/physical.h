/* SPDX-License-Identifier: MIT
 *
 * mmu/physical.h - guest physical memory, after translation: for access.c.
 *
 * A piece is a stretch inside one page. A device sees it as the processor gave it if it is of 1 to
 * 8 bytes, else in aligned steps of up to 8.
 */
#ifndef INTERP_PHYSICAL_H
#define INTERP_PHYSICAL_H

#include "access.h"

/* 1 to 8 bytes of a piece: local APIC, RAM or bus. A store into code drops that code. [vcpu] */
uint64_t piece_read(struct cpu *c, uint64_t gpa, uint32_t size);
void piece_write(struct cpu *c, uint64_t gpa, uint64_t value, uint32_t size);
/* Any number of bytes of a piece. [vcpu] */
void piece_load(struct cpu *c, uint64_t gpa, uint8_t *to, uint32_t bytes);
void piece_store(struct cpu *c, uint64_t gpa, const uint8_t *from, uint32_t bytes);
/* Past RAM: the local APIC's page, or the bus. [vcpu] */
uint64_t device_read(struct cpu *c, uint64_t gpa, uint32_t size);
void device_write(struct cpu *c, uint64_t gpa, uint64_t value, uint32_t size);

#endif
