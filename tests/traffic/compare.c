/* SPDX-License-Identifier: MIT
 *
 * compare OURS THEIRS MAC - whether two captures of one link have the same frames: OURS, made by
 * net-pcap, and THEIRS, made by tcpdump on the interface. Frames from MAC, which is the guest's,
 * and frames to it are two sequences: how they interleave is a matter of who looked first.
 *
 * From the guest both must be equal. To the guest THEIRS may have more at the end: what the host
 * sent when the machine had stopped. Anything else, an empty direction too, is a failure.
 */
#include <netinet/ether.h>
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct frames {
    struct frame {
        uint8_t *data;
        uint32_t len;
    } * list;
    size_t count;
};

static void add(struct frames *f, const uint8_t *data, uint32_t len)
{
    if (!(f->count & (f->count + 1))) {
        f->list = realloc(f->list, 2 * (f->count + 1) * sizeof(*f->list));
        if (!f->list)
            abort();
    }
    f->list[f->count].data = malloc(len);
    if (!f->list[f->count].data)
        abort();
    memcpy(f->list[f->count].data, data, len);
    f->list[f->count++].len = len;
}

/* Both directions of a file: [0] from the guest, [1] to it. */
static void read_file(const char *name, const uint8_t mac[6], struct frames out[2])
{
    char why[PCAP_ERRBUF_SIZE];
    pcap_t *p = pcap_open_offline(name, why);
    struct pcap_pkthdr *h;
    const uint8_t *data;
    int got;

    if (!p) {
        fprintf(stderr, "compare: %s: %s\n", name, why);
        exit(1);
    }
    while ((got = pcap_next_ex(p, &h, &data)) == 1) {
        if (h->caplen != h->len || h->len < 14) {
            fprintf(stderr, "compare: %s has a frame of %u bytes, %u of them recorded\n", name,
                    h->len, h->caplen);
            exit(1);
        }
        add(&out[memcmp(data + 6, mac, 6) != 0], data, h->len);
    }
    if (got != PCAP_ERROR_BREAK) {
        fprintf(stderr, "compare: %s: %s\n", name, pcap_geterr(p));
        exit(1);
    }
    pcap_close(p);
}

static int compare(const struct frames *ours, const struct frames *theirs, const char *way,
                   size_t more)
{
    if (!ours->count || ours->count > theirs->count || theirs->count - ours->count > more) {
        fprintf(stderr, "compare: %s: %zu frames, and %zu on the interface\n", way, ours->count,
                theirs->count);
        return 1;
    }
    for (size_t i = 0; i < ours->count; i++) {
        const struct frame *a = &ours->list[i], *b = &theirs->list[i];

        if (a->len != b->len || memcmp(a->data, b->data, a->len) != 0) {
            fprintf(stderr, "compare: %s: frame %zu differs, of %u and %u bytes\n", way, i, a->len,
                    b->len);
            return 1;
        }
    }
    printf("compare: %s: %zu frames, all the same\n", way, ours->count);
    return 0;
}

int main(int argc, char **argv)
{
    static struct frames ours[2], theirs[2];
    struct ether_addr mac;

    if (argc != 4 || !ether_aton_r(argv[3], &mac)) {
        fprintf(stderr, "usage: compare OURS THEIRS MAC\n");
        return 2;
    }
    read_file(argv[1], mac.ether_addr_octet, ours);
    read_file(argv[2], mac.ether_addr_octet, theirs);
    return compare(&ours[0], &theirs[0], "from the guest", 0) |
           compare(&ours[1], &theirs[1], "to the guest", 20);
}
