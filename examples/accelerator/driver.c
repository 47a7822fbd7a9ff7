/* SPDX-License-Identifier: MIT
 *
 * driver.c - a driver for the accelerator in user space: finds it in sysfs, makes it a bus master,
 * maps its registers, and has it copy, sum up and XOR memory whose physical addresses
 * /proc/self/pagemap tells. It runs as root, needs one huge page of 2 MiB
 * (/proc/sys/vm/nr_hugepages), and takes
 *
 *     driver poll     waits for completion words; the messages of MSI-X are aimed at memory, too
 *     driver uio      waits for interrupts of the pin, by /dev/uio0 (module uio_pci_generic)
 *
 * Prints a line for each thing that worked; status 1 with a line for the first that did not.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE (2u << 20)
#define REGISTER(offset) (*(volatile uint32_t *)(registers + (offset)))

enum { ID = 0x00, STATUS = 0x04, RING_LOW = 0x08, RING_HIGH = 0x0c, RING_SIZE = 0x10, HEAD = 0x14 };
enum { COPY = 1, CRC32 = 2, XOR = 3 };
enum { TABLE = 0x1000, PENDING_BITS = 0x1800, BAR_BYTES = 0x2000 };

struct descriptor {
    uint64_t source, destination;
    uint32_t length, operation, value, completion;
};

/* What lies in the huge page. */
struct memory {
    volatile struct descriptor ring[8];
    volatile uint32_t message[2]; /* where MSI-X writes */
    uint8_t pad[4096 - 8 * sizeof(struct descriptor) - 8];
    uint8_t from[700000], to[700000];
};

static uint8_t *registers;
static struct memory *memory;
static uint64_t physical;
static int config, uio = -1;
static uint32_t head;

static void expect(int truth, const char *what)
{
    if (!truth) {
        printf("driver: failed: %s\n", what);
        exit(1);
    }
}

static uint32_t config_read(uint32_t offset, size_t width)
{
    uint32_t value = 0;

    expect(pread(config, &value, width, offset) == (ssize_t)width, "reading configuration space");
    return value;
}

static void config_write(uint32_t offset, uint32_t value, size_t width)
{
    expect(pwrite(config, &value, width, offset) == (ssize_t)width, "writing configuration space");
}

/* Opens a file of the device's folder in sysfs. */
static int open_device(const char *folder, const char *name)
{
    char path[512];

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", folder, name);
    return open(path, O_RDWR | O_SYNC);
}

static void find(void)
{
    DIR *devices = opendir("/sys/bus/pci/devices");
    struct dirent *d;
    int bar;

    expect(devices != NULL, "opening /sys/bus/pci/devices");
    while ((d = readdir(devices))) {
        if (d->d_name[0] == '.')
            continue;
        config = open_device(d->d_name, "config");
        if (config >= 0 && config_read(0, 4) == 0xbaca1b36)
            break;
        close(config);
    }
    expect(d != NULL, "finding a device 1b36:baca");
    bar = open_device(d->d_name, "resource0");
    expect(bar >= 0, "opening resource0");
    registers = mmap(NULL, BAR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, bar, 0);
    expect(registers != MAP_FAILED, "mapping the registers");
    closedir(devices);
    config_write(4, config_read(4, 2) | 6, 2); /* Memory Space, Bus Master */
    expect(REGISTER(ID) == 0x58414250, "the register ID");
    printf("driver: found\n");
}

/* A huge page is one stretch of physical memory, and stays where it is. */
static void make_memory(void)
{
    uint64_t entry;
    int pagemap = open("/proc/self/pagemap", O_RDONLY);

    memory = mmap(NULL, HUGE_PAGE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE | MAP_LOCKED, -1, 0);
    expect(memory != MAP_FAILED, "a huge page; is /proc/sys/vm/nr_hugepages 0?");
    expect(pread(pagemap, &entry, 8, (off_t)((uintptr_t)memory / 4096 * 8)) == 8 && entry >> 63,
           "reading /proc/self/pagemap");
    physical = (entry & ((UINT64_C(1) << 55) - 1)) * 4096;
    expect(physical != 0, "a physical address; only root is told");
    close(pagemap);
    REGISTER(RING_SIZE) = 0;
    REGISTER(RING_LOW) = (uint32_t)physical;
    REGISTER(RING_HIGH) = (uint32_t)(physical >> 32);
    REGISTER(RING_SIZE) = 8;
}

static uint64_t address_of(const volatile void *p)
{
    return physical + (uint64_t)((const volatile uint8_t *)p - (uint8_t *)memory);
}

static uint32_t find_msix(void)
{
    uint32_t at = config_read(0x34, 1);

    while (at && config_read(at, 1) != 0x11)
        at = config_read(at + 1, 1);
    expect(at != 0, "the capability MSI-X");
    return at;
}

/* Aims the two messages at `message`, where they are writes as any other: a program cannot take
 * interrupts, but it can see them sent (PCI 3.0, 6.8.2). */
