/* SPDX-License-Identifier: MIT
 *
 * machine/links.c - who names whom: order of creation, cycles, and lock domains.
 *
 * An instance is created after every instance that it names. Instances joined by a reference share
 * a lock domain, unless the named one's model is BP_MODEL_SHARED: that is a domain of its own.
 * Several references may name one of these, or one that is BP_MODEL_JOINS: all that name that one
 * are in its domain.
 */
#include "machine/parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One reference, from and to instances in the file's order. */
struct link {
    uint32_t from, to;
    const struct bp_prop *prop;
};

struct links {
    struct planning *p;
    struct link *links; /* those of one instance stand together */
    uint32_t *first;    /* instance i has links first[i]..first[i + 1] - 1 */
    uint32_t count, capacity;
    uint32_t *stack, depth;
    uint8_t *state;  /* of a depth-first walk: 0 not seen, 1 on the stack, 2 done */
    uint32_t *order; /* instances as they shall be created */
    uint32_t done;
};

static int add_link(struct links *l, uint32_t from, uint32_t to, const struct bp_prop *prop)
{
    if (l->count == l->capacity) {
        uint32_t capacity = l->capacity * 2;
        struct link *grown = realloc(l->links, capacity * sizeof(*grown));

        if (!grown)
            return -ENOMEM;
        l->links = grown;
        l->capacity = capacity;
    }
    l->links[l->count++] = (struct link){from, to, prop};
    return 0;
}

static int add_named(struct links *l, uint32_t from, const struct bp_prop *prop, const char *name)
{
    const struct plan_instance *to = plan_find(l->p->plan, name);

    /* What is not there, or no instance, is told when the key is parsed. */
    return to ? add_link(l, from, (uint32_t)(to - l->p->plan->instances), prop) : 0;
}

static int collect_prop(struct links *l, uint32_t from, const struct bp_prop *prop)
{
    struct props_text text = props_text(l->p->plan->instances[from].section, prop);
    const char *rest = text.text;
    char *element;
    int ret = 0;

    if (!rest || prop->type != BP_PROP_REF)
        return 0;
    if (!(prop->flags & BP_PROP_LIST))
        return add_named(l, from, prop, rest);
    element = malloc(strlen(rest) + 1);
    if (!element)
        return -ENOMEM;
    while (!ret && props_next_element(&rest, element))
        ret = add_named(l, from, prop, element);
    free(element);
    return ret;
}

static int collect(struct links *l)
{
    const struct plan *plan = l->p->plan;
    int ret = 0;

    for (uint32_t i = 0; !ret && i < plan->count; i++) {
        l->first[i] = l->count;
        for (const struct bp_prop *prop = plan->instances[i].model->props;
             !ret && prop && prop->name; prop++)
            ret = collect_prop(l, i, prop);
    }
    l->first[plan->count] = l->count;
    return ret;
}

/* ---- order ---- */

/* Tells the cycle that `link` closes; its members are on the stack. */
static void tell_cycle(struct links *l, const struct link *link)
{
    const struct plan_instance *instances = l->p->plan->instances;
    struct props_text at = props_text(instances[link->from].section, link->prop);
    char text[2048] = "";
    size_t used = 0;
    uint32_t i = l->depth;

    while (i && l->stack[i - 1] != link->to)
        i--;
    for (i = i ? i - 1 : 0; i < l->depth && used < sizeof(text); i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "[%s] -> ",
                                 instances[l->stack[i]].name);
    /* NOLINTBEGIN(clang-analyzer-core.NullDereference): add_link() stores no link without prop */
    report_error(l->p->report, at.file, at.line, instances[link->from].name,
                 "[%s] %s = %s closes a circle, so that none could be created first: %s[%s]",
                 instances[link->from].name, link->prop->name, quoted(at.text).text, text,
                 instances[link->to].name);
    /* NOLINTEND(clang-analyzer-core.NullDereference) */
}

/* Depth-first from `root`, without recursion: a file may chain thousands. */
static void walk(struct links *l, uint32_t root, uint32_t *cursor)
{
    if (l->state[root])
        return;
    l->stack[l->depth++] = root;
    l->state[root] = 1;
    while (l->depth) {
        uint32_t at = l->stack[l->depth - 1];
        const struct link *link;

        if (cursor[at] == l->first[at + 1]) {
            l->state[at] = 2;
            l->order[l->done++] = at;
            l->depth--;
            continue;
        }
        link = &l->links[cursor[at]++];
        if (l->state[link->to] == 1) {
            tell_cycle(l, link);
        } else if (!l->state[link->to]) {
            l->state[link->to] = 1;
            l->stack[l->depth++] = link->to;
        }
    }
}

