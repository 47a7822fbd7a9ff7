/* SPDX-License-Identifier: MIT
 *
 * plugin/copy.h - the tools of descriptor.c and copy_props.c: where we are, and checked copies.
 */
#ifndef PLUGIN_COPY_H
#define PLUGIN_COPY_H

#include "plugin/descriptor.h"

struct copy {
    const char *path; /* of the plugin's file */
    struct arena *arena;
    struct error *e;
    const char *model; /* id of the one being copied, or NULL */
    const char *table; /* "property", "field" or NULL; with `name` */
    const char *name;
    bool newer; /* compiled with a newer minor: unknown flags are not an error but its own business
                 */
};

/* Says "PATH: model 'x': property 'y': ..." and returns `err`. */
int copy_fail(const struct copy *c, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Copies the string `from`, called `what` in errors: UTF-8 without control characters, one line.
 * NULL stays NULL if `optional`. -EINVAL, -ENOMEM. */
int copy_text(const struct copy *c, const char *what, const char *from, bool optional,
              const char **to);
/* The same for [a-z0-9-]+ of at most DESCRIPTOR_ID_MAX bytes. */
int copy_id(const struct copy *c, const char *what, const char *from, const char **to);
/* The stride of the table called `what`: at least `minimum`, of minor 0, aligned, below 4 KiB. */
int copy_check_stride(const struct copy *c, const char *what, uint32_t stride, uint32_t minimum);

/* Fills to->props and prop_count from the table `from` of `stride`; to->config_size is set. */
int copy_props(struct copy *c, const struct bp_prop *from, uint32_t stride, struct model *to);
/* Fills to->regions and region_count from `from`, which may be NULL. */
int copy_regions(struct copy *c, const struct bp_region_ops *const *from, struct model *to);
/* Replaces to->instance.fields by a copy. */
int copy_fields(struct copy *c, struct model *to);

#endif
