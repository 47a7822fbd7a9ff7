/* SPDX-License-Identifier: MIT
 *
 * plugin/describe.h - what `backplane plugins` and `backplane plugins show NAME` print.
 */
#ifndef PLUGIN_DESCRIBE_H
#define PLUGIN_DESCRIBE_H

#include "plugin/plugin.h"

/* Every plugin on the path with its models, then the files that cannot be used and why. With
 * `json`:
 *     {"folders": [...], "plugins": [...], "unusable": [{"file", "reason"}]}
 * where a plugin is as plugins_describe_one() gives it. Text or JSON, UTF-8, ends with a newline;
 * to be freed with free(). NULL: out of memory. [main] */
char *plugins_describe(struct plugins *plugins, bool json);

/* One plugin with everything that its models declare. With `json`:
 *     {"name", "version", "file", "abi": "0.0", "models": [{"id", "kind", "summary", "default",
 * "shared", "once", "shares-ram", "irqchip", "thread", "joins", "properties": [{"key", "type",
 * "list", "required", "default", "min", "max", "choices", "needs", "creates", "claim": {"what",
 * "length", "shared", "reserves"}, "help"}], "regions": [{"name", "min-access", "max-access",
 * "registers": [{"name", "offset", "width", "access": "RW" or "RO", "WO", "RC", "dma": "address" or
 * "address-high", "length", "doorbell"}]}], "state": {"version", "fields": [...]}}]} Absent are:
 * "default", "min", "max", "choices", "needs", "claim", "dma" where there is none, "regions" and
 * "state" where the model tells of none. Freed and failing as above. [any] */
char *plugins_describe_one(const struct plugin *plugin, bool json);

#endif
