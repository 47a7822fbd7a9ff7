/* SPDX-License-Identifier: MIT
 *
 * dev-e1000/regs.h - the registers of the 82540EM: Intel PCI/PCI-X Family of Gigabit Ethernet
 * Controllers Software Developer's Manual ("SDM", 317453-006), chapter 13.
 *
 * One table, E1000_REGISTERS, is what the access code, the reset, the snapshot and the manual are
 * made of: X(name, offset, access, bits that a write changes, value after reset). Arrays follow in
 * E1000_ARRAYS. Registers of the fiber interfaces are there as far as the copper parts have them:
 * TXCW takes values and does nothing.
 */
#ifndef DEV_E1000_REGS_H
#define DEV_E1000_REGS_H

#define E1000_BAR_BYTES 0x20000u
#define E1000_IO_BYTES 64u

#define ALL 0xffffffffu

/* clang-format off */
#define E1000_STATISTICS(X)                                                                        \
    X(CRCERRS, 0x4000, RC, 0, 0)  X(ALGNERRC, 0x4004, RC, 0, 0) X(SYMERRS, 0x4008, RC, 0, 0)       \
    X(RXERRC, 0x400c, RC, 0, 0)   X(MPC, 0x4010, RC, 0, 0)      X(SCC, 0x4014, RC, 0, 0)           \
    X(ECOL, 0x4018, RC, 0, 0)     X(MCC, 0x401c, RC, 0, 0)      X(LATECOL, 0x4020, RC, 0, 0)       \
    X(COLC, 0x4028, RC, 0, 0)     X(DC, 0x4030, RC, 0, 0)       X(TNCRS, 0x4034, RC, 0, 0)         \
    X(SEC, 0x4038, RC, 0, 0)      X(CEXTERR, 0x403c, RC, 0, 0)  X(RLEC, 0x4040, RC, 0, 0)          \
    X(XONRXC, 0x4048, RC, 0, 0)   X(XONTXC, 0x404c, RC, 0, 0)   X(XOFFRXC, 0x4050, RC, 0, 0)       \
    X(XOFFTXC, 0x4054, RC, 0, 0)  X(FCRUC, 0x4058, RC, 0, 0)    X(PRC64, 0x405c, RC, 0, 0)         \
    X(PRC127, 0x4060, RC, 0, 0)   X(PRC255, 0x4064, RC, 0, 0)   X(PRC511, 0x4068, RC, 0, 0)        \
    X(PRC1023, 0x406c, RC, 0, 0)  X(PRC1522, 0x4070, RC, 0, 0)  X(GPRC, 0x4074, RC, 0, 0)          \
    X(BPRC, 0x4078, RC, 0, 0)     X(MPRC, 0x407c, RC, 0, 0)     X(GPTC, 0x4080, RC, 0, 0)          \
    X(GORCL, 0x4088, RO, 0, 0)    X(GORCH, 0x408c, RC, 0, 0)    X(GOTCL, 0x4090, RO, 0, 0)         \
    X(GOTCH, 0x4094, RC, 0, 0)    X(RNBC, 0x40a0, RC, 0, 0)     X(RUC, 0x40a4, RC, 0, 0)           \
    X(RFC, 0x40a8, RC, 0, 0)      X(ROC, 0x40ac, RC, 0, 0)      X(RJC, 0x40b0, RC, 0, 0)           \
    X(MGTPRC, 0x40b4, RC, 0, 0)   X(MGTPDC, 0x40b8, RC, 0, 0)   X(MGTPTC, 0x40bc, RC, 0, 0)        \
    X(TORL, 0x40c0, RO, 0, 0)     X(TORH, 0x40c4, RC, 0, 0)     X(TOTL, 0x40c8, RO, 0, 0)          \
    X(TOTH, 0x40cc, RC, 0, 0)     X(TPR, 0x40d0, RC, 0, 0)      X(TPT, 0x40d4, RC, 0, 0)           \
    X(PTC64, 0x40d8, RC, 0, 0)    X(PTC127, 0x40dc, RC, 0, 0)   X(PTC255, 0x40e0, RC, 0, 0)        \
    X(PTC511, 0x40e4, RC, 0, 0)   X(PTC1023, 0x40e8, RC, 0, 0)  X(PTC1522, 0x40ec, RC, 0, 0)       \
    X(MPTC, 0x40f0, RC, 0, 0)     X(BPTC, 0x40f4, RC, 0, 0)     X(TSCTC, 0x40f8, RC, 0, 0)         \
    X(TSCTFC, 0x40fc, RC, 0, 0)