static int sort(struct links *l)
{
    uint32_t count = l->p->plan->count;
    uint32_t *cursor = malloc((count + 1) * sizeof(*cursor));

    if (!cursor)
        return -ENOMEM;
    memcpy(cursor, l->first, (count + 1) * sizeof(*cursor));
    for (uint32_t i = 0; i < count; i++)
        walk(l, i, cursor);
    free(cursor);
    return 0;
}

/* ---- domains ---- */

/* Tells that `link` names what `earlier` named. */
static void tell_second(struct links *l, const struct link *earlier, const struct link *link)
{
    const struct plan_instance *instances = l->p->plan->instances;
    const struct plan_instance *target = &instances[link->to];
    struct props_text at = props_text(instances[link->from].section, link->prop);
    struct props_text before = props_text(instances[earlier->from].section, earlier->prop);
    char place[300];

    if (before.line)
        snprintf(place, sizeof(place), "%.200s:%u", before.file, before.line);
    else
        snprintf(place, sizeof(place), "%.200s", before.file ? before.file : "default");
    report_error(l->p->report, at.file, at.line, instances[link->from].name,
                 "[%s] %s = %s: [%s] has a user already, [%s] %s (%s), and %s serves only one",
                 instances[link->from].name, link->prop->name, quoted(at.text).text, target->name,
                 instances[earlier->from].name, earlier->prop->name, place,
                 plan_model_name(l->p, target->model));
}

static void check_single_use(struct links *l)
{
    uint32_t *user = l->stack; /* of each instance: its first link + 1; the walk is over */

    memset(user, 0, l->p->plan->count * sizeof(*user));
    for (uint32_t i = 0; i < l->count; i++) {
        const struct link *link = &l->links[i];

        if (l->p->plan->instances[link->to].model->flags & (BP_MODEL_SHARED | BP_MODEL_JOINS))
            continue;
        if (user[link->to])
            tell_second(l, &l->links[user[link->to] - 1], link);
        else
            user[link->to] = i + 1;
    }
}

static uint32_t root_of(const uint32_t *parent, uint32_t i)
{
    while (parent[i] != i)
        i = parent[i];
    return i;
}

/* Numbers the domains from 0 in the order of creation. */
static void number_domains(struct links *l)
{
    struct plan_instance *instances = l->p->plan->instances;
    uint32_t *parent = l->stack, *number = l->first, next = 0;
    uint32_t count = l->p->plan->count;

    for (uint32_t i = 0; i < count; i++)
        parent[i] = i;
    for (uint32_t i = 0; i < l->count; i++) {
        const struct link *link = &l->links[i];
        uint32_t a = root_of(parent, link->from), b = root_of(parent, link->to);

        if (!(instances[link->to].model->flags & BP_MODEL_SHARED))
            parent[b] = a;
    }
    for (uint32_t i = 0; i < count; i++)
        number[i] = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t root = root_of(parent, l->order[i]);

        if (number[root] == UINT32_MAX)
            number[root] = next++;
        instances[l->order[i]].domain = number[root];
    }
}

/* ---- all of it ---- */

static int permute(struct links *l, uint32_t *from)
{
    struct plan *plan = l->p->plan;
    struct plan_instance *sorted = plan_arena_alloc(plan->arena, plan->count * sizeof(*sorted));

    if (!sorted)
        return -ENOMEM;
    for (uint32_t i = 0; i < plan->count; i++) {
        sorted[i] = plan->instances[l->order[i]];
        sorted[i].order = i;
        from[l->order[i]] = i;
    }
    plan->instances = sorted;
    return 0;
}

int links_resolve(struct planning *p, uint32_t *from)
{
    uint32_t count = p->plan->count, before = p->report->errors;
    struct links l = {
        .p = p,
        .links = calloc(16, sizeof(*l.links)),
        .capacity = 16,
        .first = calloc(count + 1, sizeof(*l.first)),
        .stack = calloc(count + 1, sizeof(*l.stack)),
        .order = calloc(count + 1, sizeof(*l.order)),
        .state = calloc(count + 1, 1),
    };
    int ret = l.links && l.first && l.stack && l.order && l.state ? 0 : -ENOMEM;

    if (!ret)
        ret = collect(&l);
    if (!ret)
        ret = sort(&l);
    if (!ret) {
        check_single_use(&l);
        number_domains(&l);
        ret = permute(&l, from);
    }
    if (ret)
        report_error(p->report, NULL, 0, NULL, "out of memory");
    free(l.links);
    free(l.first);
    free(l.stack);
    free(l.order);
    free(l.state);
    return p->report->errors == before ? 0 : -EINVAL;
}
