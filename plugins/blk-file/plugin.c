/* SPDX-License-Identifier: MIT
 *
 * blk-file/plugin.c - what blk-file offers: a disk that is a file, raw or qcow2.
 */
#include "backend.h"

static const char *const formats[] = {"auto", "raw", "qcow2", NULL};
static const char *const caches[] = {"writeback", "writethrough", "unsafe", NULL};
static const char *const ios[] = {"auto", "io_uring", "threads", NULL};

static const struct bp_prop props[] = {
    {.name = "file",
     .help = "the image: a file or a block device",
     .type = BP_PROP_PATH,
     .flags = BP_PROP_REQUIRED,
     BP_PROP_AT(struct file_config, file)},
    {.name = "format",
     .help = "auto: by what it begins with; then a guest cannot turn a raw image into another",
     .initial = "auto",
     .choices = formats,
     .type = BP_PROP_ENUM,
     BP_PROP_AT(struct file_config, format)},
    {.name = "readonly",
     .help = "the guest cannot write; others may read the image at the same time",
     .initial = "no",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct file_config, readonly)},
    {.name = "snapshot",
     .help = "what the guest writes goes to a file without a name, and is thrown away",
     .initial = "no",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct file_config, snapshot)},
    {.name = "backing",
     .help = "no: an image that names a backing file is refused, as it may be any file",
     .initial = "yes",
     .type = BP_PROP_BOOL,
     BP_PROP_AT(struct file_config, backing)},
    {.name = "cache",
     .help = "writeback: durable when the guest flushes; writethrough: always; unsafe: some time",
     .initial = "writeback",
     .choices = caches,
     .type = BP_PROP_ENUM,
     BP_PROP_AT(struct file_config, cache)},
    {.name = "io",
     .help = "how bytes reach the file; auto: by io_uring where there is one",
     .initial = "auto",
     .choices = ios,
     .type = BP_PROP_ENUM,
     BP_PROP_AT(struct file_config, io)},
    {.name = "threads",
     .help = "threads that wait for the file, at most",
     .initial = "4",
     .min = 1,
     .max = 64,
     .type = BP_PROP_UINT,
     BP_PROP_AT(struct file_config, threads)},
    {.name = NULL},
};

static const struct bp_model file_model = {
    .size = sizeof(struct bp_model),
    .kind = BP_KIND_BLOCK,
    .id = "file",
    .summary = "a disk image, raw or qcow2, in a file or on a block device",
    .props = props,
    .prop_stride = sizeof(struct bp_prop),
    .config_size = sizeof(struct file_config),
    .instance = &backend_ops,
};

static const struct bp_model *const models[] = {&file_model, NULL};

const struct bp_plugin bp_plugin_v0 = {
    .size = sizeof(struct bp_plugin),
    .abi_minor = BP_ABI_MINOR,
    .needs_minor = 0,
    .name = "blk-file",
    .version = "0.1.0",
    .models = models,
};
