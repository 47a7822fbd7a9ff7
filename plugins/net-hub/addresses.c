/* SPDX-License-Identifier: MIT
 *
 * net-hub/addresses.c - which station is at which port, as IEEE 802.1D, 7.8 and 7.9 have it:
 * learnt from source addresses, forgotten when not heard for a while.
 *
 * The table is an array of sets of eight, chosen by a hash. It never grows, and a frame costs a
 * look at one set, whatever a guest sends.
 */
#include "net_hub.h"

#include <stdlib.h>
#include <string.h>

#define SET 8u
#define NO_PORT UINT32_MAX

struct station {
    uint64_t heard_ns;
    uint32_t port; /* NO_PORT: free */
    uint8_t mac[6];
    uint8_t reserved[2];
};

struct hub_addresses {
    uint64_t ageing_ns; /* UINT64_MAX: never */
    uint32_t mask;      /* number of sets, less 1 */
    uint32_t count;
    uint32_t of_port[HUB_PORTS_MAX];
    struct station stations[];
};

static uint32_t set_of(const struct hub_addresses *a, const uint8_t *mac)
{
    uint64_t bits = 0;

    memcpy(&bits, mac, 6);
    bits *= UINT64_C(0x9e3779b97f4a7c15); /* 2^64 by the golden ratio: Fibonacci hashing */
    return (uint32_t)(bits >> 40) & a->mask;
}

static int is_old(const struct hub_addresses *a, const struct station *s, uint64_t now_ns)
{
    return now_ns > s->heard_ns && now_ns - s->heard_ns > a->ageing_ns;
}

static void forget(struct hub_addresses *a, struct station *s)
{
    if (s->port == NO_PORT)
        return;
    a->of_port[s->port]--;
    a->count--;
    s->port = NO_PORT;
}

struct hub_addresses *hub_addresses_new(uint32_t count, uint64_t ageing_ns)
{
    uint32_t sets = 1;
    struct hub_addresses *a;

    while (sets * SET < count)
        sets *= 2;
    a = malloc(sizeof(*a) + (size_t)sets * SET * sizeof(a->stations[0]));
    if (!a)
        return NULL;
    a->ageing_ns = ageing_ns;
    a->mask = sets - 1;
    hub_addresses_clear(a);
    return a;
}

void hub_addresses_free(struct hub_addresses *a)
{
    free(a);
}

void hub_addresses_clear(struct hub_addresses *a)
{
    memset(a->of_port, 0, sizeof(a->of_port));
    a->count = 0;
    for (uint32_t i = 0; i < (a->mask + 1) * SET; i++)
        a->stations[i].port = NO_PORT;
}

void hub_addresses_forget(struct hub_addresses *a, uint32_t port)
{
    for (uint32_t i = 0; i < (a->mask + 1) * SET && a->of_port[port]; i++)
        if (a->stations[i].port == port)
            forget(a, &a->stations[i]);
}

/* Whose place in the set a new station of `port` may have; NULL: nobody's. */
static struct station *place_for(struct hub_addresses *a, struct station *set, uint32_t port,
                                 uint64_t now_ns)
{
    struct station *oldest = NULL, *rich = NULL;

    for (uint32_t i = 0; i < SET; i++) {
        struct station *s = &set[i];

        if (s->port == NO_PORT || is_old(a, s, now_ns))
            return s;
        if (s->port == port && (!oldest || s->heard_ns < oldest->heard_ns))
            oldest = s;
        if (s->port != port && (!rich || a->of_port[s->port] > a->of_port[rich->port]))
            rich = s;
    }
    if (rich && a->of_port[rich->port] > a->of_port[port] + 1)
        return rich;
    return oldest;
}

void hub_addresses_learn(struct hub_addresses *a, const uint8_t *mac, uint32_t port,
                         uint64_t now_ns)
{
    struct station *set = &a->stations[(size_t)set_of(a, mac) * SET], *s = NULL;

    for (uint32_t i = 0; i < SET && !s; i++)
        if (set[i].port != NO_PORT && memcmp(set[i].mac, mac, 6) == 0)
            s = &set[i];
    if (!s)
        s = place_for(a, set, port, now_ns);
    if (!s)
        return;
    if (s->port != port) {
        forget(a, s);
        s->port = port;
        a->of_port[port]++;
        a->count++;
    }
    memcpy(s->mac, mac, 6);
    s->heard_ns = now_ns;
}

uint32_t hub_addresses_find(const struct hub_addresses *a, const uint8_t *mac, uint64_t now_ns)
{
    const struct station *set = &a->stations[(size_t)set_of(a, mac) * SET];

    for (uint32_t i = 0; i < SET; i++)
        if (set[i].port != NO_PORT && memcmp(set[i].mac, mac, 6) == 0)
            return is_old(a, &set[i], now_ns) ? HUB_NOWHERE : set[i].port;
    return HUB_NOWHERE;
}

uint32_t hub_addresses_count(const struct hub_addresses *a)
{
    return a->count;
}
