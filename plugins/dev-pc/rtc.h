/* SPDX-License-Identifier: MIT
 *
 * dev-pc/rtc.h - "dev-pc.rtc/1", which the real-time clock offers to the event timers of this
 * plugin: in legacy replacement mode the clock causes no interrupts (HPET 1.0a, 2.3.5).
 */
#ifndef DEV_PC_RTC_H
#define DEV_PC_RTC_H

#include <stdint.h>

#define RTC_ID "dev-pc.rtc/1"

struct rtc_interface {
    uint32_t size;
    uint32_t reserved;
    /* 0: the clock is taken off its line, its flags go on; 1: it is back, and raises the line if a
     * flag is up. Who takes it off puts it back: the clock's own reset does not. [main] [dom] */
    void (*line_connect)(void *self, uint32_t on);
};

#endif
