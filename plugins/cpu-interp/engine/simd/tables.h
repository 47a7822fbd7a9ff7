/* SPDX-License-Identifier: MIT
 *
 * simd/tables.h - which mnemonics are which lane operations: the same for legacy SSE and, with a V
 * before the name, VEX.
 *
 * X(mnemonic, lane) makes handlers and an entry, S(mnemonic, lane) only another entry for a lane
 * that an X of the same file has.
 */
#ifndef INTERP_TABLES_H
#define INTERP_TABLES_H

/* Two sources of 16 bytes. */
#define SSE2_BINARY(X)                                                                             \
    X(PADDB, paddb)                                                                                \
    X(PADDW, paddw)                                                                                \
    X(PADDD, paddd)                                                                                \
    X(PADDQ, paddq)                                                                                \
    X(PSUBB, psubb)                                                                                \
    X(PSUBW, psubw)                                                                                \
    X(PSUBD, psubd)                                                                                \
    X(PSUBQ, psubq)                                                                                \
    X(PADDSB, paddsb)                                                                              \
    X(PADDSW, paddsw)                                                                              \
    X(PADDUSB, paddusb)                                                                            \
    X(PADDUSW, paddusw)                                                                            \
    X(PSUBSB, psubsb)                                                                              \
    X(PSUBSW, psubsw)                                                                              \
    X(PSUBUSB, psubusb)                                                                            \
    X(PSUBUSW, psubusw)                                                                            \
    X(PAVGB, pavgb)                                                                                \
    X(PAVGW, pavgw)                                                                                \
    X(PMAXSW, pmaxsw)                                                                              \
    X(PMAXUB, pmaxub)                                                                              \
    X(PMINSW, pminsw)                                                                              \
    X(PMINUB, pminub)                                                                              \
    X(PMULLW, pmullw)                                                                              \
    X(PMULHW, pmulhw)                                                                              \
    X(PMULHUW, pmulhuw)                                                                            \
    X(PMULUDQ, pmuludq)                                                                            \
    X(PMADDWD, pmaddwd)                                                                            \
    X(PSADBW, psadbw)                                                                              \
    X(PAND, pand)                                                                                  \
    X(PANDN, pandn)                                                                                \
    X(POR, por)                                                                                    \
    X(PXOR, pxor)                                                                                  \
    X(PCMPEQB, pcmpeqb)                                                                            \
    X(PCMPEQW, pcmpeqw)                                                                            \
    X(PCMPEQD, pcmpeqd)                                                                            \
    X(PCMPGTB, pcmpgtb)                                                                            \
    X(PCMPGTW, pcmpgtw)                                                                            \
    X(PCMPGTD, pcmpgtd)                                                                            \
    X(PACKSSWB, packsswb)                                                                          \
    X(PACKSSDW, packssdw)                                                                          \
    X(PACKUSWB, packuswb)                                                                          \
    X(PUNPCKLBW, punpcklbw)                                                                        \
    X(PUNPCKHBW, punpckhbw)                                                                        \
    X(PUNPCKLWD, punpcklwd)                                                                        \
    X(PUNPCKHWD, punpckhwd)                                                                        \
    X(PUNPCKLDQ, punpckldq)                                                                        \
    X(PUNPCKHDQ, punpckhdq)                                                                        \
    X(PUNPCKLQDQ, punpcklqdq)                                                                      \
    X(PUNPCKHQDQ, punpckhqdq)                                                                      \
    X(SHUFPS, shufps)

/* The same under names that tell a type (no exceptions come of it). */
#define SSE2_BINARY_SAME(S)                                                                        \
    S(ANDPS, pand)                                                                                 \
    S(ANDPD, pand)                                                                                 \
    S(ANDNPS, pandn)                                                                               \
    S(ANDNPD, pandn)                                                                               \
    S(ORPS, por)                                                                                   \
    S(ORPD, por)                                                                                   \
    S(XORPS, pxor)                                                                                 \
    S(XORPD, pxor)                                                                                 \
    S(UNPCKLPS, punpckldq)                                                                         \
    S(UNPCKHPS, punpckhdq)                                                                         \
    S(UNPCKLPD, punpcklqdq)                                                                        \
    S(UNPCKHPD, punpckhqdq)