#define E1000_REGISTERS(X)                                                                         \
    /* 13.4: general */                                                                            \
    X(CTRL, 0x0000, RW, 0xd8fc1be9, 0x00000221)                                                    \
    X(STATUS, 0x0008, RO, 0, 0)                                                                    \
    X(EECD, 0x0010, RW, 0x00000077, 0x00000010)                                                    \
    X(EERD, 0x0014, RW, 0x0000ff00, 0)                                                             \
    X(CTRL_EXT, 0x0018, RW, 0x00c0cdef, 0)                                                         \
    X(MDIC, 0x0020, RW, 0x2fffffff, 0x10000000)                                                    \
    X(FCAL, 0x0028, RW, ALL, 0)                                                                    \
    X(FCAH, 0x002c, RW, 0x0000ffff, 0)                                                             \
    X(FCT, 0x0030, RW, 0x0000ffff, 0)                                                              \
    X(VET, 0x0038, RW, 0x0000ffff, 0x00008100)                                                     \
    X(FCTTV, 0x0170, RW, 0x0000ffff, 0)                                                            \
    X(TXCW, 0x0178, RW, 0xc000ffff, 0)                                                             \
    X(LEDCTL, 0x0e00, RW, 0xcfcfcfcf, 0x07060302)                                                  \
    X(PBA, 0x1000, RW, 0x0000007f, 0x00100030)                                                     \
    /* interrupts */                                                                               \
    X(ICR, 0x00c0, RC, ALL, 0)                                                                     \
    X(ITR, 0x00c4, RW | BP_REG_POSTED, 0x0000ffff, 0)                                              \
    X(ICS, 0x00c8, WO, ALL, 0)                                                                     \
    X(IMS, 0x00d0, RW, 0x0001ffff, 0)                                                              \
    X(IMC, 0x00d8, WO | BP_REG_POSTED, ALL, 0)                                                     \
    /* receive */                                                                                  \
    X(RCTL, 0x0100, RW, 0x06dfb3fe, 0)                                                             \
    X(FCRTL, 0x2160, RW, 0x8000fff8, 0)                                                            \
    X(FCRTH, 0x2168, RW, 0x0000fff8, 0)                                                            \
    X(RDBAL, 0x2800, RW | BP_REG_ADDRESS, 0xfffffff0, 0)                                           \
    X(RDBAH, 0x2804, RW | BP_REG_ADDRESS_HIGH, ALL, 0)                                             \
    X(RDLEN, 0x2808, RW | BP_REG_LENGTH, 0x000fff80, 0)                                            \
    X(RDH, 0x2810, RW, 0x0000ffff, 0)                                                              \
    X(RDT, 0x2818, RW | BP_REG_DOORBELL | BP_REG_POSTED, 0x0000ffff, 0)                            \
    X(RDTR, 0x2820, RW, 0x0000ffff, 0)                                                             \
    X(RXDCTL, 0x2828, RW, 0x013f3f3f, 0x01010000)                                                  \
    X(RADV, 0x282c, RW, 0x0000ffff, 0)                                                             \
    X(RSRPD, 0x2c00, RW, 0x00000fff, 0)                                                            \
    X(RXCSUM, 0x5000, RW, 0x000003ff, 0)                                                           \
    /* transmit */                                                                                 \
    X(TCTL, 0x0400, RW, 0x033ffffa, 0)                                                             \
    X(TIPG, 0x0410, RW, 0x3fffffff, 0x00602008)                                                    \
    X(AIFS, 0x0458, RW, 0x0000ffff, 0)                                                             \
    X(TXDMAC, 0x3000, RW, 0x00000001, 0)                                                           \
    X(TDBAL, 0x3800, RW | BP_REG_ADDRESS, 0xfffffff0, 0)                                           \
    X(TDBAH, 0x3804, RW | BP_REG_ADDRESS_HIGH, ALL, 0)                                             \
    X(TDLEN, 0x3808, RW | BP_REG_LENGTH, 0x000fff80, 0)                                            \
    X(TDH, 0x3810, RW, 0x0000ffff, 0)                                                              \
    X(TDT, 0x3818, RW | BP_REG_DOORBELL, 0x0000ffff, 0)                                            \
    X(TIDV, 0x3820, RW, 0x0000ffff, 0)                                                             \
    X(TXDCTL, 0x3828, RW, 0xff3f3f3f, 0)                                                           \
    X(TADV, 0x382c, RW, 0x0000ffff, 0)                                                             \
    X(TSPMT, 0x3830, RW, ALL, 0x01000400)                                                          \
    /* 13.6: wake-up */                                                                            \
    X(WUC, 0x5800, RW, 0x0000000b, 0)                                                              \
    X(WUFC, 0x5808, RW, 0x000f80ff, 0)                                                             \
    X(WUS, 0x5810, RW, 0x000f00ff, 0)                                                              \
    X(IPAV, 0x5838, RW, 0x0001000f, 0)                                                             \
    X(WUPL, 0x5900, RO, 0, 0)                                                                      \
    /* 13.8: diagnostics */                                                                        \
    X(RDFH, 0x2410, RW, 0x00001fff, 0)                                                             \
    X(RDFT, 0x2418, RW, 0x00001fff, 0)                                                             \
    X(RDFHS, 0x2420, RW, 0x00001fff, 0)                                                            \
    X(RDFTS, 0x2428, RW, 0x00001fff, 0)                                                            \
    X(RDFPC, 0x2430, RW, 0x00001fff, 0)                                                            \
    X(TDFH, 0x3410, RW, 0x00001fff, 0x00001800)                                                    \
    X(TDFT, 0x3418, RW, 0x00001fff, 0x00001800)                                                    \
    X(TDFHS, 0x3420, RW, 0x00001fff, 0x00001800)                                                   \
    X(TDFTS, 0x3428, RW, 0x00001fff, 0x00001800)                                                   \
    X(TDFPC, 0x3430, RW, 0x00001fff, 0)                                                            \
    /* 13.7 */                                                                                     \
    E1000_STATISTICS(X)

