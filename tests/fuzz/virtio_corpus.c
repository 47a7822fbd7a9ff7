/* SPDX-License-Identifier: MIT
 *
 * Writes the seeds of the virtio devices' fuzz targets into a folder: programs (virtio_fuzz.c) in
 * which each kind of request is made once, on either transport and with either kind of ring.
 */
#include <backplane/util/le.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FOLLOWS 0u /* codes of a buffer's length: the bytes follow */
#define LEN_1 1u
#define LEN_512 5u
#define LEN_4096 6u
#define LEN_GIVEN 7u /* in four bytes */
#define GIVEN 3u     /* the address: a byte with its length, and it */
#define WRITES 4u
#define RARELY_MOVE 0u
#define RARELY_RESET 1u
#define RARELY_LOAD 5u
#define RARELY_MANY 6u
#define RARELY_DAMAGE 7u

struct seed {
    uint8_t bytes[4096];
    size_t size;
};

static void add(struct seed *s, const void *bytes, size_t count)
{
    memcpy(s->bytes + s->size, bytes, count);
    s->size += count;
}

static void put(struct seed *s, uint32_t byte)
{
    s->bytes[s->size++] = (uint8_t)byte;
}

/* Several bytes, ended by -1. */
static void step(struct seed *s, ...)
{
    va_list list;

    va_start(list, s);
    for (int byte = va_arg(list, int); byte >= 0; byte = va_arg(list, int))
        put(s, (uint32_t)byte);
    va_end(list);
}

/* A chain of `count` buffers, which follow, on queue `n`; notified at once. */
static void chain(struct seed *s, uint32_t n, uint32_t count, int indirect)
{
    put(s, 0);
    put(s, n);
    put(s, (count - 1) | (indirect ? 0x10u : 0u) | 0x80u);
}

static void text(struct seed *s, const void *bytes, uint32_t len)
{
    put(s, FOLLOWS);
    put(s, len);
    add(s, bytes, len);
}

static void room(struct seed *s, uint32_t code)
{
    put(s, code << 3 | WRITES);
}

/* ---- disk ---- */

static void disk_header(struct seed *s, uint32_t type, uint64_t sector)
{
    uint8_t header[16] = {0};

    bp_put_le32(header, type);
    bp_put_le64(header + 8, sector);
    text(s, header, sizeof(header));
}

static void disk_range(struct seed *s, uint32_t type, uint64_t sector, uint32_t count,
                       uint32_t flags)
{
    uint8_t range[16];

    bp_put_le64(range, sector);
    bp_put_le32(range + 8, count);
    bp_put_le32(range + 12, flags);
    chain(s, 0, 3, 0);
    disk_header(s, type, 0);
    text(s, range, sizeof(range));
    room(s, LEN_1);
}

static void disk(struct seed *s, uint32_t variant)
{
    uint32_t last = variant >> 5 & 3; /* the device's last queue */

    for (uint32_t type = 0; type < 2; type++) {
        chain(s, type ? last : 0, 4, variant & 1);
        disk_header(s, type, 8 + 8 * (uint64_t)type);
        put(s, LEN_4096 << 3 | (type ? 0 : WRITES));
        put(s, LEN_4096 << 3 | (type ? 0 : WRITES));
        room(s, LEN_1);
    }
    step(s, 5, 0, 8, -1);
    chain(s, 0, 2, 0);
    disk_header(s, 4, 0); /* flush */
    room(s, LEN_1);
    chain(s, 0, 3, 0);
    disk_header(s, 8, 0); /* serial number */
    room(s, LEN_512);
    room(s, LEN_1);
    disk_range(s, 11, 16, 8, 0);
    disk_range(s, 13, 32, 8, 1);
    step(s, 5, 1, -1); /* the newest first */
    step(s, 10, 32, 0x01, 0, 0, -1);
    step(s, 13, 32, 0, 0, -1); /* the cache's mode */
    chain(s, 0, 3, 1);
    disk_header(s, 0, 0x7fffffffffff);
    room(s, LEN_512);
    room(s, LEN_1);
    chain(s, 0, 3, 0);
    disk_header(s, 0, 0);
    room(s, LEN_4096);
    room(s, LEN_1);
    chain(s, 0, 3, 0); /* data that are not in RAM, too long a segment, a status in registers */
    disk_header(s, 0, 0);
    step(s, LEN_GIVEN << 3 | WRITES | GIVEN, 0, 16, 0, 0, 4, 0, 0, 0, 0xd0, -1);
    room(s, LEN_1);
    chain(s, 0, 3, 0);
    disk_header(s, 0, 0);
    step(s, LEN_GIVEN << 3 | WRITES, 0, 0, 0x50, 0, -1);
    room(s, LEN_1);
    chain(s, 0, 3, 0);
    disk_header(s, 1, 0);
    put(s, LEN_512 << 3);
    step(s, LEN_1 << 3 | WRITES | GIVEN, 4, 0, 0, 0, 0xd0, -1);
    step(s, 5, 0, -1);
    disk_range(s, 11, 0, 0, 0);
    disk_range(s, 13, 0, 8, 0x80);
    step(s, 14, 4, -1); /* the queue is reset while that is under way */
    step(s, 5, 3, -1);  /* and mappings end */
    step(s, 14, 5, -1);
    chain(s, 0, 3, 0);
    disk_header(s, 0, 0);
    room(s, LEN_4096);
    room(s, LEN_1);
    step(s, 5, 0x18, -1); /* an error */
    step(s, 5, 2, 9, -1); /* another size */
}

