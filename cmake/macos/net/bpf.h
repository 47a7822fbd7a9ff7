/* SPDX-License-Identifier: MIT
 *
 * net/bpf.h - of macOS' header of that name, which zig's compiler lacks, what libpcap's capture
 * module for BPF devices needs: bpf(4) of macOS. It is for building libpcap by scripts/cross-macos;
 * a Mac has a libpcap of its own.
 */
#ifndef _NET_BPF_H_
#define _NET_BPF_H_

#include <stdint.h>
#include <sys/_types/_timeval32.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/types.h>

typedef int32_t bpf_int32;
typedef uint32_t bpf_u_int32;

#define BPF_ALIGNMENT sizeof(int32_t)
#define BPF_WORDALIGN(bytes) (((bytes) + (BPF_ALIGNMENT - 1)) & ~(BPF_ALIGNMENT - 1))
#define BPF_MAJOR_VERSION 1
#define BPF_MINOR_VERSION 1
#define BPF_MAXINSNS 512

/* Of the language of filters, what a program that takes all frames is made of. */
#define BPF_RET 0x06
#define BPF_K 0x00

/* Kinds of links. */
#define DLT_NULL 0
#define DLT_EN10MB 1
#define DLT_FDDI 10
#define DLT_RAW 12
#define DLT_IEEE802_11 105

struct bpf_insn {
    u_short code;
    u_char jt, jf;
    bpf_u_int32 k;
};

struct bpf_program {
    u_int bf_len;
    struct bpf_insn *bf_insns;
};

struct bpf_stat {
    u_int bs_recv;
    u_int bs_drop;
};

struct bpf_version {
    u_short bv_major;
    u_short bv_minor;
};

/* Before each frame. Its time has 32 bits for either part. */
#define BPF_TIMEVAL timeval32

struct bpf_hdr {
    struct BPF_TIMEVAL bh_tstamp;
    bpf_u_int32 bh_caplen;
    bpf_u_int32 bh_datalen;
    u_short bh_hdrlen;
};

struct bpf_dltlist {
    uint32_t bfl_len;
    union {
        uint32_t *bflu_list;
        uint64_t bflu_pad;
    } bfl_u;
};
#define bfl_list bfl_u.bflu_list

/* The last two need <net/if.h> where they are used. */
#define BIOCGBLEN _IOR('B', 102, u_int)
#define BIOCSBLEN _IOWR('B', 102, u_int)
#define BIOCSETF _IOW('B', 103, struct bpf_program)
#define BIOCFLUSH _IO('B', 104)
#define BIOCPROMISC _IO('B', 105)
#define BIOCGDLT _IOR('B', 106, u_int)
#define BIOCSRTIMEOUT _IOW('B', 109, struct timeval)
#define BIOCGRTIMEOUT _IOR('B', 110, struct timeval)
#define BIOCGSTATS _IOR('B', 111, struct bpf_stat)
#define BIOCIMMEDIATE _IOW('B', 112, u_int)
#define BIOCVERSION _IOR('B', 113, struct bpf_version)
#define BIOCGHDRCMPLT _IOR('B', 116, u_int)
#define BIOCSHDRCMPLT _IOW('B', 117, u_int)
#define BIOCGSEESENT _IOR('B', 118, u_int)
#define BIOCSSEESENT _IOW('B', 119, u_int)
#define BIOCSDLT _IOW('B', 120, u_int)
#define BIOCGDLTLIST _IOWR('B', 121, struct bpf_dltlist)
#define BIOCGETIF _IOR('B', 107, struct ifreq)
#define BIOCSETIF _IOW('B', 108, struct ifreq)

#endif
