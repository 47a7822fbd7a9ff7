/* SPDX-License-Identifier: MIT
 *
 * net-user/fragments.c - IPv4 datagrams put together from their fragments (RFC 791, 3.2), in front
 * of libslirp, which sees whole ones only. Its own reassembly has no bound on what it keeps, and
 * version 4.7 takes the last fragment of a datagram, when it comes before all others, for a
 * pointer.
 *
 * A datagram whose fragments overlap is dropped, as by RFC 5722; so is the oldest incomplete one
 * when there are too many. IPv6 fragments are dropped: libslirp puts none together.
 */
#include "net_user.h"

#include <backplane/util/offload.h>
#include <stdlib.h>
#include <string.h>

#define TIME_NS UINT64_C(30000000000) /* until what is incomplete is forgotten */
#define UNIT 8u                       /* bytes: offsets count in these */
#define UNITS 8192u
#define MORE_FRAGMENTS 0x2000u
#define OFFSET 0x1fffu
#define IP BP_FRAME_MIN /* where its header is in a frame */
#define IP_HEADER_MIN 20u
#define IP_HEADER_MAX 60u
#define IP_MAX 65535u

/* One that is incomplete. */
struct user_datagram {
    uint64_t began_ns;
    uint8_t key[11]; /* source, destination, identification, protocol */
    uint8_t used;
    uint32_t header;     /* bytes of the first fragment's headers; 0: it is not here yet */
    uint32_t got, total; /* bytes of payload; total 0: the last fragment is not here yet */
    uint32_t end;        /* where that ends which is behind all others */
    uint8_t first[IP + IP_HEADER_MAX];
    uint8_t seen[UNITS / 8]; /* bits, one for each unit */
    uint8_t data[IP_MAX];
};

int user_is_ipv4_fragment(const uint8_t *frame, uint32_t len)
{
    return len >= IP + IP_HEADER_MIN && bp_be16(frame + 12) == 0x0800 &&
           (bp_be16(frame + IP + 6) & (MORE_FRAGMENTS | OFFSET));
}

static struct user_datagram *find(struct user_fragments *f, const uint8_t *key, uint64_t now_ns)
{
    struct user_datagram **oldest = &f->datagrams[0], *d;

    for (uint32_t i = 0; i < USER_DATAGRAMS; i++) {
        d = f->datagrams[i];
        if (d && d->used && now_ns - d->began_ns > TIME_NS)
            d->used = 0;
        if (d && d->used && memcmp(d->key, key, sizeof(d->key)) == 0)
            return d;
    }
    for (uint32_t i = 0; i < USER_DATAGRAMS && *oldest && (*oldest)->used; i++) {
        d = f->datagrams[i];
        if (!d || !d->used || d->began_ns < (*oldest)->began_ns)
            oldest = &f->datagrams[i];
    }
    if (!*oldest)
        *oldest = malloc(sizeof(**oldest));
    d = *oldest;
    if (!d)
        return NULL;
    memset(d, 0, offsetof(struct user_datagram, data));
    memcpy(d->key, key, sizeof(d->key));
    d->began_ns = now_ns;
    d->used = 1;
    return d;
}

/* Marks the units of [at, at + len); nonzero if one was there already. */
static int is_overlap(struct user_datagram *d, uint32_t at, uint32_t len)
{
    int overlap = 0;

    for (uint32_t unit = at / UNIT; unit < (at + len + UNIT - 1) / UNIT; unit++) {
        uint8_t bit = (uint8_t)(1u << unit % 8);

        overlap |= d->seen[unit / 8] & bit;
        d->seen[unit / 8] |= bit;
    }
    return overlap;
}

/* Takes in the payload; -1 if it does not fit what is there. */
static int add(struct user_datagram *d, const uint8_t *payload, uint32_t at, uint32_t len, int last)
{
    if (at + len > IP_MAX - IP_HEADER_MIN || (!last && (!len || len % UNIT)) || (last && !len) ||
        (d->total && (last || at + len > d->total)) || (last && at + len < d->end) ||
        is_overlap(d, at, len))
        return -1;
    memcpy(d->data + at, payload, len);
    d->got += len; /* all of it within `total`, once that is known: equal means complete */
    if (at + len > d->end)
        d->end = at + len;
    if (last)
        d->total = at + len;
    return 0;
}

/* The whole, at `frame`; returns its length, 0 if there is none that long. */
static uint32_t put_together(struct user_datagram *d, uint8_t *frame)
{
    uint32_t header = d->header - IP;

    d->used = 0;
    if (header + d->total > IP_MAX)
        return 0;
    memcpy(frame, d->first, d->header);
    memcpy(frame + d->header, d->data, d->total);
    bp_put_be16(frame + IP + 2, header + d->total);
    bp_put_be16(frame + IP + 6, 0);
    bp_put_be16(frame + IP + 10, 0);
    bp_put_be16(frame + IP + 10, ~bp_sum(frame + IP, header, 0) & 0xffffu);
    return d->header + d->total;
}

uint32_t user_fragment(struct user *u, uint32_t len)
{
    uint8_t *frame = u->frame, key[11];
    uint32_t header = (frame[IP] & 15u) * 4u, bytes = bp_be16(frame + IP + 2);
    uint32_t word = bp_be16(frame + IP + 6), at = (word & OFFSET) * UNIT;
    struct user_datagram *d;

    if (header < IP_HEADER_MIN || bytes < header || IP + bytes > len ||
        bp_sum(frame + IP, header, 0) != 0xffff)
        return 0;
    memcpy(key, frame + IP + 12, 8);
    memcpy(key + 8, frame + IP + 4, 2);
    key[10] = frame[IP + 9];
    d = find(&u->fragments, key, u->host->clock_ns(u->node));
    if (!d)
        return 0;
    if (add(d, frame + IP + header, at, bytes - header, !(word & MORE_FRAGMENTS))) {
        d->used = 0;
        return 0;
    }
    if (!at) {
        d->header = IP + header;
        memcpy(d->first, frame, d->header);
    }
    return d->total && d->got == d->total && d->header ? put_together(d, frame) : 0;
}

void user_fragments_end(struct user_fragments *f)
{
    for (uint32_t i = 0; i < USER_DATAGRAMS; i++)
        free(f->datagrams[i]);
    memset(f, 0, sizeof(*f));
}
