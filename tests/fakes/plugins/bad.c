/* SPDX-License-Identifier: MIT
 *
 * fakes/plugins/bad.c - one template for every plugin that the loader must refuse.
 *
 * Each value below is right; CMakeLists.txt builds a plugin a case by replacing one of them, so
 * that a test of a sentence differs from a good plugin in nothing else.
 */
#include <backplane/plugin.h>
#include <errno.h>

/* clang-format off */
#ifndef SYMBOL
#define SYMBOL bp_plugin_v0
#endif
#ifndef PLUGIN_SIZE
#define PLUGIN_SIZE sizeof(struct bp_plugin)
#endif
#ifndef PLUGIN_MINOR
#define PLUGIN_MINOR BP_ABI_MINOR
#endif
#ifndef NEEDS_MINOR
#define NEEDS_MINOR 0
#endif
#ifndef PLUGIN_NAME
#define PLUGIN_NAME "bad"
#endif
#ifndef PLUGIN_VERSION
#define PLUGIN_VERSION "1.0"
#endif
#ifndef MODELS
#define MODELS models
#endif
#ifndef SECOND_MODEL
#define SECOND_MODEL 0
#endif
#ifndef MODEL_SIZE
#define MODEL_SIZE sizeof(struct bp_model)
#endif
#ifndef MODEL_KIND
#define MODEL_KIND BP_KIND_DEVICE
#endif
#ifndef MODEL_ID
#define MODEL_ID "model"
#endif
#ifndef MODEL_SUMMARY
#define MODEL_SUMMARY "a model"
#endif
#ifndef MODEL_FLAGS
#define MODEL_FLAGS 0
#endif
#ifndef PROPS
#define PROPS props
#endif
#ifndef PROP_STRIDE
#define PROP_STRIDE sizeof(struct bp_prop)
#endif
#ifndef CONFIG_SIZE
#define CONFIG_SIZE sizeof(struct config)
#endif
#ifndef INSTANCE
#define INSTANCE &ops
#endif
#ifndef CPU
#define CPU 0
#endif
#ifndef OPS_SIZE
#define OPS_SIZE sizeof(struct bp_instance_ops)
#endif
#ifndef STATE_VERSION
#define STATE_VERSION 1
#endif
#ifndef FIELD_STRIDE
#define FIELD_STRIDE sizeof(struct bp_field)
#endif
#ifndef CREATE
#define CREATE create
#endif
#ifndef PROP /* designated initialisers that come after, and so replace, those of the first key */
#define PROP
#endif
#ifndef SECOND_KEY
#define SECOND_KEY "second"
#endif
#ifndef FIELD /* the same of the first field */
#define FIELD
#endif
#ifndef SECOND_FIELD
#define SECOND_FIELD "second"
#endif
/* clang-format on */

#define MAYBE_UNUSED __attribute__((unused))

struct config {
    uint64_t key;
    uint32_t second, reserved;
    struct bp_list list;
};

#ifdef UNRESOLVED
extern int backplane_nowhere(void);
#define create_result backplane_nowhere()
#elif defined(ABSENT)
extern int backplane_absent(void);
#define create_result backplane_absent()
#else
#define create_result (-ENODEV)
#endif

MAYBE_UNUSED static int create(const struct bp_host *host, struct bp_node *node, const void *config,
                               void **self)
{
    (void)config;
    (void)self;
    return host->fail(node, create_result, "it cannot be had");
}

MAYBE_UNUSED static void destroy(void *self)
{
    (void)self;
}

MAYBE_UNUSED static void reset(void *self, uint32_t kind)
{
    (void)self;
    (void)kind;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#endif
MAYBE_UNUSED static const struct bp_field fields[] = {
    {.name = "first", .offset = 0, .width = 4, .count = 1, .stride = 4, .since = 1, FIELD},
    {.name = SECOND_FIELD, .offset = 4, .width = 4, .count = 1, .stride = 4, .since = 1},
    {0},
};

MAYBE_UNUSED static const char *const same_choices[] = {"raw", "cooked", "raw", NULL};
MAYBE_UNUSED static const char *const no_choices[] = {NULL};

MAYBE_UNUSED static const struct bp_prop props[] = {
    {.name = "key", .help = "a key", .type = BP_PROP_UINT, BP_PROP_AT(struct config, key), PROP},
    {.name = SECOND_KEY,
     .help = "another",
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct config, second)},
    {0},
};
#pragma GCC diagnostic pop

MAYBE_UNUSED static const struct bp_instance_ops ops = {
    .size = OPS_SIZE,
    .state_version = STATE_VERSION,
    .fields = fields,
    .field_stride = FIELD_STRIDE,
    .create = CREATE,
    .destroy = destroy,
    .reset = reset,
};

#ifdef REGIONS
#ifndef REGISTER
#define REGISTER
#endif
#ifndef REGISTER_STRIDE
#define REGISTER_STRIDE sizeof(struct bp_register)
#endif
#ifndef REGION_SIZE
#define REGION_SIZE sizeof(struct bp_region_ops)
#endif
#ifndef REGION_NAME
#define REGION_NAME "registers"
#endif
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#endif
MAYBE_UNUSED static const struct bp_register registers[] = {
    {.name = "RING", .offset = 0x1000, .width = 8, .access = BP_REG_RW | BP_REG_ADDRESS, REGISTER},
    {.name = "STATUS", .offset = 8, .width = 1, .access = BP_REG_RC},
    {0},
};
#pragma GCC diagnostic pop
MAYBE_UNUSED static const struct bp_region_ops region = {
    .size = REGION_SIZE,
    .min_access = 1,
    .max_access = 8,
    .register_stride = REGISTER_STRIDE,
    .name = REGION_NAME,
    .registers = registers,
};
MAYBE_UNUSED static const struct bp_region_ops *const regions[] = {&region, NULL};
#define REGIONS_MEMBER .regions = REGIONS,
#else /* headers of minor 0 have no such member */
#define REGIONS_MEMBER
#endif

/* Everything but probe() is NULL. */
MAYBE_UNUSED static int64_t probe(const struct bp_host *host, struct bp_node *node)
{
    return host->fail(node, -ENODEV, "it cannot be had");
}

MAYBE_UNUSED static const struct bp_cpu_ops cpu_ops = {.size = sizeof(cpu_ops), .probe = probe};

MAYBE_UNUSED static const struct bp_model model = {.size = MODEL_SIZE,
                                                   .kind = MODEL_KIND,
                                                   .id = MODEL_ID,
                                                   .summary = MODEL_SUMMARY,
                                                   .props = PROPS,
                                                   .prop_stride = PROP_STRIDE,
                                                   .config_size = CONFIG_SIZE,
                                                   .flags = MODEL_FLAGS,
                                                   .instance = INSTANCE,
                                                   .cpu = CPU,
                                                   REGIONS_MEMBER};

MAYBE_UNUSED static const struct bp_model *const no_models[] = {NULL};
MAYBE_UNUSED static const struct bp_model *const models[] = {&model, SECOND_MODEL, NULL};

/* Exported by the name of the case; the headers declare the right one only. */
BP_EXPORT const struct bp_plugin SYMBOL;
const struct bp_plugin SYMBOL = {
    .size = PLUGIN_SIZE,
    .abi_minor = PLUGIN_MINOR,
    .needs_minor = NEEDS_MINOR,
    .name = PLUGIN_NAME,
    .version = PLUGIN_VERSION,
    .models = MODELS,
};
