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
    X(SHUFPS, shufps)                                                                              \
    X(SHUFPD, shufpd)

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

#endif
