/* SPDX-License-Identifier: MIT
 *
 * machine/machine.c - the embedding API: what a program does before and beside running a machine.
 */
#include "machine/machine_private.h"

#include "plugin/describe.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *bp_version(void)
{
    return BACKPLANE_VERSION;
}

int bp_machine_new(const struct bp_machine_options *options, struct bp_machine **out)
{
    struct bp_machine *m = calloc(1, sizeof(*m));
    struct error e;

    if (!m)
        return -ENOMEM;
    pthread_mutex_init(&m->failure_lock, NULL);
    m->wake = WAKE_NONE;
    m->log_fd = -1;
    m->ram.fd = -1;
    if (options)
        memcpy(&m->options, options,
               options->size < sizeof(m->options) ? options->size : sizeof(m->options));
    m->report = (struct report){.tell = machine_tell, .context = m};
    config_init(&m->config);
    int err = plugins_new(m->options.plugin_path, m->options.installed_plugins, &m->plugins, &e);
    m->options.plugin_path = m->options.installed_plugins =
        NULL; /* the caller's; not needed again */
    if (err) {
        machine_log(m, BP_LOG_ERROR, "%s", e.text);
        bp_machine_free(m);
        return err;
    }
    *out = m;
    return 0;
}

void bp_machine_free(struct bp_machine *m)
{
    if (!m)
        return;
    machine_end(m);
    if (m->planned)
        plan_free(&m->plan);
    plugins_free(m->plugins);
    config_free(&m->config);
    wake_close(&m->wake);
    if (m->log_fd >= 0)
        close(m->log_fd);
    pthread_mutex_destroy(&m->failure_lock);
    free(m);
}

/* A plan made before a change of the configuration is void. */
static int forget_plan(struct bp_machine *m)
{
    if (m->state == BP_MACHINE_RUNNING || m->state == BP_MACHINE_PAUSED)
        return -EBUSY;
    if (m->planned)
        plan_free(&m->plan);
    m->planned = false;
    if (m->log_fd >= 0)
        close(m->log_fd); /* the next plan may name another file */
    m->log_fd = -1;
    return 0;
}

int bp_machine_load_file(struct bp_machine *m, const char *path)
{
    int err = forget_plan(m);

    if (!err)
        err = config_read_file(&m->config, path, &m->report);
    m->config_broken |= err != 0;
    return err;
}

int bp_machine_load_string(struct bp_machine *m, const char *text, const char *name,
                           const char *base)
{
    char here[PATH_MAX];
    int err = forget_plan(m);

    if (!err && !base)
        base = getcwd(here, sizeof(here)) ? here : ".";
    if (!err)
        err = config_read_text(&m->config, text, strlen(text), name, base, &m->report);
    m->config_broken |= err != 0;
    return err;
}

int bp_machine_set(struct bp_machine *m, const char *section_key, const char *value,
                   const char *origin)
{
    char here[PATH_MAX];
    struct error e;
    int err = forget_plan(m);

    if (err)
        return err;
    err = config_set(&m->config, section_key, value, origin,
                     getcwd(here, sizeof(here)) ? here : ".", 0, &e);
    if (err) {
        m->config_broken = true;
        report_error(&m->report, origin, 0, NULL, "%s", e.text);
    }
    return err;
}

int machine_plan(struct bp_machine *m)
{
    if (m->config_broken)
        return -EINVAL;
    bool lives = m->state == BP_MACHINE_RUNNING || m->state == BP_MACHINE_PAUSED;
    if (m->planned && (lives || !m->plan.auto_model))
        return 0;
    return machine_plan_for(m, NULL); /* what `auto` chose for a machine that ended was for that */
}

int machine_plan_for(struct bp_machine *m, const struct model *auto_model)
{
    if (m->planned)
        plan_free(&m->plan);
    int err = plan_make(&m->plan, &m->config, m->plugins, auto_model, &m->report);
    m->planned = !err;
    return err;
}

int bp_machine_check(struct bp_machine *m)
{
    return machine_plan(m);
}

char *bp_machine_print(struct bp_machine *m)
{
    return machine_plan(m) ? NULL : plan_print(&m->plan, &m->config);
}

char *bp_machine_graph(struct bp_machine *m, const char *format)
{
    static const char *const formats[] = {
        [PLAN_GRAPH_TREE] = "tree", [PLAN_GRAPH_DOT] = "dot", [PLAN_GRAPH_SVG] = "svg"};

    for (uint32_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (!strcmp(formats[i], format))
            return machine_plan(m) ? NULL : plan_graph(&m->plan, &m->config, i);
    machine_log(m, BP_LOG_ERROR, "\"%.80s\" is no form of a graph; expected tree, dot or svg",
                format);
    return NULL;
}

char *bp_machine_plugins(struct bp_machine *m, const char *name, int json)
{
    const struct plugin *plugin;
    char here[PATH_MAX];
    struct error e;

    if (!name)
        return plugins_describe(m->plugins, json != 0);
    if (plugins_load(m->plugins, name, getcwd(here, sizeof(here)) ? here : ".", &plugin, &e)) {
        machine_log(m, BP_LOG_ERROR, "%s", e.text);
        return NULL;
    }
    return plugins_describe_one(plugin, json != 0);
}

int bp_machine_fd(struct bp_machine *m)
{
    return m->wake.fd;
}

int bp_machine_read(struct bp_machine *m, uint64_t gpa, void *to, uint64_t len)
{
    return m->has_ram ? ram_read(&m->ram, gpa, to, len) : -EFAULT;
}

int bp_machine_write(struct bp_machine *m, uint64_t gpa, const void *from, uint64_t len)
{
    if (!m->has_ram)
        return -EFAULT;
    int err = ram_write(&m->ram, gpa, from, len);
    if (!err && m->vm)
        m->cpu_model->cpu.code_changed(m->vm, gpa, len);
    return err;
}

int64_t bp_machine_inject(struct bp_machine *m, const char *section, const void *data, uint64_t len)
{
    for (uint32_t i = 0; i < m->node_count; i++) {
        struct bp_node *node = &m->nodes[i];
        if (strcmp(node->name, section) != 0)
            continue;
        const struct bp_char *ops =
            node->self ? node->model->instance.extension(node->self, BP_CHAR_ID) : NULL;
        if (!ops || !BP_HAS(ops, inject) || !ops->inject)
            return -ENOTSUP;
        domain_enter(node->domain);
        uint64_t taken = ops->inject(node->self, data, len);
        domain_leave(node->domain);
        return (int64_t)taken;
    }
    return -ENOENT;
}
