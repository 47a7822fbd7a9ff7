/* SPDX-License-Identifier: MIT
 *
 * dev-pc/calendar.c - calendar arithmetic on days counted from 1 March of year 0, so that the leap
 * day is the last of its year and months need no table: month m (0 is March) begins on day (153 m +
 * 2) / 5.
 */
#include "calendar.h"

#define DAYS_400_YEARS 146097
#define DAYS_TO_1970 719468 /* from 1 March 0000 */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

void calendar_from_seconds(struct calendar *out, int64_t seconds)
{
    int64_t days = floor_div(seconds, CALENDAR_DAY_S);
    uint32_t of_day = (uint32_t)(seconds - days * CALENDAR_DAY_S);
    int64_t era = floor_div(days + DAYS_TO_1970, DAYS_400_YEARS);
    uint32_t of_era = (uint32_t)(days + DAYS_TO_1970 - era * DAYS_400_YEARS);
    /* Every 4th year has a day more, every 100th not, every 400th does. */
    uint32_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint32_t of_year = of_era - (365 * year + year / 4 - year / 100);
    uint32_t month = (5 * of_year + 2) / 153;

    *out = (struct calendar){
        .year = era * 400 + year + (month >= 10),
        .month = month < 10 ? month + 3 : month - 9,
        .day = of_year - (153 * month + 2) / 5 + 1,
        .hour = of_day / 3600,
        .minute = of_day / 60 % 60,
        .second = of_day % 60,
        /* 1 January 1970 was a Thursday. */
        .weekday = (uint32_t)(days + 4 - floor_div(days + 4, 7) * 7) + 1,
    };
}

int64_t calendar_to_seconds(const struct calendar *in)
{
    int64_t months = in->year * 12 + (int64_t)in->month - 3; /* from March on */
    int64_t year = floor_div(months, 12);
    int64_t month = months - year * 12;
    int64_t era = floor_div(year, 400);
    int64_t of_era = year - era * 400;
    int64_t days = era * DAYS_400_YEARS + of_era * 365 + of_era / 4 - of_era / 100 +
                   (153 * month + 2) / 5 + (int64_t)in->day - 1 - DAYS_TO_1970;

    return days * CALENDAR_DAY_S + (int64_t)in->hour * 3600 + (int64_t)in->minute * 60 +
           (int64_t)in->second;
}

uint8_t calendar_encode(uint32_t value, bool binary)
{
    return (uint8_t)(binary ? value : (value / 10 % 10) << 4 | value % 10);
}

uint32_t calendar_decode(uint8_t byte, bool binary)
{
    return binary ? byte : (uint32_t)(byte >> 4) * 10u + (byte & 15u);
}

uint8_t calendar_encode_hour(uint32_t hour, bool binary, bool twelve)
{
    if (!twelve)
        return calendar_encode(hour, binary);
    uint32_t face = hour % 12 ? hour % 12 : 12;
    return (uint8_t)(calendar_encode(face, binary) | (hour >= 12 ? 0x80 : 0));
}

uint32_t calendar_decode_hour(uint8_t byte, bool binary, bool twelve)
{
    if (!twelve)
        return calendar_decode(byte, binary);
    uint32_t face = calendar_decode(byte & 0x7f, binary);
    if (face == 12)
        face = 0;
    return face + (byte & 0x80 ? 12 : 0);
}

int64_t calendar_next(int64_t after, uint32_t hour, uint32_t minute, uint32_t second)
{
    if ((hour != CALENDAR_ANY && hour > 23) || (minute != CALENDAR_ANY && minute > 59) ||
        (second != CALENDAR_ANY && second > 59))
        return INT64_MAX;

    int64_t midnight = floor_div(after + 1, CALENDAR_DAY_S) * CALENDAR_DAY_S;
    uint32_t start = (uint32_t)(after + 1 - midnight);

    /* Skips whole hours and minutes that do not match: at most 24 + 60 + 60 steps for each of today
     * and tomorrow, since all three values are in range. */
    for (uint32_t at = start; at < 2 * CALENDAR_DAY_S;) {
        uint32_t of_day = at % CALENDAR_DAY_S;
        if (hour != CALENDAR_ANY && of_day / 3600 != hour)
            at += 3600 - of_day % 3600;
        else if (minute != CALENDAR_ANY && of_day / 60 % 60 != minute)
            at += 60 - of_day % 60;
        else if (second != CALENDAR_ANY && of_day % 60 != second)
            at++;
        else
            return midnight + at;
    }
    return INT64_MAX; /* not reached: within a day and a second everything in range occurs */
}
