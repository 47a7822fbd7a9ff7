/* SPDX-License-Identifier: MIT
 *
 * dev-pc/fw_cfg.h - what firmware can ask for by number or, through a directory, by name
 * (fw_cfg_items.c), and how it does (fw_cfg.c).
 */
#ifndef DEV_PC_FW_CFG_H
#define DEV_PC_FW_CFG_H

#include <backplane/ext/firmware.h>
#include <backplane/props.h>

#define FW_CFG_ITEMS_MAX 32u
#define FW_CFG_NAME_BYTES 56u /* of a file's name with its 0 */

struct fw_cfg_config {
    uint16_t port;
    uint16_t console; /* port of the UART that is the console; 0: none */
    uint8_t menu;
    uint8_t reserved[3];
    uint32_t retry;            /* seconds; 0: never */
    struct bp_list boot_order; /* const char * */
};

/* Something that can be read: `length` bytes, and zeroes beyond them. */
struct fw_cfg_item {
    uint16_t key;
    uint16_t reserved;
    uint32_t length;
    uint8_t *data;
    char name[FW_CFG_NAME_BYTES]; /* "": no file */
};

struct fw_cfg_items {
    uint32_t count;
    int err; /* -ENOMEM, -ENOSPC: of the first that could not be added; sticky */
    struct fw_cfg_item items[FW_CFG_ITEMS_MAX];
};

/* A place on the PCI bus, "4" or "1f.2" in hex, as device << 3 | function; -EINVAL. */
int fw_cfg_parse_place(const char *text, uint32_t *devfn);

/* Puts everything into *items, which holds nothing. `firmware` NULL: what the host knows is left
 * out. 0, or items->err; what there is has to be freed all the same. [main] */
int fw_cfg_items_fill(struct fw_cfg_items *items, const struct fw_cfg_config *config,
                      const struct bp_firmware *firmware, struct bp_node *node);
void fw_cfg_items_free(struct fw_cfg_items *items);
/* NULL if there is none such. */
const struct fw_cfg_item *fw_cfg_item_find(const struct fw_cfg_items *items, uint32_t key);

#endif
