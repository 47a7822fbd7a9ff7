/* SPDX-License-Identifier: MIT
 *
 * machine/graph.c - a plan as a picture: a tree for terminals, Graphviz's language, or SVG.
 *
 * All three show the same: the machine; below it the sections that nobody names; below each what
 * its keys name; and what of ports, addresses, interrupt lines and PCI each claims, with a list of
 * these in order. What the guest places itself, BARs, is not known before it runs.
 */
#include "machine/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16u /* deeper chains are not drawn */
#define CLAIMS_MAX 256u
#define TEXT_MAX 512u

/* A section where it is drawn. */
struct item {
    const struct plan_instance *instance; /* NULL: the machine */
    const char *key;                      /* by which the one above names it, or NULL */
    uint32_t parent;                      /* its item */
    uint32_t depth, row;
    bool again; /* it has been drawn with what is below it */
};

struct place {
    uint64_t first, last;
    uint32_t space; /* BP_CLAIM_*, or PLACE_PCI */
    uint32_t reserved;
    const char *owner;
};
#define PLACE_PCI 0x100u

struct graph {
    const struct plan *plan;
    const struct config *config;
    FILE *out;
    struct item *items;
    struct place places[CLAIMS_MAX];
    uint32_t count, capacity, place_count;
};

/* ---- what is where --------------------------------------------------------------------------- */

static void place_text(const struct place *p, char *text, size_t room)
{
    const char *const what = p->space == BP_CLAIM_PIO ? "port" : "memory";
    unsigned long long first = p->first, last = p->last;

    if (p->space == BP_CLAIM_IRQ)
        snprintf(text, room, "interrupt %llu", first);
    else if (p->space == PLACE_PCI)
        snprintf(text, room, "PCI %02llx.%llu", first >> 3, first & 7);
    else if (first == last)
        snprintf(text, room, "%s 0x%llx", what, first);
    else
        snprintf(text, room, "%s%s 0x%llx-0x%llx", what, p->space == BP_CLAIM_PIO ? "s" : "", first,
                 last);
}

/* Calls `with` for each thing that the instance claims. */
static void each_place(const struct plan_instance *i, void *context,
                       void (*with)(void *context, const struct place *p))
{
    for (const struct bp_prop *prop = i->model->props; prop->name; prop++) {
        bool pci = prop->type == BP_PROP_PCI;
        uint64_t n = prop->claim || pci ? props_count(prop, i->config) : 0, first;

        for (uint64_t k = 0; k < n; k++) {
            if (!props_number(prop, i->config, k, &first) || (pci && first == UINT32_MAX) ||
                (!pci && !props_text(i->section, prop).text))
                continue;
            with(context, &(struct place){.first = first,
                                          .last = prop->claim == BP_CLAIM_IRQ || pci
                                                      ? first
                                                      : first + prop->claim_length - 1,
                                          .space = pci ? PLACE_PCI : prop->claim,
                                          .owner = i->name});
        }
    }
}

struct text {
    char *at;
    size_t room;
};

static void add_place_text(void *context, const struct place *p)
{
    struct text *t = context;
    char one[96];
    size_t used = strlen(t->at);

    place_text(p, one, sizeof(one));
    snprintf(t->at + used, t->room - used, "%s%s", used ? ", " : "", one);
}

static void add_place(void *context, const struct place *p)
{
    struct graph *g = context;

    if (g->place_count < CLAIMS_MAX)
        g->places[g->place_count++] = *p;
}

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->space != y->space)
        return x->space < y->space ? -1 : 1;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return strcmp(x->owner, y->owner);
}

/* ---- who names whom -------------------------------------------------------------------------- */

static bool is_named(const struct graph *g, const struct plan_instance *i);

/* Calls `with` for each instance that `from` names. */
static void each_reference(const struct graph *g, const struct plan_instance *from, void *context,
                           void (*with)(void *context, const char *key,
                                        const struct plan_instance *to))
{
    for (const struct bp_prop *prop = from->model->props; prop->name; prop++) {
        const char *rest = props_text(from->section, prop).text;
        const struct plan_instance *to;
        char *element;

        if (!rest || prop->type != BP_PROP_REF)
            continue;
        element = malloc(strlen(rest) + 1);
        if (!element)
            return;
        if (!(prop->flags & BP_PROP_LIST)) {
            to = plan_find(g->plan, rest);
            if (to)
                with(context, prop->name, to);
        } else {
            while (props_next_element(&rest, element))
                if ((to = plan_find(g->plan, element)))
                    with(context, prop->name, to);
        }
        free(element);
    }
}

struct search {
    const struct plan_instance *wanted;
    bool found;
};

static void look(void *context, const char *key, const struct plan_instance *to)
{
    struct search *s = context;

    (void)key;
    s->found |= s->wanted == to;
}

