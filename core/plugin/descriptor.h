/* SPDX-License-Identifier: MIT
 *
 * plugin/descriptor.h - what a plugin says of itself, checked and copied deep.
 */
#ifndef PLUGIN_DESCRIPTOR_H
#define PLUGIN_DESCRIPTOR_H

#include "plugin/arena.h"
#include "plugin/plugin.h"

/* Bounds of a descriptor. More is taken for a table without its end. */
#define DESCRIPTOR_TEXT_MAX 4096u /* bytes of a string */
#define DESCRIPTOR_ID_MAX 64u     /* bytes of a model id, a key, a plugin's name */
#define DESCRIPTOR_MODELS_MAX 256u
#define DESCRIPTOR_PROPS_MAX 1024u
#define DESCRIPTOR_CHOICES_MAX 1024u
#define DESCRIPTOR_FIELDS_MAX 4096u
#define DESCRIPTOR_REGIONS_MAX 64u
#define DESCRIPTOR_REGISTERS_MAX 4096u
#define DESCRIPTOR_CONFIG_MAX (1u << 20) /* bytes of a config struct */

/* Copies everything that `from` says, at any size and stride, to tables of this host's in `arena`,
 * and fills *out; `path` stays the caller's. Sentences begin with `path` and say where in the
 * descriptor. -EINVAL, -ENOTSUP if it needs a newer minor, -ENOMEM. The caller frees the arena
 * whatever the result. No function of the plugin is called. */
int descriptor_copy(const struct bp_plugin *from, const char *path, struct arena *arena,
                    struct plugin *out, struct error *e);

/* A name that a machine file may give: [A-Za-z0-9][A-Za-z0-9._+-]*, no "..", at most
 * DESCRIPTOR_ID_MAX. */
bool descriptor_is_name(const char *name);

/* `text` for a sentence about a name or id that is none: cut, and '?' for what cannot be shown. */
const char *descriptor_shown(const char *text, char to[DESCRIPTOR_ID_MAX + 1]);

#endif
