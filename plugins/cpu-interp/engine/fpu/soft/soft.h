/* SPDX-License-Identifier: MIT
 *
 * fpu/soft/soft.h - x87 operations in integers, for hosts without an x87.
 *
 * The functions are those of host.h: see f80.h. Arithmetic, conversions, remainders and comparisons
 * give the same bits and flags as the unit of an Intel processor; tests compare them. The
 * transcendental ones (soft/transcendental.c) are as exact as the host's long double and libm, and
 * always flag an inexact result.
 */
#ifndef INTERP_SOFT_H
#define INTERP_SOFT_H

#include "../f80.h"

struct f80_out soft_add(const struct f80 *a, const struct f80 *b, uint16_t control);
struct f80_out soft_sub(const struct f80 *a, const struct f80 *b, uint16_t control);
struct f80_out soft_subr(const struct f80 *a, const struct f80 *b, uint16_t control);
struct f80_out soft_mul(const struct f80 *a, const struct f80 *b, uint16_t control);
struct f80_out soft_div(const struct f80 *a, const struct f80 *b, uint16_t control);
struct f80_out soft_divr(const struct f80 *a, const struct f80 *b, uint16_t control);

struct f80_out soft_add_f32(const struct f80 *a, uint32_t b, uint16_t control);
struct f80_out soft_sub_f32(const struct f80 *a, uint32_t b, uint16_t control);
struct f80_out soft_subr_f32(const struct f80 *a, uint32_t b, uint16_t control);
struct f80_out soft_mul_f32(const struct f80 *a, uint32_t b, uint16_t control);
struct f80_out soft_div_f32(const struct f80 *a, uint32_t b, uint16_t control);
struct f80_out soft_divr_f32(const struct f80 *a, uint32_t b, uint16_t control);

struct f80_out soft_add_f64(const struct f80 *a, uint64_t b, uint16_t control);
struct f80_out soft_sub_f64(const struct f80 *a, uint64_t b, uint16_t control);
struct f80_out soft_subr_f64(const struct f80 *a, uint64_t b, uint16_t control);
struct f80_out soft_mul_f64(const struct f80 *a, uint64_t b, uint16_t control);
struct f80_out soft_div_f64(const struct f80 *a, uint64_t b, uint16_t control);
struct f80_out soft_divr_f64(const struct f80 *a, uint64_t b, uint16_t control);

/* Status alone: C3, C2, C0. */
struct f80_out soft_com(const struct f80 *a, const struct f80 *b, uint16_t control);
struct f80_out soft_ucom(const struct f80 *a, const struct f80 *b, uint16_t control);
struct f80_out soft_com_f32(const struct f80 *a, uint32_t b, uint16_t control);
struct f80_out soft_com_f64(const struct f80 *a, uint64_t b, uint16_t control);

struct f80_out soft_sqrt(const struct f80 *a, uint16_t control);
struct f80_out soft_rndint(const struct f80 *a, uint16_t control);
/* ST(0) and ST(1). */
struct f80_out soft_scale(const struct f80 *a, const struct f80 *b, uint16_t control);
struct f80_out soft_prem(const struct f80 *a, const struct f80 *b, uint16_t control);
struct f80_out soft_prem1(const struct f80 *a, const struct f80 *b, uint16_t control);
struct f80_pair soft_xtract(const struct f80 *a, uint16_t control);

struct f80_bits soft_to_f32(const struct f80 *a, uint16_t control);
struct f80_bits soft_to_f64(const struct f80 *a, uint16_t control);
struct f80_bits soft_to_i16(const struct f80 *a, uint16_t control);
struct f80_bits soft_to_i32(const struct f80 *a, uint16_t control);
struct f80_bits soft_to_i64(const struct f80 *a, uint16_t control);
struct f80_bits soft_to_bcd(const struct f80 *a, uint16_t control);
struct f80 soft_from_bcd(uint64_t low, uint16_t high);

struct f80_out soft_f2xm1(const struct f80 *a, uint16_t control);
struct f80_out soft_sin(const struct f80 *a, uint16_t control);
struct f80_out soft_cos(const struct f80 *a, uint16_t control);
struct f80_pair soft_sincos(const struct f80 *a, uint16_t control);
struct f80_pair soft_ptan(const struct f80 *a, uint16_t control);
/* ST(0) and ST(1): arctan(b / a), b * log2(a), b * log2(a + 1). */
struct f80_out soft_patan(const struct f80 *a, const struct f80 *b, uint16_t control);
struct f80_out soft_yl2x(const struct f80 *a, const struct f80 *b, uint16_t control);
struct f80_out soft_yl2xp1(const struct f80 *a, const struct f80 *b, uint16_t control);

#endif
