/* SPDX-License-Identifier: MIT
 *
 * test_sha.c - SHA-1 and SHA-256 of the messages of FIPS 180-4's examples, computed by the SHA
 * instructions in the way that they are made for (SDM 1, 5.16): the rounds and the message schedule
 * are the instructions', the test only feeds them. So the order of words in registers is right too,
 * and on every host.
 */
#include "bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct words {
    uint32_t w[4];
};

static int setup(void **state)
{
    struct bench *b = bench_create(1);

    *state = b;
    if (!b)
        return -1;
    struct cpu *c = bench_mode(b, 0, BENCH_LONG);
    c->cr4 |= CR4_OSFXSR;
    cpu_mode_changed(c);
    return 0;
}

static int teardown(void **state)
{
    bench_destroy(*state);
    return 0;
}

/* The instruction `opcode` of a map with XMM1 = a, XMM2 = b, and XMM0 = c; XMM1 afterwards. */
static struct words run(struct bench *b, uint8_t map, uint8_t opcode, uint8_t imm, struct words x,
                        struct words y, struct words z)
{
    uint8_t code[] = {0x0f, map, opcode, 0xca, imm};
    struct cpu *c = b->cpu[0];

    memcpy(c->v[1].u32, x.w, 16);
    memcpy(c->v[2].u32, y.w, 16);
    memcpy(c->v[0].u32, z.w, 16);
    assert_int_equal(bench_run(b, code, map == 0x3a ? 5 : 4), BENCH_STOPPED);
    memcpy(x.w, c->v[1].u32, 16);
    return x;
}

static struct words sha(struct bench *b, uint8_t opcode, struct words x, struct words y)
{
    return run(b, 0x38, opcode, 0, x, y, (struct words){0});
}

#define SHA1NEXTE 0xc8
#define SHA1MSG1 0xc9
#define SHA1MSG2 0xca
#define SHA256RNDS2 0xcb
#define SHA256MSG1 0xcc
#define SHA256MSG2 0xcd
#define SHA1RNDS4 0xcc /* of the map 0F3A */

static struct words add(struct words x, struct words y)
{
    for (uint32_t i = 0; i < 4; i++)
        x.w[i] += y.w[i];
    return x;
}

static struct words differ(struct words x, struct words y)
{
    for (uint32_t i = 0; i < 4; i++)
        x.w[i] ^= y.w[i];
    return x;
}

static uint32_t big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The message with its padding (5.1.1): how many blocks of 64 bytes. */
static uint32_t pad(uint8_t blocks[128], const char *message)
{
    size_t length = strlen(message);
    uint32_t count = length < 56 ? 1 : 2;

    assert_in_range(length, 0, 119);
    memset(blocks, 0, 128);
    for (size_t i = 0; i < length; i++)
        blocks[i] = (uint8_t)message[i];
    blocks[length] = 0x80;
    blocks[64 * count - 2] = (uint8_t)(length >> 5);
    blocks[64 * count - 1] = (uint8_t)(length << 3);
    return count;
}

static void expect(const char *message, const uint32_t *hash, uint32_t words, const char *wanted)
{
    char text[65] = "";

    for (uint32_t i = 0; i < words; i++)
        snprintf(text + 8 * i, 9, "%08x", hash[i]);
    if (strcmp(text, wanted) != 0)
        fail_msg("\"%s\" gives %s, not %s", message, text, wanted);
}

/* ---- SHA-1 ---------------------------------------------------------------------------------- */

/* The first word of a group stands highest. */
static void sha1_block(struct bench *b, uint32_t h[5], const uint8_t *block)
{
    struct words w[20], abcd = {{h[3], h[2], h[1], h[0]}}, before = abcd, first = abcd;
    struct words e = {{0, 0, 0, h[4]}}, h4 = e;

    for (uint32_t g = 0; g < 4; g++)
        for (uint32_t i = 0; i < 4; i++)
            w[g].w[3 - i] = big_endian(block + 16 * g + 4 * i);
    for (uint32_t g = 4; g < 20; g++)
        w[g] = sha(b, SHA1MSG2, differ(sha(b, SHA1MSG1, w[g - 4], w[g - 3]), w[g - 2]), w[g - 1]);
    e = add(e, w[0]);
    for (uint32_t g = 0; g < 20; g++) {
        before = abcd;
        abcd = run(b, 0x3a, SHA1RNDS4, (uint8_t)(g / 5), abcd, e, (struct words){0});
        if (g < 19)
            e = sha(b, SHA1NEXTE, before, w[g + 1]);
    }
    e = sha(b, SHA1NEXTE, before, h4);
    abcd = add(abcd, first);
    for (uint32_t i = 0; i < 4; i++)
        h[i] = abcd.w[3 - i];
    h[4] = e.w[3];
}

static void sha1_of_the_examples(void **state)
{
    static const char *const examples[][2] = {
        {"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
        {"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
    };

    for (uint32_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
        uint8_t blocks[128];
        uint32_t count = pad(blocks, examples[i][0]);

        for (uint32_t n = 0; n < count; n++)
            sha1_block(*state, h, blocks + 64 * n);
        expect(examples[i][0], h, 5, examples[i][1]);
    }
}

/* ---- SHA-256 -------------------------------------------------------------------------------- */

static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/* The first word of a group stands lowest. */
static void sha256_block(struct bench *b, uint32_t h[8], const uint8_t *block)
{
    struct words w[16], abef = {{h[5], h[4], h[1], h[0]}}, cdgh = {{h[7], h[6], h[3], h[2]}};
    const struct words abef_first = abef, cdgh_first = cdgh;

    for (uint32_t g = 0; g < 4; g++)
        for (uint32_t i = 0; i < 4; i++)
            w[g].w[i] = big_endian(block + 16 * g + 4 * i);
    for (uint32_t g = 4; g < 16; g++) {
        const struct words *x = &w[g - 2], *y = &w[g - 1];
        struct words seven_back = {{x->w[1], x->w[2], x->w[3], y->w[0]}};
        w[g] = sha(b, SHA256MSG2, add(sha(b, SHA256MSG1, w[g - 4], w[g - 3]), seven_back), *y);
    }
    for (uint32_t g = 0; g < 16; g++) {
        struct words k;

        memcpy(k.w, constants + 4 * g, 16);
        k = add(k, w[g]);
        cdgh = run(b, 0x38, SHA256RNDS2, 0, cdgh, abef, k);
        k.w[0] = k.w[2];
        k.w[1] = k.w[3];
        abef = run(b, 0x38, SHA256RNDS2, 0, abef, cdgh, k);
    }
    abef = add(abef, abef_first);
    cdgh = add(cdgh, cdgh_first);
    memcpy(h,
           (const uint32_t[]){abef.w[3], abef.w[2], cdgh.w[3], cdgh.w[2], abef.w[1], abef.w[0],
                              cdgh.w[1], cdgh.w[0]},
           32);
}

static void sha256_of_the_examples(void **state)
{
    static const char *const examples[][2] = {
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    };

    for (uint32_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
        uint8_t blocks[128];
        uint32_t count = pad(blocks, examples[i][0]);

        for (uint32_t n = 0; n < count; n++)
            sha256_block(*state, h, blocks + 64 * n);
        expect(examples[i][0], h, 8, examples[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sha1_of_the_examples, setup, teardown),
        cmocka_unit_test_setup_teardown(sha256_of_the_examples, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
