/* SPDX-License-Identifier: MIT
 *
 * plugin/copy_props.c - a model's property and snapshot field tables, checked and copied.
 *
 * backplane/props.h and state.h give the rules. Whether `initial` parses is not looked at here but
 * when the machine file's values are: the default is one of them.
 */
#include "plugin/copy.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define PROP_MINIMUM (uint32_t)(offsetof(struct bp_prop, reserved) + sizeof(uint32_t))
#define FIELD_MINIMUM (uint32_t)(offsetof(struct bp_field, reserved) + sizeof(uint32_t))

#define KNOWN_FLAGS (BP_PROP_REQUIRED | BP_PROP_LIST | BP_PROP_CREATES | BP_PROP_RESERVES)

/* What each type is called, and the bytes of its member; 0: 1, 2, 4 or 8. */
static const struct {
    const char *name;
    uint32_t width;
} types[] = {
    [BP_PROP_BOOL] = {"BOOL", 1},
    [BP_PROP_UINT] = {"UINT", 0},
    [BP_PROP_SIZE] = {"SIZE", 8},
    [BP_PROP_STRING] = {"STRING", sizeof(void *)},
    [BP_PROP_PATH] = {"PATH", sizeof(void *)},
    [BP_PROP_ENUM] = {"ENUM", 4},
    [BP_PROP_MAC] = {"MAC", 6},
    [BP_PROP_REF] = {"REF", sizeof(void *)},
    [BP_PROP_ADDRESS] = {"ADDRESS", sizeof(void *)},
    [BP_PROP_RANGE] = {"RANGE", sizeof(struct bp_range)},
    [BP_PROP_PCI] = {"PCI", sizeof(uint32_t)},
};
#define TYPES ((uint32_t)(sizeof(types) / sizeof(types[0])))

static bool is_number_width(uint32_t width)
{
    return width == 1 || width == 2 || width == 4 || width == 8;
}

static int check_member(const struct copy *c, const struct bp_prop *p, uint32_t config_size)
{
    const char *type = types[p->type].name;
    uint32_t align;

    if (p->flags & BP_PROP_LIST) {
        if (p->width != sizeof(struct bp_list))
            return copy_fail(c, -EINVAL,
                             "its member has %u bytes; a list is a struct bp_list of %zu", p->width,
                             sizeof(struct bp_list));
        align = sizeof(void *);
    } else if (types[p->type].width == 0) {
        if (!is_number_width(p->width))
            return copy_fail(c, -EINVAL, "its member has %u bytes; %s needs 1, 2, 4 or 8", p->width,
                             type);
        align = p->width;
    } else {
        if (p->width != types[p->type].width)
            return copy_fail(c, -EINVAL, "its member has %u bytes; %s needs %u", p->width, type,
                             types[p->type].width);
        align = p->type == BP_PROP_MAC ? 1 : p->type == BP_PROP_RANGE ? sizeof(uint64_t) : p->width;
    }
    if ((uint64_t)p->offset + p->width > config_size)
        return copy_fail(c, -EINVAL,
                         "its member ends at byte %" PRIu64
                         ", but the config struct has %u; set config_size to its sizeof",
                         (uint64_t)p->offset + p->width, config_size);
    if (p->offset % align)
        return copy_fail(c, -EINVAL, "its member at byte %u is not aligned to %u; do not pack it",
                         p->offset, align);
    return 0;
}

static int check_bounds(const struct copy *c, const struct bp_prop *p)
{
    uint64_t most;

    if (p->type != BP_PROP_UINT && p->type != BP_PROP_SIZE)
        return 0;
    most =
        p->width == 8 || (p->flags & BP_PROP_LIST) ? UINT64_MAX : (UINT64_C(1) << p->width * 8) - 1;
    if (p->min > p->max)
        return copy_fail(c, -EINVAL, "its min %" PRIu64 " is above its max %" PRIu64, p->min,
                         p->max);
    if (p->max > most)
        return copy_fail(c, -EINVAL, "its max %" PRIu64 " does not fit in a member of %u bytes",
                         p->max, p->width);
    return 0;
}

static int check_claim(const struct copy *c, struct bp_prop *p)
{
    if (p->claim > BP_CLAIM_IRQ) {
        if (!c->newer)
            return copy_fail(c, -EINVAL,
                             "its claim %u is unknown; this host knows 0 to %u: use BP_CLAIM_*",
                             p->claim, BP_CLAIM_IRQ);
        p->claim = BP_CLAIM_NONE;
    }
    if (p->claim != BP_CLAIM_NONE && p->type != BP_PROP_UINT)
        return copy_fail(c, -EINVAL, "it claims something, but is %s; only UINT can",
                         types[p->type].name);
    if (p->claim == BP_CLAIM_IRQ && p->claim_length > 1)
        return copy_fail(c, -EINVAL,
                         "its claim_length is %" PRIu64
                         "; an interrupt's is 0 (for itself) or 1 (may be shared)",
                         p->claim_length);
    if (p->claim == BP_CLAIM_PIO && (p->claim_length == 0 || p->claim_length > 65536))
        return copy_fail(c, -EINVAL, "its claim_length is %" PRIu64 "; ports need 1 to 65536",
                         p->claim_length);
    if (p->claim == BP_CLAIM_MMIO && p->claim_length == 0)
        return copy_fail(c, -EINVAL, "its claim_length is 0; say how many bytes it claims");
    return 0;
}

