/* SPDX-License-Identifier: MIT
 *
 * abi/exchange.h - what a host needs of a loader, so that one test runs with two: the core's, and a
 * small one that stands for an old host.
 */
#ifndef ABI_EXCHANGE_H
#define ABI_EXCHANGE_H

#include <backplane/plugin.h>

/* A model as this host uses it: every table at this host's size. */
struct part {
    struct bp_instance_ops ops;
    struct bp_prop props[32];
    uint32_t prop_count, config_size;
};

/* Loads the file `path` and fills *out from its model `id`. 0; -errno with the reason in `why`. */
int exchange_open(const char *path, const char *id, struct part *out, char why[1024]);
/* Copies the table `from` of interface `id`, of whatever size, to this host's size. `is_port`: the
 * user's side. 0 or -EINVAL. */
int exchange_table(const char *id, int is_port, void *to, const void *from);
/* Unloads everything. */
void exchange_close(void);

#endif