/* One source of 16 bytes. */
#define SSE2_UNARY(X)                                                                              \
    X(PSHUFD, pshufd)                                                                              \
    X(PSHUFLW, pshuflw)                                                                            \
    X(PSHUFHW, pshufhw)                                                                            \
    X(MOVSLDUP, movsldup)                                                                          \
    X(MOVSHDUP, movshdup)

/* Shifts: by a register's or memory's low 64 bits or by an immediate; lane_<name>_i. */
#define SSE2_SHIFT(X)                                                                              \
    X(PSLLW, psllw)                                                                                \
    X(PSLLD, pslld)                                                                                \
    X(PSLLQ, psllq)                                                                                \
    X(PSRLW, psrlw)                                                                                \
    X(PSRLD, psrld)                                                                                \
    X(PSRLQ, psrlq)                                                                                \
    X(PSRAW, psraw)                                                                                \
    X(PSRAD, psrad)

#define SSE2_SHIFT_BYTES(X)                                                                        \
    X(PSLLDQ, pslldq)                                                                              \
    X(PSRLDQ, psrldq)

/* Floating point: packed, 16 bytes; scalars of 4 and of 8 bytes. */
#define FLOAT_PACKED(X)                                                                            \
    X(ADDPS, addps)                                                                                \
    X(ADDPD, addpd)                                                                                \
    X(SUBPS, subps)                                                                                \
    X(SUBPD, subpd)                                                                                \
    X(MULPS, mulps)                                                                                \
    X(MULPD, mulpd)                                                                                \
    X(DIVPS, divps)                                                                                \
    X(DIVPD, divpd)                                                                                \
    X(MINPS, minps)                                                                                \
    X(MINPD, minpd)                                                                                \
    X(MAXPS, maxps)                                                                                \
    X(MAXPD, maxpd)                                                                                \
    X(SQRTPS, sqrtps)                                                                              \
    X(SQRTPD, sqrtpd)                                                                              \
    X(RCPPS, rcpps)                                                                                \
    X(RSQRTPS, rsqrtps)                                                                            \
    X(ADDSUBPS, addsubps)                                                                          \
    X(ADDSUBPD, addsubpd)                                                                          \
    X(HADDPS, haddps)                                                                              \
    X(HADDPD, haddpd)                                                                              \
    X(HSUBPS, hsubps)                                                                              \
    X(HSUBPD, hsubpd)                                                                              \
    X(ROUNDPS, roundps)                                                                            \
    X(ROUNDPD, roundpd)                                                                            \
    X(DPPS, dpps)                                                                                  \
    X(DPPD, dppd)

#define FLOAT_SINGLE(X)                                                                            \
    X(ADDSS, addss)                                                                                \
    X(SUBSS, subss)                                                                                \
    X(MULSS, mulss)                                                                                \
    X(DIVSS, divss)                                                                                \
    X(MINSS, minss)                                                                                \
    X(MAXSS, maxss)                                                                                \
    X(SQRTSS, sqrtss)                                                                              \
    X(RCPSS, rcpss)                                                                                \
    X(RSQRTSS, rsqrtss)                                                                            \
    X(ROUNDSS, roundss)

#define FLOAT_DOUBLE(X)                                                                            \
    X(ADDSD, addsd)                                                                                \
    X(SUBSD, subsd)                                                                                \
    X(MULSD, mulsd)                                                                                \
    X(DIVSD, divsd)                                                                                \
    X(MINSD, minsd)                                                                                \
    X(MAXSD, maxsd)                                                                                \
    X(SQRTSD, sqrtsd)                                                                              \
    X(ROUNDSD, roundsd)

/* VEX has more relations. */
#define FLOAT_COMPARE_PACKED(X)                                                                    \
    X(CMPPS, cmpps)                                                                                \
    X(CMPPD, cmppd)

