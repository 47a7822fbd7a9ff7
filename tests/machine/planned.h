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

struct planned {
    struct config config;
    struct told told;
    struct plan plan;
    const struct plan_source *source;
};

static inline int planned_set_up(void **state)
{
    struct planned *p = calloc(1, sizeof(*p));

    config_init(&p->config);
    told_init(&p->told);
    p->source = &models_source;
    *state = p;
    return 0;
}

static inline int planned_tear_down(void **state)
{
    struct planned *p = *state;

    plan_free(&p->plan);
    config_free(&p->config);
    free(p);
    return 0;
}

/* Plans the machine of `text`, which stands in folder /dev (so that paths can be "null"). */
static inline int planned_make(struct planned *p, const char *text)
{
    plan_free(&p->plan);
    config_free(&p->config);
    assert_int_equal(
        config_read_text(&p->config, text, strlen(text), "m.ini", "/dev", &p->told.report), 0);
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
#define BARE "[machine]\nboard = none\n[boot]\nbinary = null\n"

#endif
