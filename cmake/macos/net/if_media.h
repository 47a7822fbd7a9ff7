/* SPDX-License-Identifier: MIT
 *
 * net/if_media.h - of macOS' header of that name, which zig's compiler lacks, what libpcap asks of
 * an interface's carrier; for building libpcap, as net/bpf.h beside this.
 */
#ifndef MACOS_NET_IF_MEDIA_H
#define MACOS_NET_IF_MEDIA_H

#define IFM_TYPE(word) ((word)&0xe0)
#define IFM_ETHER 0x20
#define IFM_IEEE80211 0x80

/* ifm_status */
#define IFM_AVALID 1 /* IFM_ACTIVE means something */
#define IFM_ACTIVE 2

#endif