static int check_flags(const struct copy *c, struct bp_prop *p)
{
    if ((p->flags & ~KNOWN_FLAGS) && !c->newer)
        return copy_fail(c, -EINVAL,
                         "its flags 0x%x are unknown; this host knows 0x%x: use "
                         "BP_PROP_*",
                         p->flags & ~KNOWN_FLAGS, KNOWN_FLAGS);
    p->flags &= KNOWN_FLAGS;
    if ((p->flags & BP_PROP_CREATES) && p->type != BP_PROP_PATH)
        return copy_fail(c, -EINVAL, "it has the flag CREATES, but is %s; only PATH may",
                         types[p->type].name);
    if ((p->flags & BP_PROP_RESERVES) && p->claim != BP_CLAIM_MMIO)
        return copy_fail(c, -EINVAL, "it has the flag RESERVES, but claims no MMIO; only that may");
    return 0;
}

static int copy_choices(const struct copy *c, struct bp_prop *p)
{
    const char *const *from = p->choices;
    const char **to;
    uint32_t n = 0;

    if (p->type != BP_PROP_ENUM)
        return from ? copy_fail(c, -EINVAL, "it has choices, but is %s; only ENUM may",
                                types[p->type].name)
                    : 0;
    while (from && from[n])
        if (++n > DESCRIPTOR_CHOICES_MAX)
            return copy_fail(c, -EINVAL, "it has more than %u choices; end them with NULL",
                             DESCRIPTOR_CHOICES_MAX);
    if (n == 0)
        return copy_fail(c, -EINVAL, "it is ENUM without choices; list at least one, then NULL");
    to = arena_take(c->arena, (n + 1) * sizeof(*to));
    if (!to)
        return copy_fail(c, -ENOMEM, "out of memory");
    for (uint32_t i = 0; i < n; i++) {
        int err = copy_text(c, "choice", from[i], false, &to[i]);

        if (err)
            return err;
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(to[i], to[j]) == 0)
                return copy_fail(c, -EINVAL, "its choice '%s' is there twice; remove one", to[i]);
    }
    p->choices = to;
    return 0;
}

/* "bp.char/1": letters, digits, dots and hyphens, a slash, a number. */
static bool is_interface_id(const char *id)
{
    size_t name = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789.-");
    size_t revision = id[name] == '/' ? strspn(id + name + 1, "0123456789") : 0;

    return name && revision && id[name + 1 + revision] == '\0';
}

static int copy_prop(struct copy *c, struct bp_prop *p, const struct model *model)
{
    int err = copy_id(c, "name", p->name, &p->name);

    if (err)
        return err;
    c->name = p->name;
    if (strcmp(p->name, "plugin") == 0 || strcmp(p->name, "model") == 0)
        return copy_fail(c, -EINVAL, "this key is the machine file's own; choose another name");
    for (const struct bp_prop *other = model->props; other < p; other++)
        if (strcmp(other->name, p->name) == 0)
            return copy_fail(c, -EINVAL, "it is there twice; remove one");
    if (p->type == 0 || p->type >= TYPES)
        return copy_fail(
            c, -EINVAL,
            "its type %u is unknown; this host knows 1 to %u: use BP_PROP_*, or a newer "
            "Backplane",
            p->type, TYPES - 1);
    err = copy_text(c, "help", p->help, false, &p->help);
    if (!err)
        err = copy_text(c, "initial", p->initial, true, &p->initial);
    if (!err)
        err = copy_text(c, "needs", p->needs, true, &p->needs);
    if (!err && p->needs && (p->type != BP_PROP_REF || !is_interface_id(p->needs)))
        err = p->type != BP_PROP_REF
                  ? copy_fail(c, -EINVAL, "it has `needs`, but is %s; only REF may",
                              types[p->type].name)
                  : copy_fail(c, -EINVAL, "its needs '%s' is no interface id such as bp.char/1",
                              p->needs);
    if (!err)
        err = check_claim(c, p);
    if (!err)
        err = check_flags(c, p);
    if (!err)
        err = check_member(c, p, model->config_size);
    if (!err)
        err = check_bounds(c, p);
    if (!err)
        err = copy_choices(c, p);
    return err;
}

