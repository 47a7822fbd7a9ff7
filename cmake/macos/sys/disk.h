/* SPDX-License-Identifier: MIT
 *
 * sys/disk.h - of macOS' header of that name, which zig's compiler lacks, what blk-file asks a
 * disk. With Apple's compiler Apple's is used.
 */
#ifndef MACOS_SYS_DISK_H
#define MACOS_SYS_DISK_H

#include <stdint.h>
#include <sys/ioctl.h>

#define DKIOCGETBLOCKSIZE _IOR('d', 24, uint32_t)  /* bytes of a block */
#define DKIOCGETBLOCKCOUNT _IOR('d', 25, uint64_t) /* blocks of the disk */

#endif
