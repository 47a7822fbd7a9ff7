/* SPDX-License-Identifier: MIT
 *
 * fuzz/fuzz_replay.c - libFuzzer target: any bytes as a pcap or pcapng file, its frames rewritten.
 *
 * Reads them as the model `replay` does and checks what the reader promises: lengths within their
 * bounds, data that is there, a reason whenever it refuses. Every frame is rewritten in memory of
 * exactly its size.
 */
#include "net_pcap.h"
#include "reader.h"
#include "rewrite.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static void rewrite(const struct rewrite *rw, const struct reader_frame *f)
{
    uint8_t *copy = malloc(f->caplen ? f->caplen : 1);

    REQUIRE(copy);
    memcpy(copy, f->data, f->caplen);
    rewrite_frame(rw, copy, f->caplen);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const ips[] = {"10.0.0.1>192.0.2.200", "10.0.0.2>0.0.0.0",
                                      "0.0.0.0>1.1.1.1"};
    static const char *const macs[] = {"52:54:00:00:00:01>02:00:00:00:00:aa"};
    struct bp_list ip_list = {.items = ips, .count = 3}, mac_list = {.items = macs, .count = 1};
    struct rewrite rw = {.source = {2, 0, 0, 0, 0, 1}, .destination = {2, 0, 0, 0, 0, 2}};
    struct reader reader;
    struct reader_frame f;
    void *bytes;
    FILE *file;
    int got;

    if (!size)
        return 0;                        /* fmemopen() has no such file */
    memcpy(&bytes, &data, sizeof(data)); /* only read */
    file = fmemopen(bytes, size, "rb");
    REQUIRE(file);
    REQUIRE(!rewrite_parse_ips(&rw, &ip_list) && !rewrite_parse_macs(&rw, &mac_list));
    if (reader_open(&reader, file)) {
        REQUIRE(reader.why[0] && !reader.pcap);
        return 0;
    }
    while ((got = reader_next(&reader, &f)) == 1) {
        REQUIRE(f.caplen <= f.len && f.caplen <= FRAME_MAX && f.caplen <= size);
        rewrite(&rw, &f);
    }
    REQUIRE(!got || reader.why[0]);
    reader_close(&reader);
    return 0;
}
