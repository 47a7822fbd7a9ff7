/* SPDX-License-Identifier: MIT
 *
 * shared/model.h - the table of a model, for plugins whose models differ in what their names say:
 * `NAME` has NAME_props, struct NAME_config and NAME_ops.
 */
#ifndef SHARED_MODEL_H
#define SHARED_MODEL_H

#include <backplane/plugin.h>

/* Defines NAME_model, of BP_KIND_`kind_`, with `flags_`, BP_MODEL_*. */
/* NOLINTBEGIN(bugprone-macro-parentheses): `model` is the beginning of names of tables */
#define SHARED_MODEL(kind_, model, text, flags_)                                                   \
    static const struct bp_model model##_model = {                                                 \
        .size = sizeof(struct bp_model),                                                           \
        .kind = BP_KIND_##kind_,                                                                   \
        .id = #model,                                                                              \
        .summary = text,                                                                           \
        .props = model##_props,                                                                    \
        .prop_stride = sizeof(struct bp_prop),                                                     \
        .config_size = sizeof(struct model##_config),                                              \
        .flags = (flags_),                                                                         \
        .instance = &model##_ops,                                                                  \
    }
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
