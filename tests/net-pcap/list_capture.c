/* SPDX-License-Identifier: MIT
 *
 * list-capture FILE - one line for each frame of a pcapng file: in or out, length, EtherType and IP
 * protocol; for tests that are scripts.
 */
#include "blocks.h"

#include <backplane/util/le.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char *path;

static void list(void **state)
{
    struct blocks b;

    (void)state;
    blocks_read(&b, path);
    for (uint32_t i = 0; i < b.packets; i++) {
        const struct block *packet = blocks_packet(&b, i);
        uint32_t len = bp_le32(packet->data + 20);
        const uint8_t *frame = packet->data + 28;

        printf("%s %u type-%02x%02x protocol-%u\n", block_number(packet, 2) == 1 ? "in" : "out",
               len, frame[12], frame[13], len > 23 ? frame[23] : 0u);
    }
    blocks_free(&b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(list)};

    if (argc != 2) {
        fprintf(stderr, "usage: list-capture FILE\n");
        return 2;
    }
    path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