static bool is_named(const struct graph *g, const struct plan_instance *i)
{
    struct search s = {.wanted = i};

    for (uint32_t k = 0; k < g->plan->count; k++)
        each_reference(g, &g->plan->instances[k], &s, look);
    return s.found;
}

struct visit {
    struct graph *g;
    uint32_t parent;
};

static void add_item(struct graph *g, uint32_t parent, const char *key,
                     const struct plan_instance *i);

static void add_named(void *context, const char *key, const struct plan_instance *to)
{
    struct visit *v = context;

    add_item(v->g, v->parent, key, to);
}

/* NOLINTNEXTLINE(misc-no-recursion): references have no cycles, and the depth is bounded */
static void add_item(struct graph *g, uint32_t parent, const char *key,
                     const struct plan_instance *i)
{
    uint32_t at = g->count;
    struct visit v = {.g = g, .parent = at};

    if (at == g->capacity || (at && g->items[parent].depth == DEPTH_MAX))
        return;
    g->items[at] = (struct item){.instance = i,
                                 .key = key,
                                 .parent = parent,
                                 .depth = at ? g->items[parent].depth + 1 : 0,
                                 .row = at};
    for (uint32_t k = 0; k < at; k++)
        g->items[at].again |= i && g->items[k].instance == i;
    g->count++;
    if (i && !g->items[at].again)
        each_reference(g, i, &v, add_named);
}

/* ---- texts ----------------------------------------------------------------------------------- */

static void machine_text(const struct graph *g, char *text, size_t room)
{
    const struct plan_machine *m = &g->plan->machine;
    const struct config_value *plugin = config_value(config_section(g->config, "cpu"), "plugin");

    snprintf(text, room, "machine: %llu MiB of RAM, %u CPU%s by %s",
             (unsigned long long)(m->memory >> 20), m->cpus, m->cpus == 1 ? "" : "s",
             g->plan->cpu_model ? g->plan->cpu_model->plugin->name
             : plugin           ? plugin->text
                                : "auto");
}

/* What it is; and in `places`, what it has. */
static void item_text(const struct graph *g, const struct item *item, char *text, char *places)
{
    struct text t = {places, TEXT_MAX};
    const struct model *m;

    places[0] = '\0';
    if (!item->instance) {
        machine_text(g, text, TEXT_MAX);
        return;
    }
    m = item->instance->model;
    snprintf(text, TEXT_MAX, "%s: %s %s", item->instance->name, m->plugin->name, m->id);
    each_place(item->instance, &t, add_place_text);
}

/* ---- tree ------------------------------------------------------------------------------------ */

/* Whether another one with the same parent comes after `at`. */
static bool has_sibling(const struct graph *g, uint32_t at)
{
    for (uint32_t i = at + 1; i < g->count; i++)
        if (g->items[i].parent == g->items[at].parent)
            return true;
    return false;
}

static void tree_item(const struct graph *g, uint32_t at)
{
    uint32_t path[DEPTH_MAX + 1], depth = g->items[at].depth;
    char text[TEXT_MAX], places[TEXT_MAX];

    for (uint32_t i = at, d = depth; d > 0; d--, i = g->items[i].parent)
        path[d] = i;
    for (uint32_t d = 1; d < depth; d++)
        fputs(has_sibling(g, path[d]) ? "│  " : "   ", g->out);
    if (depth)
        fputs(has_sibling(g, at) ? "├─ " : "└─ ", g->out);
    item_text(g, &g->items[at], text, places);
    fprintf(g->out, "%s%s%s%s%s%s\n", g->items[at].key ? g->items[at].key : "",
            g->items[at].key ? " = " : "", text, places[0] && !g->items[at].again ? ", " : "",
            g->items[at].again ? "" : places, g->items[at].again ? ", see above" : "");
}

static void tree(const struct graph *g)
{
    for (uint32_t i = 0; i < g->count; i++)
        tree_item(g, i);
    for (uint32_t i = 0; i < g->place_count; i++) {
        char text[96];

        place_text(&g->places[i], text, sizeof(text));
        fprintf(g->out, "%s%-36s %s\n", i ? "" : "\n", text, g->places[i].owner);
    }
}

/* ---- Graphviz -------------------------------------------------------------------------------- */

/* Names of sections, plugins and models have no character that would have to be escaped. */
static void dot(const struct graph *g)
{
    char text[TEXT_MAX], places[TEXT_MAX];

    fputs("digraph machine {\n    rankdir=LR;\n    node [shape=box, fontname=\"sans-serif\"];\n"
          "    edge [fontname=\"sans-serif\", fontsize=10];\n",
          g->out);
    for (uint32_t i = 0; i < g->count; i++) {
        const struct item *item = &g->items[i];
        const char *name = item->instance ? item->instance->name : "";

        item_text(g, item, text, places);
        if (!item->again)
            fprintf(g->out, "    \"[%s]\" [label=\"%s%s%s\"];\n", name, text,
                    places[0] ? "\\n" : "", places);
        if (i)
            fprintf(g->out, "    \"[%s]\" -> \"[%s]\"%s%s%s;\n",
                    item->parent ? g->items[item->parent].instance->name : "", name,
                    item->key ? " [label=\"" : "", item->key ? item->key : "",
                    item->key ? "\"]" : "");
    }
    fputs("}\n", g->out);
}