/* Arrays: X(name, offset of the first, number, bytes from one to the next, access, bits). RA is RAL
 * and RAH in turns. */
#define E1000_ARRAYS(X)                                                                            \
    X(MTA, 0x5200, 128, 4, RW, ALL)                                                                \
    X(RA, 0x5400, 32, 4, RW, ALL)                                                                  \
    X(VFTA, 0x5600, 128, 4, RW, ALL)                                                               \
    X(IP4AT, 0x5840, 4, 8, RW, ALL)                                                                \
    X(IP6AT, 0x5880, 4, 4, RW, ALL)                                                                \
    X(WUPM, 0x5a00, 32, 4, RO, 0)                                                                  \
    X(FFLT, 0x5f00, 4, 8, RW, 0x000007ff)                                                          \
    X(FFMT, 0x9000, 128, 8, RW, 0x0000000f)                                                        \
    X(FFVT, 0x9800, 128, 8, RW, ALL)                                                               \
    X(PBM, 0x10000, 16384, 4, RW, ALL)
/* clang-format on */

#define E1000_OFFSET(name, offset, access, bits, reset) E1000_##name = (offset),
#define E1000_ARRAY_OFFSET(name, offset, count, stride, access, bits) E1000_##name = (offset),
enum e1000_offset { E1000_REGISTERS(E1000_OFFSET) E1000_ARRAYS(E1000_ARRAY_OFFSET) };

/* Places in e1000.reg[]. */
#define E1000_INDEX(name, offset, access, bits, reset) R_##name,
enum e1000_register { E1000_REGISTERS(E1000_INDEX) R_COUNT };

#define CTRL_FD (1u << 0)
#define CTRL_SLU (1u << 6)
#define CTRL_SPEED_SHIFT 8u
#define CTRL_FRCSPD (1u << 11)
#define CTRL_FRCDPLX (1u << 12)
#define CTRL_RST (1u << 26)
#define CTRL_RFCE (1u << 27)
#define CTRL_TFCE (1u << 28)
#define CTRL_VME (1u << 30)
#define CTRL_PHY_RST (1u << 31)

#define STATUS_FD (1u << 0)
#define STATUS_LU (1u << 1)
#define STATUS_TXOFF (1u << 4)
#define STATUS_SPEED_SHIFT 6u
#define STATUS_ASDV_SHIFT 8u

#define EECD_SK (1u << 0)
#define EECD_CS (1u << 1)
#define EECD_DI (1u << 2)
#define EECD_DO (1u << 3)
#define EECD_REQ (1u << 6)
#define EECD_GNT (1u << 7)
#define EECD_PRES (1u << 8)