/* ---- network ---- */

static void put_be16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* Bytes of an Ethernet frame with IP and TCP, or UDP, and `data` bytes. */
static uint32_t packet(uint8_t *to, int v6, int udp, uint32_t data)
{
    uint32_t transport = udp ? 8 : 20, ip = v6 ? 40 : 20, len = 14 + ip + transport + data;
    uint8_t *at = to + 14;

    memset(to, 0x11, len);
    memset(to, 0xff, 6);
    memset(at, 0, ip + transport);
    put_be16(to + 12, v6 ? 0x86dd : 0x0800);
    if (v6) {
        at[0] = 0x60;
        put_be16(at + 4, transport + data);
        at[6] = udp ? 17 : 6;
        at[7] = 64;
    } else {
        at[0] = 0x45;
        put_be16(at + 2, ip + transport + data);
        at[8] = 64;
        at[9] = udp ? 17 : 6;
    }
    if (udp)
        put_be16(at + ip + 4, transport + data);
    else
        at[ip + 12] = 0x50;
    return len;
}

static void transmit(struct seed *s, uint32_t n, int v6, int udp, uint32_t gso_type,
                     uint32_t gso_size)
{
    uint8_t header[12] = {0}, frame[255];
    uint32_t len = packet(frame, v6, udp, gso_type ? 120 : 10), start = 14 + (v6 ? 40u : 20u);

    header[0] = 1;
    header[1] = (uint8_t)gso_type;
    bp_put_le16(header + 2, (uint16_t)(start + (udp ? 8u : 20u)));
    bp_put_le16(header + 4, (uint16_t)gso_size);
    bp_put_le16(header + 6, (uint16_t)start);
    bp_put_le16(header + 8, udp ? 6 : 16);
    chain(s, n, 2, 0);
    text(s, header, sizeof(header));
    text(s, frame, len);
}

static void command(struct seed *s, uint32_t n, const char *bytes, uint32_t len)
{
    chain(s, n, 2, 0);
    text(s, bytes, len);
    room(s, LEN_1);
}