#define FLOAT_COMPARE_SINGLE(X) X(CMPSS, cmpss)

/* SSSE3, with MMX forms too: two sources, and one. */
#define SSSE3_BINARY(X)                                                                            \
    X(PSHUFB, pshufb)                                                                              \
    X(PHADDW, phaddw)                                                                              \
    X(PHADDD, phaddd)                                                                              \
    X(PHADDSW, phaddsw)                                                                            \
    X(PHSUBW, phsubw)                                                                              \
    X(PHSUBD, phsubd)                                                                              \
    X(PHSUBSW, phsubsw)                                                                            \
    X(PMADDUBSW, pmaddubsw)                                                                        \
    X(PMULHRSW, pmulhrsw)                                                                          \
    X(PSIGNB, psignb)                                                                              \
    X(PSIGNW, psignw)                                                                              \
    X(PSIGND, psignd)                                                                              \
    X(PALIGNR, palignr)

#define SSSE3_UNARY(X)                                                                             \
    X(PABSB, pabsb)                                                                                \
    X(PABSW, pabsw)                                                                                \
    X(PABSD, pabsd)

/* SSE4.1, SSE4.2. */
#define SSE4_BINARY(X)                                                                             \
    X(PMULLD, pmulld)                                                                              \
    X(PMULDQ, pmuldq)                                                                              \
    X(PMINSB, pminsb)                                                                              \
    X(PMINUW, pminuw)                                                                              \
    X(PMINSD, pminsd)                                                                              \
    X(PMINUD, pminud)                                                                              \
    X(PMAXSB, pmaxsb)                                                                              \
    X(PMAXUW, pmaxuw)                                                                              \
    X(PMAXSD, pmaxsd)                                                                              \
    X(PMAXUD, pmaxud)                                                                              \
    X(PCMPEQQ, pcmpeqq)                                                                            \
    X(PCMPGTQ, pcmpgtq)                                                                            \
    X(PACKUSDW, packusdw)                                                                          \
    X(PBLENDW, pblendw)

/* One source, 128 bits only. */
#define SSE4_UNARY(X) X(PHMINPOSUW, phminposuw)

/* X(mnemonic, lane, bits of the source): widening. */
#define SSE4_WIDEN(X)                                                                              \
    X(PMOVSXBW, pmovsxbw, 64)                                                                      \
    X(PMOVZXBW, pmovzxbw, 64)                                                                      \
    X(PMOVSXBD, pmovsxbd, 32)                                                                      \
    X(PMOVZXBD, pmovzxbd, 32)                                                                      \
    X(PMOVSXBQ, pmovsxbq, 16)                                                                      \
    X(PMOVZXBQ, pmovzxbq, 16)                                                                      \
    X(PMOVSXWD, pmovsxwd, 64)                                                                      \
    X(PMOVZXWD, pmovzxwd, 64)                                                                      \
    X(PMOVSXWQ, pmovsxwq, 32)                                                                      \
    X(PMOVZXWQ, pmovzxwq, 32)                                                                      \
    X(PMOVSXDQ, pmovsxdq, 64)                                                                      \
    X(PMOVZXDQ, pmovzxdq, 64)

/* AES and carry-less multiplication. */
#define AES_BINARY(X)                                                                              \
    X(AESENC, aesenc)                                                                              \
    X(AESENCLAST, aesenclast)                                                                      \
    X(AESDEC, aesdec)                                                                              \
    X(AESDECLAST, aesdeclast)                                                                      \
    X(PCLMULQDQ, pclmulqdq)

#define AES_UNARY(X)                                                                               \
    X(AESIMC, aesimc)                                                                              \
    X(AESKEYGENASSIST, aeskeygenassist)

/* Whose immediate has bits of its own for each half of 256 bits. */
#define HALVED_BINARY(X)                                                                           \
    X(SHUFPD, shufpd)                                                                              \
    X(MPSADBW, mpsadbw)                                                                            \
    X(BLENDPS, blendps)                                                                            \
    X(BLENDPD, blendpd)

#endif
