/* SPDX-License-Identifier: MIT
 *
 * net-pcap/blocks.c - a reader of pcapng of the tests' own.
 */
#include "blocks.h"

#include <backplane/util/le.h>
#include <pcap/pcap.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static size_t options_of(uint32_t type, const uint8_t *data)
{
    switch (type) {
    case 0x0a0d0d0a:
        return 24;
    case 1:
        return 16;
    case 5:
        return 20;
    case 6:
        return 28 + ((bp_le32(data + 20) + 3u) & ~3u);
    default:
        fail_msg("block of type 0x%x", type);
        return 0;
    }
}

void blocks_read(struct blocks *b, const char *path)
{
    FILE *f = fopen(path, "rb");
    size_t at = 0;

    memset(b, 0, sizeof(*b));
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    b->len = (size_t)ftell(f);
    rewind(f);
    b->file = malloc(b->len + 1);
    b->blocks = calloc(BLOCKS_MAX, sizeof(*b->blocks));
    assert_non_null(b->file);
    assert_non_null(b->blocks);
    assert_int_equal(fread(b->file, 1, b->len, f), b->len);
    fclose(f);
    while (at < b->len) {
        struct block *block = &b->blocks[b->count++];

        assert_true(b->count < BLOCKS_MAX && b->len - at >= 12);
        block->data = b->file + at;
        block->type = bp_le32(block->data);
        block->len = bp_le32(block->data + 4);
        assert_true(block->len >= 12 && block->len % 4 == 0 && block->len <= b->len - at);
        assert_int_equal(bp_le32(block->data + block->len - 4), block->len);
        block->options = options_of(block->type, block->data);
        assert_true(block->options <= block->len - 4);
        b->packets += block->type == 6;
        at += block->len;
    }
}

void blocks_free(struct blocks *b)
{
    free(b->file);
    free(b->blocks);
}

const struct block *blocks_of(const struct blocks *b, uint32_t type, uint32_t n)
{
    for (uint32_t i = 0; i < b->count; i++)
        if (b->blocks[i].type == type && !n--)
            return &b->blocks[i];
    return NULL;
}

const struct block *blocks_packet(const struct blocks *b, uint32_t n)
{
    const struct block *packet = blocks_of(b, 6, n);

    assert_non_null(packet);
    return packet;
}

const uint8_t *block_option(const struct block *block, uint32_t code, uint32_t *len)
{
    size_t at = block->options, end = block->len - 4;

    while (at + 4 <= end) {
        uint32_t this_code = bp_le16(block->data + at), this_len = bp_le16(block->data + at + 2);

        assert_true(at + 4 + this_len <= end);
        if (this_code == code) {
            if (len)
                *len = this_len;
            return block->data + at + 4;
        }
        if (!this_code)
            return NULL;
        at += 4 + ((this_len + 3u) & ~3u);
    }
    return NULL;
}

const char *block_text(const struct block *block, uint32_t code)
{
    static char text[512];
    uint32_t len;
    const uint8_t *value = block_option(block, code, &len);

    text[0] = '\0';
    if (value) {
        assert_true(len < sizeof(text));
        memcpy(text, value, len);
        text[len] = '\0';
    }
    return text;
}

uint64_t block_number(const struct block *block, uint32_t code)
{
    uint32_t len;
    const uint8_t *value = block_option(block, code, &len);

    if (!value)
        return 0;
    return len == 8 ? bp_le64(value) : bp_le32(value);
}

uint64_t packet_time(const struct block *packet)
{
    return (uint64_t)bp_le32(packet->data + 12) << 32 | bp_le32(packet->data + 16);
}

int64_t count_frames(const char *path)
{
    char reason[PCAP_ERRBUF_SIZE];
    pcap_t *p = pcap_open_offline(path, reason);
    struct pcap_pkthdr *header;
    const uint8_t *data;
    int64_t count = 0;
    int got;

    if (!p)
        return -1;
    while ((got = pcap_next_ex(p, &header, &data)) == 1)
        count++;
    pcap_close(p);
    return got == PCAP_ERROR_BREAK ? count : -1;
}