static void network(struct seed *s, uint32_t variant)
{
    static const char table[] = "\1\0\1\0\0\0\x52\x54\0\1\2\4\1\0\0\0\x33\x33\0\0\0\1";
    uint32_t control = variant & 0x10 ? 4 : 2;

    for (int i = 0; i < 3; i++) {
        chain(s, 0, 1, 0);
        room(s, i ? LEN_512 : LEN_4096);
    }
    step(s, 5, 0, 0, 100, 0, 6, 255, 255, 255, 255, 255, 255, -1);
    step(s, 5, 0, 0, 0x20, 4, 0, -1); /* one that fills several */
    transmit(s, 1, 0, 0, 0, 0);
    transmit(s, 1, 0, 0, 1, 50);
    transmit(s, 1, 1, 0, 4, 50);
    transmit(s, 1, 0, 1, 3, 48);
    transmit(s, 1, 1, 1, 3, 48);
    step(s, 5, 6, 1, -1); /* room for one more */
    transmit(s, 1, 0, 0, 1, 10);
    step(s, 5, 0xfe, 0, -1); /* and then for all */
    command(s, control, "\0\0\1", 3);
    command(s, control, "\0\3\0", 3);
    command(s, control, table, sizeof(table) - 1);
    command(s, control, "\1\1\x52\x54\0\7\7\7", 8);
    command(s, control, "\2\0\5\0", 4);
    for (uint32_t vid = 5; vid < 7; vid++) /* a frame of that network, and one of another */
        step(s, 5, 0, 0, 80, 0, 18, 0x52, 0x54, 0, 7, 7, 7, 2, 2, 2, 2, 2, 2, 0x81, 0, 0, (int)vid,
             8, 0, -1);
    command(s, control, "\2\1\5\0", 4);
    command(s, control, "\0\5\1", 3);
    step(s, 5, 0, 0, 100, 0, 6, 255, 255, 255, 255, 255, 255, -1);
    command(s, control, "\3\0", 2);
    command(s, control, "\4\0\2\0", 4);
    command(s, control, "\5\0\2\0\0\0\0\0\0\0", 10);
    step(s, 5, 3, -1); /* no link, and one */
    step(s, 5, 7, -1);
    step(s, 5, 0, 0, 64, 0, 0x48, 255, 255, 255, 255, 255, 255, 1, 2, 1, 1, 50, 0, 34, 16, -1);
}

/* ---- console ---- */

static void message(struct seed *s, uint32_t id, uint32_t event, uint32_t value)
{
    uint8_t bytes[8];

    bp_put_le32(bytes, id);
    bp_put_le16(bytes + 4, (uint16_t)event);
    bp_put_le16(bytes + 6, (uint16_t)value);
    chain(s, 3, 1, 0);
    text(s, bytes, sizeof(bytes));
}

static void console(struct seed *s, uint32_t variant)
{
    (void)variant;
    for (int i = 0; i < 12; i++) {
        chain(s, 2, 1, 0);
        put(s, 5u << 3 | WRITES);
        if (i == 6)
            message(s, 0, 0, 1); /* the driver is ready */
    }
    for (uint32_t id = 0; id < 3; id++) {
        message(s, id, 3, 1);
        message(s, id, 6, 1);
    }
    chain(s, 0, 1, 0);
    room(s, LEN_512);
    step(s, 5, 0, 100, -1);
    step(s, 5, 5, 200, -1); /* with no buffer: it waits */
    chain(s, 0, 2, 1);
    room(s, LEN_512);
    room(s, LEN_512);
    chain(s, 1, 2, 0);
    text(s, "hello, ", 7);
    text(s, "world\n", 6);
    step(s, 5, 2, 3, 0, -1); /* three bytes of room */
    chain(s, 1, 1, 0);
    put(s, LEN_4096 << 3);
    step(s, 5, 7, 0, 32, -1);
    step(s, 5, 4, 80, 0, 0, 24, 0, 0, -1); /* resized */
    step(s, 5, 3, -1);                     /* hung up, and back */
    step(s, 5, 0x21 + 2, -1);
    message(s, 0, 6, 0);
    message(s, 9, 6, 1);
    step(s, 13, 8, 0, 'x', -1);
}

/* ---- random bytes, balloon ---- */

static void randomness(struct seed *s, uint32_t variant)
{
    for (int i = 0; i < 4; i++) {
        chain(s, 0, 1 + (uint32_t)i % 2, variant & 1);
        room(s, LEN_4096);
        if (i % 2)
            room(s, LEN_512);
        step(s, 5, 20, -1);
    }
    chain(s, 0, 1, 0);
    step(s, 0x3c, 0xff, 0xff, 0xff, 0x7f, -1);
    chain(s, 0, 1, 0);
    text(s, "readable", 8);
}