/* ---- SVG ------------------------------------------------------------------------------------- */

#define BOX_WIDTH 330u
#define BOX_HEIGHT 44u
#define COLUMN 400u
#define ROW 60u
#define MARGIN 20u
#define LIST_ROW 18u

static void svg(const struct graph *g)
{
    uint32_t deepest = 0, list_at, width, height;
    char text[TEXT_MAX], places[TEXT_MAX];

    for (uint32_t i = 0; i < g->count; i++)
        deepest = g->items[i].depth > deepest ? g->items[i].depth : deepest;
    list_at = MARGIN + g->count * ROW + MARGIN;
    width = 2 * MARGIN + deepest * COLUMN + BOX_WIDTH;
    height = list_at + g->place_count * LIST_ROW + MARGIN;
    fprintf(g->out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
            "font-family=\"sans-serif\" font-size=\"13\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
            width, height);
    for (uint32_t i = 0; i < g->count; i++) {
        const struct item *item = &g->items[i], *parent = &g->items[item->parent];
        uint32_t x = MARGIN + item->depth * COLUMN, y = MARGIN + item->row * ROW;

        item_text(g, item, text, places);
        if (i) { /* down from the middle of the one above's left part, and to the right */
            uint32_t from_x = MARGIN + parent->depth * COLUMN + 30, to_y = y + BOX_HEIGHT / 2;

            fprintf(g->out,
                    "<path d=\"M%u %uV%uH%u\" fill=\"none\" stroke=\"#888\"/>\n"
                    "<text x=\"%u\" y=\"%u\" font-size=\"11\" fill=\"#555\">%s</text>\n",
                    from_x, MARGIN + parent->row * ROW + BOX_HEIGHT, to_y, x, from_x + 6, to_y - 4,
                    item->key ? item->key : "");
        }
        fprintf(g->out,
                "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" rx=\"4\" fill=\"%s\" "
                "stroke=\"#336\"%s/>\n<text x=\"%u\" y=\"%u\">%s</text>\n"
                "<text x=\"%u\" y=\"%u\" font-size=\"11\" fill=\"#555\">%s</text>\n",
                x, y, BOX_WIDTH, BOX_HEIGHT, item->instance ? "#eef" : "#efe",
                item->again ? " stroke-dasharray=\"4\"" : "", x + 10, y + 18, text, x + 10, y + 34,
                item->again ? "as above" : places);
    }
    for (uint32_t i = 0; i < g->place_count; i++) {
        place_text(&g->places[i], text, sizeof(text));
        fprintf(g->out, "<text x=\"%u\" y=\"%u\">%s</text><text x=\"%u\" y=\"%u\">%s</text>\n",
                MARGIN, list_at + i * LIST_ROW, text, MARGIN + 260, list_at + i * LIST_ROW,
                g->places[i].owner);
    }
    fputs("</svg>\n", g->out);
}

/* ---- all of it ------------------------------------------------------------------------------- */

char *plan_graph(const struct plan *plan, const struct config *config, uint32_t format)
{
    struct graph *g = calloc(1, sizeof(*g));
    char *text = NULL;
    size_t length;
    bool failed = !g;

    if (g) {
        g->plan = plan;
        g->config = config;
        /* A shared one is drawn once for each that names it. */
        g->capacity = 1 + plan->count * (plan->count + 1);
        g->items = calloc(g->capacity, sizeof(*g->items));
        g->out = open_memstream(&text, &length);
        failed = !g->items || !g->out;
    }
    if (!failed) {
        add_item(g, 0, NULL, NULL);
        for (uint32_t i = 0; i < config->count; i++) {
            const struct plan_instance *instance = plan_find(plan, config->sections[i].name);

            if (!instance)
                continue;
            each_place(instance, g, add_place);
            if (!is_named(g, instance))
                add_item(g, 0, NULL, instance);
        }
        qsort(g->places, g->place_count, sizeof(g->places[0]), compare_places);
        (format == PLAN_GRAPH_DOT ? dot : format == PLAN_GRAPH_SVG ? svg : tree)(g);
    }
    if (g && g->out && fclose(g->out))
        failed = true;
    if (failed) {
        free(text);
        text = NULL;
    }
    if (g)
        free(g->items);
    free(g);
    return text;
}