/* The keys that the host gives to models that ask for them, behind what the plugin's struct has. */
static int add_host_props(const struct copy *c, struct bp_prop *end, struct model *to)
{
    if (!(to->flags & BP_MODEL_THREAD))
        return 0;
    for (const struct bp_prop *p = to->props; p < end; p++)
        if (strcmp(p->name, "thread") == 0)
            return copy_fail(c, -EINVAL,
                             "it has a key `thread`, which the host gives to models with "
                             "BP_MODEL_THREAD; remove one of the two");
    to->thread_at = to->config_size;
    to->config_size += sizeof(uint64_t);
    to->prop_count++;
    *end = (struct bp_prop){.name = "thread",
                            .help = "an event loop of its own for this device and its backends, "
                                    "instead of the one that devices share",
                            .initial = "no",
                            .type = BP_PROP_BOOL,
                            .offset = to->thread_at,
                            .width = 1};
    return 0;
}

/* Entry `index` of a table whose entries begin with their name. */
static const char *entry_at(const void *table, uint32_t index, uint32_t stride, const void **entry)
{
    const char *name;

    *entry = (const char *)table + (size_t)index * stride;
    memcpy(&name, *entry, sizeof(name));
    return name;
}

int copy_props(struct copy *c, const struct bp_prop *from, uint32_t stride, struct model *to)
{
    const void *entry = NULL;
    struct bp_prop *props;
    uint32_t n = 0;
    int err;

    if (!from)
        return copy_fail(c, -EINVAL,
                         "its property table is NULL; a model without keys has one with "
                         "only the end, {0}");
    err = copy_check_stride(c, "property table", stride, PROP_MINIMUM);
    if (err)
        return err;
    while (entry_at(from, n, stride, &entry))
        if (++n > DESCRIPTOR_PROPS_MAX)
            return copy_fail(c, -EINVAL, "it has more than %u properties; end the table with {0}",
                             DESCRIPTOR_PROPS_MAX);
    props = arena_take(c->arena, (n + 2) * sizeof(*props)); /* one of the host's, and the end */
    if (!props)
        return copy_fail(c, -ENOMEM, "out of memory");
    to->props = props;
    to->prop_count = n;
    for (uint32_t i = 0; i < n; i++) {
        entry_at(from, i, stride, &entry);
        memcpy(&props[i], entry, stride < sizeof(*props) ? stride : sizeof(*props));
        c->table = "property";
        c->name = NULL;
        err = copy_prop(c, &props[i], to);
        if (err)
            return err;
    }
    c->table = c->name = NULL;
    return add_host_props(c, &props[n], to);
}

static int copy_field(struct copy *c, struct bp_field *f, const struct model *model)
{
    const struct bp_field *first = model->instance.fields;
    int err = copy_text(c, "name", f->name, false, &f->name);
    uint64_t end;

    if (err)
        return err;
    c->name = f->name;
    for (const struct bp_field *other = first; other < f; other++)
        if (strcmp(other->name, f->name) == 0)
            return copy_fail(c, -EINVAL, "it is there twice; remove one");
    if (!is_number_width(f->width))
        return copy_fail(c, -EINVAL,
                         "its elements have %u bytes; 1, 2, 4 or 8 can be saved: use BP_ARRAY for "
                         "an array",
                         f->width);
    if (f->count == 0 || (f->count > 1 && f->stride < f->width))
        return copy_fail(c, -EINVAL,
                         "it has %u elements every %u bytes; expected at least one, and no overlap",
                         f->count, f->stride);
    end = f->offset + (uint64_t)(f->count - 1) * f->stride + f->width;
    if (end > UINT32_MAX)
        return copy_fail(c, -EINVAL, "it ends at byte %" PRIu64 "; no instance struct is so large",
                         end);
    if (f->since == 0 || f->since > model->instance.state_version)
        return copy_fail(c, -EINVAL,
                         "it is there since state version %u, but versions go from 1 to %u; set "
                         "state_version",
                         f->since, model->instance.state_version);
    return 0;
}

int copy_fields(struct copy *c, struct model *to)
{
    const struct bp_field *from = to->instance.fields;
    uint32_t stride = to->instance.field_stride, n = 0;
    const void *entry = NULL;
    struct bp_field *fields;
    int err;

    to->instance.field_stride = sizeof(*fields);
    if (!from)
        return 0;
    err = copy_check_stride(c, "field table", stride, FIELD_MINIMUM);
    if (err)
        return err;
    while (entry_at(from, n, stride, &entry))
        if (++n > DESCRIPTOR_FIELDS_MAX)
            return copy_fail(c, -EINVAL, "it has more than %u fields; end the table with {0}",
                             DESCRIPTOR_FIELDS_MAX);
    fields = arena_take(c->arena, (n + 1) * sizeof(*fields));
    if (!fields)
        return copy_fail(c, -ENOMEM, "out of memory");
    to->instance.fields = fields;
    for (uint32_t i = 0; i < n; i++) {
        entry_at(from, i, stride, &entry);
        memcpy(&fields[i], entry, stride < sizeof(*fields) ? stride : sizeof(*fields));
        c->table = "field";
        c->name = NULL;
        err = copy_field(c, &fields[i], to);
        if (err)
            return err;
    }
    c->table = c->name = NULL;
    return 0;
}