static void balloon(struct seed *s, uint32_t variant)
{
    static const uint8_t pages[] = {0xa0, 0, 0, 0, 0xa1, 0, 0, 0, 0xa5, 0,    0,  0, 0xa4, 0,
                                    0,    0, 0, 0, 0,    1, 0, 0, 0,    0x80, 16, 0, 0,    0};
    static const uint8_t stats[] = {4, 0, 1, 2, 3, 0, 0, 0, 0, 0, 5, 0, 9, 9, 9, 0, 0, 0, 0, 0, 99};
    uint32_t n = 2;

    for (uint32_t queue = 0; queue < 2; queue++) {
        chain(s, queue, 1, 0);
        text(s, pages, sizeof(pages) - queue);
    }
    if (!(variant & 1)) {
        chain(s, n, 1, 0);
        text(s, stats, sizeof(stats));
        step(s, 9, 0xff, 0xff, -1);
        step(s, 9, 0xff, 0xff, -1);
        chain(s, n, 1, 0);
        text(s, stats, 10);
        chain(s, n++, 1, 0);
        text(s, stats, 20);
    }
    if (!(variant & 2)) {
        chain(s, n, 3, 1);
        step(s, 0x3d, 0x40, 0, 0x80, 0, 0, -1);
        step(s, 0x3d, 0x60, 0x10, 0, 0, 0, -1);
        room(s, LEN_4096);
    }
    step(s, 5, 0, 0, 8, 0, 0, 0, 0, 0, -1);
    step(s, 13, 4, 2, 1, 2, 0, 0, -1);
}

/* ---- files ---- */

static int save(const char *folder, const char *device, uint32_t number, const struct seed *s)
{
    char path[1024];
    FILE *f;
    int err;

    snprintf(path, sizeof(path), "%s/virtio_%s/seed-%02u", folder, device, number);
    f = fopen(path, "wb");
    if (!f) {
        perror(path);
        return 1;
    }
    err = fwrite(s->bytes, 1, s->size, f) != s->size;
    err |= fclose(f);
    if (err)
        fprintf(stderr, "%s: cannot be written\n", path);
    return err;
}

struct device {
    const char *name;
    void (*program)(struct seed *s, uint32_t variant);
    uint8_t variants[9]; /* options of the device, for the nine combinations of the transport's */
};

static const struct device devices[] = {
    {"blk", disk, {0x60, 0x20, 0x00, 0x01, 0x04, 0x08, 0x12, 0x80, 0x00}},
    {"net", network, {0x00, 0x10, 0x15, 0x0c, 0x02, 0x3f, 0x1c, 0x40, 0x00}},
    {"console", console, {0x00, 0x08, 0x03, 0x01, 0x02, 0x00, 0x08, 0x04, 0x00}},
    {"rng", randomness, {0x00, 0x01, 0x10, 0x7f, 0x81, 0x05, 0x00, 0x20, 0x00}},
    {"balloon", balloon, {0x00, 0x10, 0x01, 0x02, 0x03, 0x04, 0xf0, 0x00, 0x00}},
};

int main(int argc, char **argv)
{
    /* PCI, packed, doorbells, eventfds, INTx, large queues */
    static const uint8_t options[] = {0x00, 0x01, 0x02, 0x03, 0x0d, 0x0f, 0x11, 0x04, 0x21};
    int err = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    for (size_t d = 0; d < sizeof(devices) / sizeof(devices[0]); d++) {
        for (uint32_t i = 0; i < sizeof(options); i++) {
            struct seed s = {.size = 0};

            put(&s, options[i]);
            put(&s, devices[d].variants[i]);
            for (uint32_t byte = 0; byte < 8; byte++)
                put(&s, i == 5 && byte == 3 ? 0xdf : 0xff); /* one without the event index */
            devices[d].program(&s, devices[d].variants[i]);
            if (options[i] & 4)
                put(&s, 8); /* doorbells are heard */
            if (i == 3 || i == 6)
                step(&s, 15, RARELY_MOVE, -1);
            if (i == 2)
                step(&s, 15, RARELY_RESET, 15, RARELY_LOAD, 255, 255, 255, 255, 255, 255, 255, 255,
                     -1);
            if (i == 8) { /* more than is shown at once, each way; and a file that was changed */
                for (uint32_t n = 0; n < 3; n++)
                    step(&s, 15, RARELY_MANY, n, 100, LEN_512 << 3 | (n & 1 ? 0 : WRITES), -1);
                step(&s, 15, RARELY_DAMAGE, 0, 20, 0, 0, 255, -1);
            }
            if (i == 2 || i == 3)
                devices[d].program(&s, devices[d].variants[i]);
            err |= save(argv[1], devices[d].name, i, &s);
        }
    }
    return err;
}
