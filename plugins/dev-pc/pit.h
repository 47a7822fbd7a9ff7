/* SPDX-License-Identifier: MIT
 *
 * dev-pc/pit.h - the 8254: three counters, of which 0 is on interrupt line 0 and 2 behind port
 * 0x61.
 *
 * In the lock domain of the instance, apart from pit_connect().
 */
#ifndef DEV_PC_PIT_H
#define DEV_PC_PIT_H

#include <backplane/ext/x86.h>
#include <backplane/host.h>
#include <pthread.h>
#include <stdbool.h>

#define PIT_HZ 1193182u
#define PIT_TIMER 0u /* the instance's timer for counter 0 */

#define PIT_SWITCH_NO 0u
#define PIT_SWITCH_CYCLE 1u /* where a cycle begins */
#define PIT_SWITCH_LOW 2u   /* in mode 3, where OUT goes low */

/* `s` as the guest programmed it; what runs now may still be the count before. */
struct pit_counter {
    struct bp_x86_pit_channel
        s;              /* load_time_ns 0: it does not count, for want of a count or a trigger */
    uint32_t running;   /* the count that runs: 1..65536 */
    uint32_t switching; /* PIT_SWITCH_*: it becomes s.count at switch_ns */
    uint64_t switch_ns;
    uint64_t halted_ns; /* GATE went down then, in a mode where this holds the count; 0: it runs */
};

struct pit {
    const struct bp_host *host;
    struct bp_node *node;
    struct pit_counter counters[3];
    uint64_t rise_ns; /* when OUT of counter 0 rises next; UINT64_MAX: never */
    uint8_t speaker_on;
    uint8_t reserved[7];

    pthread_mutex_t lock; /* of what follows, and of line 0 */
    bool connected, out;
    uint8_t reserved2[6];
};

int pit_init(struct pit *p, const struct bp_host *host, struct bp_node *node);
void pit_exit(struct pit *p);
void pit_reset(struct pit *p);
uint8_t pit_read(struct pit *p, uint32_t port);                  /* [dom] port: 0..3 */
void pit_write(struct pit *p, uint32_t port, uint8_t value);     /* [dom] */
uint8_t pit_speaker_read(struct pit *p);                         /* [dom] port 0x61 */
void pit_speaker_write(struct pit *p, uint8_t value);            /* [dom] */
void pit_expire(struct pit *p);                                  /* [dom] its timer ran out */
void pit_connect(struct pit *p, bool on);                        /* [any] */
void pit_state_get(struct pit *p, struct bp_x86_pit *to);        /* [main] */
int pit_state_set(struct pit *p, const struct bp_x86_pit *from); /* [main] */

#endif
