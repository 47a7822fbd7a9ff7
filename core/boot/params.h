/* SPDX-License-Identifier: MIT
 *
 * boot/params.h - Linux's boot_params ("zero page") and its setup header, by offset. After
 * Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header", and zero-page.rst. Offsets are
 * the same in the file of a bzImage and in boot_params.
 */
#ifndef BOOT_PARAMS_H
#define BOOT_PARAMS_H

#include "boot/loader.h"

#define PARAMS_BYTES 4096u

/* boot_params outside the setup header */
#define PARAMS_ACPI_RSDP_ADDR 0x070u    /* u64 */
#define PARAMS_EXT_RAMDISK_IMAGE 0x0c0u /* u32: upper half of ramdisk_image */
#define PARAMS_EXT_RAMDISK_SIZE 0x0c4u  /* u32 */
#define PARAMS_EXT_CMD_LINE_PTR 0x0c8u  /* u32 */
#define PARAMS_E820_ENTRIES 0x1e8u      /* u8 */
#define PARAMS_E820_TABLE 0x2d0u        /* 128 entries of u64 base, u64 length, u32 type */
#define PARAMS_E820_ENTRY_BYTES 20u
#define PARAMS_E820_MAX 128u

/* The setup header, with the protocol that brought the field where that is above 2.06 */
#define SETUP_START 0x1f1u
#define SETUP_SETUP_SECTS 0x1f1u        /* u8: sectors of 512 bytes after the first; 0 means 4 */
#define SETUP_SYSSIZE 0x1f4u            /* u32: protected-mode code in units of 16 bytes */
#define SETUP_BOOT_FLAG 0x1feu          /* u16: 0xaa55 */
#define SETUP_JUMP 0x200u               /* 0xeb, then the distance from 0x202 to the header's end */
#define SETUP_HEADER 0x202u             /* "HdrS" */
#define SETUP_VERSION 0x206u            /* u16: major in the upper byte */
#define SETUP_TYPE_OF_LOADER 0x210u     /* u8 */
#define SETUP_LOADFLAGS 0x211u          /* u8 */
#define SETUP_CODE32_START 0x214u       /* u32 */
#define SETUP_RAMDISK_IMAGE 0x218u      /* u32 */
#define SETUP_RAMDISK_SIZE 0x21cu       /* u32 */
#define SETUP_EXT_LOADER_VER 0x226u     /* u8 */
#define SETUP_EXT_LOADER_TYPE 0x227u    /* u8 */
#define SETUP_CMD_LINE_PTR 0x228u       /* u32 */
#define SETUP_INITRD_ADDR_MAX 0x22cu    /* u32: of the last byte */
#define SETUP_KERNEL_ALIGNMENT 0x230u   /* u32 */
#define SETUP_RELOCATABLE_KERNEL 0x234u /* u8 */
#define SETUP_XLOADFLAGS 0x236u         /* u16, 2.12 */
#define SETUP_CMDLINE_SIZE 0x238u       /* u32: without the terminating 0 */
#define SETUP_HARDWARE_SUBARCH 0x23cu   /* u32, 2.07 */
#define SETUP_SETUP_DATA 0x250u         /* u64, 2.09 */
#define SETUP_PREF_ADDRESS 0x258u       /* u64, 2.10 */
#define SETUP_INIT_SIZE 0x260u          /* u32, 2.10 */
#define SETUP_END_2_06 0x23cu           /* least end of a header of 2.06 */
#define SETUP_END_2_10 0x264u
#define SETUP_END_MAX 0x290u /* boot_params has something else from here on */

#define BOOT_FLAG_VALUE 0xaa55u
#define HEADER_MAGIC 0x53726448u /* "HdrS" */
#define LOADFLAGS_LOADED_HIGH 0x01u
#define XLOADFLAGS_KERNEL_64 0x01u
#define TYPE_OF_LOADER_UNKNOWN 0xffu

/* Writes what the loader tells the kernel: memory map, command line (which it puts into its place),
 * initrd (NULL: none), RSDP and type of loader. `params` holds zeros or a copied setup header.
 * [main] */
void params_write(struct loader *l, uint8_t *params, const struct loader_module *initrd);

#endif
