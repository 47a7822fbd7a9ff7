/* SPDX-License-Identifier: MIT
 *
 * fakes/normal.h - private to the fake host: the checks of what a plugin exports, and tables
 * without holes.
 */
#ifndef FAKES_NORMAL_H
#define FAKES_NORMAL_H

#include <backplane/plugin.h>

/* cmocka's fail_msg(), with the promise to the compiler that it does not come back. */
_Noreturn void fake_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Fails the test unless the descriptor follows the rules of abi.h, plugin.h, props.h and state.h.
 */
void check_plugin(const struct bp_plugin *plugin, const char *path);

/* `from` with a stub in the place of every optional member that is NULL. */
struct bp_instance_ops normal_instance(const struct bp_instance_ops *from);

/* Nonzero if `id` is an interface whose first function is attach(self, port, port_self). */
int normal_is_two_way(const char *id);

/* `table` of interface `id` without holes; one of `port` tables if `is_port`. What `id` the fake
 * does not know comes back as it is. The result lives until the process ends. */
const void *normal_table(const char *id, int is_port, const void *table);

#endif
