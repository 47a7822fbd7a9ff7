/* SPDX-License-Identifier: MIT
 *
 * net-pcap/reader.c - reads pcap and pcapng files by libpcap, and distrusts them.
 */
#include "reader.h"

#include "net_pcap.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define NS_PER_S 1000000000

int reader_open(struct reader *r, FILE *file)
{
    char reason[PCAP_ERRBUF_SIZE] = "";
    const char *name;
    int type;

    r->read = 0;
    r->pcap = pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, reason);
    if (!r->pcap) {
        fclose(file);
        snprintf(r->why, sizeof(r->why), "it is no capture (%s)", reason);
        return -EINVAL;
    }
    type = pcap_datalink(r->pcap);
    if (type == DLT_EN10MB)
        return 0;
    name = pcap_datalink_val_to_name(type);
    snprintf(r->why, sizeof(r->why), "its frames are of link type %d (%s), not of Ethernet", type,
             name ? name : "unknown");
    reader_close(r);
    return -EINVAL;
}

int reader_open_path(struct reader *r, const char *path)
{
    FILE *file = fopen(path, "rbe");
    struct stat st;
    int err = 0;

    r->pcap = NULL;
    if (!file || fstat(fileno(file), &st))
        err = -errno;
    else if (!S_ISREG(st.st_mode))
        err = -EINVAL;
    if (err) {
        snprintf(r->why, sizeof(r->why), "%s",
                 err == -EINVAL ? "it is no regular file" : strerror(-err));
        if (file)
            fclose(file);
        return err;
    }
    return reader_open(r, file);
}

void reader_close(struct reader *r)
{
    if (r->pcap)
        pcap_close(r->pcap);
    r->pcap = NULL;
}

/* Nanoseconds since 1970, between 0 and the largest number. */
static uint64_t time_of(const struct timeval *t)
{
    int64_t ns;

    if (__builtin_mul_overflow((int64_t)t->tv_sec, (int64_t)NS_PER_S, &ns) ||
        __builtin_add_overflow(ns, (int64_t)t->tv_usec, &ns)) /* nanoseconds, as was asked for */
        return t->tv_sec < 0 ? 0 : INT64_MAX;
    return ns < 0 ? 0 : (uint64_t)ns;
}

int reader_next(struct reader *r, struct reader_frame *out)
{
    struct pcap_pkthdr *header;
    int got = pcap_next_ex(r->pcap, &header, &out->data);

    if (got == PCAP_ERROR_BREAK)
        return 0;
    if (got != 1) {
        snprintf(r->why, sizeof(r->why), "%s", pcap_geterr(r->pcap));
        return -EINVAL;
    }
    if (header->caplen > FRAME_MAX || header->caplen > header->len) {
        snprintf(r->why, sizeof(r->why), "a frame of %u bytes of which %u are there", header->len,
                 header->caplen);
        return -EINVAL;
    }
    out->caplen = header->caplen;
    out->len = header->len;
    out->when_ns = time_of(&header->ts);
    r->read++;
    return 1;
}