static void aim_messages(void)
{
    uint32_t at = find_msix();

    for (uint32_t i = 0; i < 2; i++) {
        uint64_t to = address_of(&memory->message[i]);

        REGISTER(TABLE + i * 16) = (uint32_t)to;
        REGISTER(TABLE + i * 16 + 4) = (uint32_t)(to >> 32);
        REGISTER(TABLE + i * 16 + 8) = 0xc0de0000 + i;
        REGISTER(TABLE + i * 16 + 12) = 0; /* not masked */
    }
    config_write(at + 2, config_read(at + 2, 2) | 0x8000, 2);
}

/* Takes the pin down, and lets it interrupt again: the module sets Interrupt Disable each time. */
static void accept_interrupt(void)
{
    REGISTER(STATUS) = 3;
    config_write(4, config_read(4, 2) & ~0x400u, 2);
}

static void wait_for_interrupt(void)
{
    uint32_t count;

    expect(read(uio, &count, sizeof(count)) == sizeof(count), "reading /dev/uio0");
    expect(REGISTER(STATUS) != 0, "the interrupt's cause in STATUS");
    accept_interrupt();
}

/* Has one descriptor done, and returns its completion. */
static uint32_t run(uint32_t operation, uint64_t source, uint64_t destination, uint32_t length,
                    uint32_t *value)
{
    volatile struct descriptor *d = &memory->ring[head % 8];

    d->source = source;
    d->destination = destination;
    d->length = length;
    d->operation = operation;
    d->value = *value;
    d->completion = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    REGISTER(HEAD) = ++head;
    if (uio >= 0)
        wait_for_interrupt();
    while (!d->completion)
        ;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    *value = d->value;
    return d->completion;
}

static uint32_t crc32(const uint8_t *data, uint32_t len)
{
    uint32_t crc = 0xffffffff;

    for (uint32_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

/* Lengths on both sides of what the device does in one piece, and in one go. */
static const uint32_t lengths[] = {1, 4095, 4096, 4097, 65536, 700000};
#define LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

static void copies_and_sums(void)
{
    uint32_t none = 0, sum = 0;

    for (uint32_t i = 0; i < sizeof(memory->from); i++)
        memory->from[i] = (uint8_t)(i * 13 + i / 251);
    for (uint32_t k = 0; k < LENGTHS; k++) {
        uint32_t n = lengths[k];

        memset(memory->to, 0, sizeof(memory->to));
        expect(run(COPY, address_of(memory->from), address_of(memory->to), n, &none) == 1,
               "a copy");
        expect(!memcmp(memory->from, memory->to, n), "what was copied");
        expect(n == sizeof(memory->to) || !memory->to[n], "the byte behind a copy");
    }
    printf("driver: copies are right\n");
    for (uint32_t k = 0; k + 1 < LENGTHS; k++) {
        expect(run(CRC32, address_of(memory->from), 0, lengths[k], &sum) == 1, "a sum");
        expect(sum == crc32(memory->from, lengths[k]), "what was summed up");
    }
    printf("driver: sums are right\n");
}

static void xors(void)
{
    uint32_t pattern = 0x04030201;

    expect(run(XOR, address_of(memory->from), address_of(memory->to), 9999, &pattern) == 1,
           "an XOR");
    for (uint32_t i = 0; i < 9999; i++)
        expect(memory->to[i] == (memory->from[i] ^ (i % 4 + 1)), "what was XORed");
    printf("driver: XORs are right\n");
}

static void fails(void)
{
    uint32_t none = 0;

    expect(run(COPY, UINT64_C(1) << 50, address_of(memory->to), 16, &none) == 2,
           "a copy of nowhere");
    expect(run(9, address_of(memory->from), address_of(memory->to), 16, &none) == 2,
           "an operation 9");
    printf("driver: mistakes are answered\n");
}

static void messages(void)
{
    uint32_t none = 0;

    expect(memory->message[0] == 0xc0de0000 && memory->message[1] == 0xc0de0001, "the messages");
    memory->message[0] = 0;
    REGISTER(TABLE + 12) = 1;
    run(COPY, address_of(memory->from), address_of(memory->to), 1, &none);
    expect(memory->message[0] == 0 && (REGISTER(PENDING_BITS) & 1), "a message that is masked");
    REGISTER(TABLE + 12) = 0;
    expect(memory->message[0] == 0xc0de0000 && !REGISTER(PENDING_BITS), "a message, later");
    accept_interrupt();
    config_write(find_msix() + 2, 0, 2); /* the pin's turn */
    printf("driver: messages came\n");
}

int main(int argc, char **argv)
{
    int polls = argc == 2 && !strcmp(argv[1], "poll");

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!polls && (argc != 2 || strcmp(argv[1], "uio"))) {
        fprintf(stderr, "usage: driver poll|uio\n");
        return 2;
    }
    if (!polls) {
        uio = open("/dev/uio0", O_RDWR);
        expect(uio >= 0, "opening /dev/uio0");
    }
    find();
    make_memory();
    accept_interrupt();
    if (polls)
        aim_messages();
    copies_and_sums();
    xors();
    fails();
    if (polls)
        messages();
    else
        printf("driver: each was an interrupt\n");
    return 0;
}
