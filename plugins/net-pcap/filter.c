/* SPDX-License-Identifier: MIT
 *
 * net-pcap/filter.c - compiles a filter by libpcap and runs it by its interpreter, which reads
 * nothing beyond the frame: a load from there rejects the frame.
 */
#include "filter.h"

#include "frame.h"
#include "net_pcap.h"

#include <backplane/util/log.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int filter_init(struct filter *f, const struct bp_host *host, struct bp_node *node,
                const char *text)
{
    pcap_t *compiler;
    int err = 0;

    memset(f, 0, sizeof(*f));
    if (!text)
        return 0;
    compiler = pcap_open_dead(DLT_EN10MB, FRAME_MAX);
    f->scratch = malloc(FRAME_MAX);
    if (!compiler || !f->scratch)
        err = host->fail(node, -ENOMEM, "no memory for a filter");
    else if (pcap_compile(compiler, &f->program, text, 1, PCAP_NETMASK_UNKNOWN))
        err = bp_failf(host, node, -EINVAL, "`filter = %.200s` is none: %s; see pcap-filter(7)",
                       text, pcap_geterr(compiler));
    else
        f->used = 1;
    if (compiler)
        pcap_close(compiler);
    return err;
}

void filter_end(struct filter *f)
{
    if (f->used)
        pcap_freecode(&f->program);
    free(f->scratch);
}

int filter_matches(const struct filter *f, const struct bp_frame *frame, uint64_t len)
{
    const uint8_t *data;
    uint32_t have;

    if (!f->used)
        return 1;
    if (frame->nbufs == 1 && frame->bufs[0].len <= FRAME_MAX) {
        data = frame->bufs[0].data;
        have = (uint32_t)frame->bufs[0].len;
    } else {
        have = frame_copy(frame, f->scratch, FRAME_MAX);
        data = f->scratch;
    }
    return bpf_filter(f->program.bf_insns, data, len < UINT32_MAX ? (uint32_t)len : UINT32_MAX,
                      have) != 0;
}
