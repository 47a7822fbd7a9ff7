/* SPDX-License-Identifier: MIT
 *
 * dev-pc/plugin.c - the entry point: real-time clock, ACPI power management, reset, and the ports
 * by which bare guests and test kernels end, speak and report a panic; and interrupt controllers
 * and timers for CPU backends that have none of their own (BP_CPU_IRQCHIP); and what firmware asks
 * for.
 */
#include "pc.h"

static const struct bp_model *const models[] = {
    &rtc_model,         &acpi_pm_model, &reset_model,   &debug_exit_model,
    &debug_port_model,  &pvpanic_model, &irqchip_model, &hpet_model,
    &host_bridge_model, &fw_cfg_model,  NULL,
};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(struct bp_plugin),
    .abi_minor = BP_ABI_MINOR,
    .needs_minor = 0,
    .name = "dev-pc",
    .version = "0.1.0",
    .models = models,
};
