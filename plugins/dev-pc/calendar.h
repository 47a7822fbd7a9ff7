/* SPDX-License-Identifier: MIT
 *
 * dev-pc/calendar.h - seconds since 1970 to and from the proleptic Gregorian calendar, and the
 * encodings of the MC146818A's time registers. No time zones, no leap seconds. Pure functions.
 */
#ifndef DEV_PC_CALENDAR_H
#define DEV_PC_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

#define CALENDAR_DAY_S 86400

struct calendar {
    int64_t year;     /* 1970 */
    uint32_t month;   /* 1..12 */
    uint32_t day;     /* 1..31 */
    uint32_t hour;    /* 0..23 */
    uint32_t minute;  /* 0..59 */
    uint32_t second;  /* 0..59 */
    uint32_t weekday; /* 1..7, 1 is Sunday, as the MC146818A counts */
    uint32_t reserved;
};

void calendar_from_seconds(struct calendar *out, int64_t seconds);

/* The weekday is ignored. A field beyond its range counts on into the next greater one, as
 * 31 February does into March; month 0 is December of the year before. */
int64_t calendar_to_seconds(const struct calendar *in);

/* A register's byte from a number 0..99 and back: BCD unless `binary`. Decoding takes any byte. */
uint8_t calendar_encode(uint32_t value, bool binary);
uint32_t calendar_decode(uint8_t byte, bool binary);

/* The hours register: 0..23, or with `twelve` 1..12 with bit 7 for p.m. */
uint8_t calendar_encode_hour(uint32_t hour, bool binary, bool twelve);
uint32_t calendar_decode_hour(uint8_t byte, bool binary, bool twelve);

/* The first moment after `after` (seconds since 1970) whose hour, minute and second are these; each
 * is 0..59 (23), or CALENDAR_ANY. INT64_MAX if a value is out of range: no clock ever shows it. */
#define CALENDAR_ANY UINT32_MAX
int64_t calendar_next(int64_t after, uint32_t hour, uint32_t minute, uint32_t second);

#endif
