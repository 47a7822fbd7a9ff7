/* SPDX-License-Identifier: MIT
 *
 * machine/planned.h - for tests: a plan made from text, and what was told.
 */
#ifndef TESTS_MACHINE_PLANNED_H
#define TESTS_MACHINE_PLANNED_H

#include "machine/models.h"
#include "machine/told.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* The current folder, which is a new one for each test, by a name that sentences can quote. */
#define PLANNED_FOLDER "/proc/self/cwd"

struct planned {
    char folder[32];
    struct config config;
    struct told told;
    struct plan plan;
    const struct plan_source *source;
};

static inline void planned_file(const char *name, const char *content)
{
    FILE *out = fopen(name, "w");

    assert_non_null(out);
    fputs(content, out);
    assert_int_equal(fclose(out), 0);
}

static inline int planned_set_up(void **state)
{
    struct planned *p = calloc(1, sizeof(*p));

    config_init(&p->config);
    told_init(&p->told);
    p->source = &models_source;
    *state = p;
    strcpy(p->folder, "/tmp/bp-planned-XXXXXX");
    if (!mkdtemp(p->folder) || chdir(p->folder))
        return -1;
    planned_file("image", "x");
    return 0;
}

static inline int planned_tear_down(void **state)
{
    struct planned *p = *state;

    plan_free(&p->plan);
    config_free(&p->config);
    unlink("image");
    int err = chdir("/") || rmdir(p->folder);
    free(p);
    return err;
}

/* Plans the machine of `text`, which stands in a folder with the file "image". */
static inline int planned_make(struct planned *p, const char *text)
{
    plan_free(&p->plan);
    config_free(&p->config);
    assert_int_equal(
        config_read_text(&p->config, text, strlen(text), "m.ini", PLANNED_FOLDER, &p->told.report),
        0);
    return plan_make_from(&p->plan, &p->config, p->source, &p->told.report);
}

static inline void planned_accepts(struct planned *p, const char *text)
{
    int ret = planned_make(p, text);

    told_is(&p->told, "");
    assert_int_equal(ret, 0);
}

static inline void planned_fails(struct planned *p, const char *text, int err,
                                 const char *sentences)
{
    int ret = planned_make(p, text);

    told_is(&p->told, sentences);
    assert_int_equal(ret, err);
    assert_int_equal(p->plan.count, 0);
    p->told.count = 0;
}

static inline void planned_refuses(struct planned *p, const char *text, const char *sentences)
{
    planned_fails(p, text, -EINVAL, sentences);
}

/* Nothing is wrong but that plugins are missing. */
static inline void planned_misses(struct planned *p, const char *text, const char *sentences)
{
    planned_fails(p, text, -ENOENT, sentences);
}

#define PLANNED_TEST(name) cmocka_unit_test_setup_teardown(name, planned_set_up, planned_tear_down)

/* A machine that boots nothing but is complete. */
#define BARE "[machine]\nboard = none\n[boot]\nbinary = image\n"

#endif
