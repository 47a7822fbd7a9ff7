/* SPDX-License-Identifier: MIT
 *
 * dev-pc/pc.h - the models of this plugin: what stands on a PC's board, one file each.
 */
#ifndef DEV_PC_PC_H
#define DEV_PC_PC_H

#include <backplane/plugin.h>

extern const struct bp_model rtc_model;
extern const struct bp_model acpi_pm_model;
extern const struct bp_model reset_model;
extern const struct bp_model debug_exit_model;
extern const struct bp_model debug_port_model;
extern const struct bp_model pvpanic_model;
extern const struct bp_model irqchip_model;
extern const struct bp_model hpet_model;
extern const struct bp_model host_bridge_model;
extern const struct bp_model fw_cfg_model;

#endif
