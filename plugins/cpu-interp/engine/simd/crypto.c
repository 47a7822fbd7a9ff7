/* SPDX-License-Identifier: MIT
 *
 * simd/crypto.c - AES, PCLMULQDQ and SHA of legacy SSE (SDM 1, 12.13; SDM 2). The operations are
 * in lanes_crypto.h.
 */
#include "lanes_crypto.h"
#include "tables.h"

#include <Zydis/Mnemonic.h>

#define SHA(X)                                                                                     \
    X(SHA1NEXTE, sha1nexte)                                                                        \
    X(SHA1MSG1, sha1msg1)                                                                          \
    X(SHA1MSG2, sha1msg2)                                                                          \
    X(SHA1RNDS4, sha1rnds4)                                                                        \
    X(SHA256MSG1, sha256msg1)                                                                      \
    X(SHA256MSG2, sha256msg2)

#define PACKED(mnemonic, name) SSE_HANDLERS(name, lane_##name, mem128a)
AES_BINARY(PACKED)
AES_UNARY(PACKED)
SHA(PACKED)

/* Takes its two words from XMM0. */
static const struct uop *op_sha256rnds2_rr(struct cpu *c, const struct uop *u)
{
    sse_check(c, u);
    *xmm(c, u->d) = soft_sha256rnds2(*xmm(c, u->d), *xmm(c, u->s), *xmm(c, 0));
    NEXT(c, u);
}

static const struct uop *op_sha256rnds2_rm(struct cpu *c, const struct uop *u)
{
    sse_check(c, u);
    x128 source = mem128a(c, u);
    *xmm(c, u->d) = soft_sha256rnds2(*xmm(c, u->d), source, *xmm(c, 0));
    NEXT(c, u);
}

static bool emit_sha256rnds2(struct emit *e)
{
    return emit_sse(e, op_sha256rnds2_rr, op_sha256rnds2_rm);
}

#define ENTRY(mnemonic, name) {ZYDIS_MNEMONIC_##mnemonic, emit_##name},
const struct emit_entry emit_crypto[] = {
    AES_BINARY(ENTRY) AES_UNARY(ENTRY) SHA(ENTRY) /* */
    {ZYDIS_MNEMONIC_SHA256RNDS2, emit_sha256rnds2},
    {0, NULL},
};