#define EERD_START (1u << 0)
#define EERD_DONE (1u << 4)

#define CTRL_EXT_PHYINT (1u << 5)
#define CTRL_EXT_EE_RST (1u << 13)

#define MDIC_REG_SHIFT 16u
#define MDIC_PHY_SHIFT 21u
#define MDIC_OP_SHIFT 26u
#define MDIC_WRITE 1u
#define MDIC_READ 2u
#define MDIC_READY (1u << 28)
#define MDIC_INTERRUPT (1u << 29)
#define MDIC_ERROR (1u << 30)

/* ICR, ICS, IMS, IMC (13.4.17) */
#define INT_TXDW (1u << 0)    /* a descriptor with RS was written back */
#define INT_TXQE (1u << 1)    /* the transmit ring is empty */
#define INT_LSC (1u << 2)     /* STATUS.LU changed */
#define INT_RXDMT0 (1u << 4)  /* receive descriptors fell to the threshold */
#define INT_RXO (1u << 6)     /* a frame was lost for want of descriptors */
#define INT_RXT0 (1u << 7)    /* frames were received, and the delay is over */
#define INT_MDAC (1u << 9)    /* MDIC is done */
#define INT_PHYINT (1u << 12) /* the PHY interrupts */
#define INT_TXD_LOW (1u << 15)
#define INT_SRPD (1u << 16) /* a small frame was received */

#define RCTL_EN (1u << 1)
#define RCTL_SBP (1u << 2)
#define RCTL_UPE (1u << 3)
#define RCTL_MPE (1u << 4)
#define RCTL_LPE (1u << 5)
#define RCTL_LBM (3u << 6)
#define RCTL_RDMTS_SHIFT 8u
#define RCTL_MO_SHIFT 12u
#define RCTL_BAM (1u << 15)
#define RCTL_BSIZE_SHIFT 16u
#define RCTL_VFE (1u << 18)
#define RCTL_CFIEN (1u << 19)
#define RCTL_CFI (1u << 20)
#define RCTL_DPF (1u << 22)
#define RCTL_PMCF (1u << 23)
#define RCTL_BSEX (1u << 25)
#define RCTL_SECRC (1u << 26)

#define RXCSUM_PCSS 0xffu
#define RXCSUM_IPOFL (1u << 8)
#define RXCSUM_TUOFL (1u << 9)

#define RDTR_FPD (1u << 31)

#define TCTL_EN (1u << 1)
#define TCTL_PSP (1u << 3)
#define TCTL_SWXOFF (1u << 22)

#define TXDCTL_LWTHRESH_SHIFT 25u

#define RAH_AV (1u << 31)
#define RAH_AS (3u << 16) /* 0: compared with the destination, 1: with the source */

/* Transmit descriptors (3.3): CMD is byte 11, STA the low half of byte 12. */
#define TX_EOP 0x01u
#define TX_IFCS 0x02u
#define TX_IC 0x04u  /* legacy */
#define TX_TSE 0x04u /* extended */
#define TX_RS 0x08u
#define TX_DEXT 0x20u
#define TX_VLE 0x40u
#define TX_IDE 0x80u
#define TX_DD 0x01u
#define TX_TYPE_CONTEXT 0u
#define TX_TYPE_DATA 1u
#define TUCMD_TCP 0x01u
#define TUCMD_IP 0x02u
#define POPTS_IXSM 0x01u
#define POPTS_TXSM 0x02u

/* Receive descriptors (3.2): status is byte 12, errors byte 13. */
#define RX_DD 0x01u
#define RX_EOP 0x02u
#define RX_IXSM 0x04u
#define RX_VP 0x08u
#define RX_TCPCS 0x20u
#define RX_IPCS 0x40u
#define RX_PIF 0x80u
#define RX_TCPE 0x20u
#define RX_IPE 0x40u

/* Wake-up: WUFC and WUS bits (13.6.2, 13.6.3). */
#define WUC_APME (1u << 0)
#define WUC_PME_EN (1u << 1)
#define WUC_PME_STATUS (1u << 2)
#define WUC_APMPME (1u << 3)
#define WU_LNKC (1u << 0)
#define WU_MAG (1u << 1)
#define WU_EX (1u << 2)
#define WU_MC (1u << 3)
#define WU_BC (1u << 4)
#define WU_ARP (1u << 5)
#define WU_IPV4 (1u << 6)
#define WU_IPV6 (1u << 7)
#define WU_FLX0 (1u << 16)

#endif
