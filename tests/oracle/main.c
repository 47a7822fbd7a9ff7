/* SPDX-License-Identifier: MIT
 *
 * main.c - the oracle: has the host's processor and the engine do the same, form by form.
 *
 *     oracle                                all forms, 10 s
 *     oracle --mnemonic add --count 1000    one mnemonic
 *     oracle --sequence 8 --seconds 60      sequences of all that single instructions have passed
 *     oracle --coverage FILE --seconds 10   the test: every form listed must be executed and agree
 *
 * Without a coverage list a form counts as `absent` if the engine gives #UD for it and the host
 * does not; what the host does not have is left out.
 */
#include "oracle.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEXT_BYTES 16384u
#define PROBES 8u

struct options {
    uint64_t seed;
    uint32_t seconds, count, sequence, floor, most_failures;
    const char *mnemonic, *form, *coverage;
    bool list, update, strict, native_only, verbose;
};

struct oracle {
    struct options o;
    struct forms forms;
    struct native *native;
    struct guest *guest;
    struct outcome *engine; /* one */
    uint64_t end_ns;
    uint64_t cases;
    uint32_t failures_shown;
};

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t hash(const char *text)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * 0x100000001b3u;
    return h;
}

/* ---- one case ----------------------------------------------------------------------------- */

/* For shrinking: both sides, now. */
static bool differs_now(void *context, const struct test *t, struct outcome *native,
                        struct outcome *engine)
{
    struct oracle *x = context;

    *native_tests(x->native) = *t;
    if (native_run(x->native, 1) < 0)
        return false;
    *native = *native_outcomes(x->native);
    guest_run(x->guest, t, engine);
    return !outcomes_equal(&x->forms, t, native, engine, x->o.strict, NULL);
}

static void show_failure(struct oracle *x, const char *name, const struct test *t)
{
    char *buffer = malloc(TEXT_BYTES);
    struct test *small = malloc(sizeof(*small));
    struct outcome *native = malloc(sizeof(*native)), *engine = malloc(sizeof(*engine));
    struct text text = {.to = buffer, .size = TEXT_BYTES};

    if (buffer && small && native && engine) {
        *small = *t;
        if (!differs_now(x, small, native, engine)) {
            text_add(&text, "  (it agrees when it is done again)\n");
            test_print(&x->forms, t, &text);
        } else {
            test_shrink(&x->forms, small, differs_now, x);
            (void)differs_now(x, small, native, engine);
            test_print(&x->forms, small, &text);
            (void)outcomes_equal(&x->forms, small, native, engine, x->o.strict, &text);
        }
        printf("FAILED %s\n%s", name, buffer);
        (void)fflush(stdout);
    }
    free(buffer);
    free(small);
    free(native);
    free(engine);
}

/* ---- single instructions ------------------------------------------------------------------ */

/* Runs up to BATCH cases of one form. False: no use to go on. */
static bool run_form(struct oracle *x, struct form *form, struct random *r, uint32_t count)
{
    struct test *tests = native_tests(x->native), *failing = NULL;
    struct outcome *outcomes = native_outcomes(x->native);
    uint32_t made = 0;

    for (uint32_t tries = 0; made < count && tries < 4 * count + 20; tries++)
        made += case_single(&x->forms, form, r, &tests[made]);
    if (made == 0)
        return true;
    if (native_run(x->native, made) < 0)
        return false;
    for (uint32_t i = 0; i < made; i++) {
        form->executed++;
        form->faulted += outcomes[i].vector != 3;
        form->native_ud += outcomes[i].vector == 6;
        form->unfetched += outcomes[i].vector == 14 && outcomes[i].error & 0x10;
    }
    x->cases += made;
    /* What always gives #UD is not there, or is UD2. */
    form->lacking = form->native_ud && form->native_ud + form->unfetched == form->executed &&
                    strncmp(form->mnemonic, "ud", 2) != 0;
    if (x->o.native_only || form->lacking)
        return true;
    for (uint32_t i = 0; i < made; i++) {
        guest_run(x->guest, &tests[i], x->engine);
        if (x->forms.amd && !x->o.strict &&
            !outcomes_comparable(&x->forms, &tests[i], &outcomes[i], x->engine)) {
            form->apart++;
            continue;
        }
        if (x->engine->vector == 6 && outcomes[i].vector != 6) {
            form->engine_ud++;
            if (!form->listed)
                continue;
        }
        if (outcomes_equal(&x->forms, &tests[i], &outcomes[i], x->engine, x->o.strict, NULL))
            continue;
        form->failed++;
        if (!failing)
            failing = &tests[i];
    }
    /* The batch is not needed any more: showing one case of it uses its place. */
    if (failing && !form->shown && x->failures_shown < x->o.most_failures) {
        struct test *copy = malloc(sizeof(*copy));
        form->shown = true;
        x->failures_shown++;
        if (copy) {
            *copy = *failing;
            show_failure(x, form->name, copy);
        }
        free(copy);
    }
    return true;
}

static bool chosen(const struct options *o, const struct form *form)
{
    if (o->form)
        return strcmp(o->form, form->name) == 0;
    return !o->mnemonic || strcmp(o->mnemonic, form->mnemonic) == 0;
}

static bool absent(const struct form *form)
{
    return form->engine_ud > 0 &&
           form->engine_ud + form->native_ud >= form->executed - form->executed / 4;
}

/* Round after round over all forms, until each has had `count` cases or time is over. Every form
 * has random numbers of its own, so that what others do does not change its cases. */
static int run_single(struct oracle *x)
{
    struct random *r = calloc(x->forms.count, sizeof(*r));
    bool more = true;

    if (!r)
        return -ENOMEM;
    for (uint32_t i = 0; i < x->forms.count; i++)
        r[i].state = x->o.seed ^ hash(x->forms.form[i].name);
    for (uint32_t round = 0; more; round++) {
        uint32_t batch = round == 0 ? PROBES : round == 1 ? x->o.floor : BATCH;
        more = false;
        if (batch > BATCH)
            batch = BATCH;
        for (uint32_t i = 0; i < x->forms.count; i++) {
            struct form *form = &x->forms.form[i];
            uint32_t n = batch;
            if (!chosen(&x->o, form) || form->lacking ||
                (round > 1 && !form->listed && absent(form)))
                continue;
            if (x->o.count && form->executed + n > x->o.count)
                n = x->o.count - form->executed;
            if (n == 0)
                continue;
            if (!run_form(x, form, &r[i], n)) {
                free(r);
                return -EIO;
            }
            if (x->o.seconds && round > 1 && now_ns() > x->end_ns) {
                free(r);
                return 0;
            }
            more = true;
        }
        if (round > 1 && !x->o.count && !x->o.seconds)
            more = false;
    }
    free(r);
    return 0;
}

/* ---- sequences ---------------------------------------------------------------------------- */

static int run_sequences(struct oracle *x)
{
    struct form **usable = calloc(x->forms.count, sizeof(struct form *));
    struct random r = {x->o.seed};
    uint32_t n = 0, failed = 0, most_failures = x->o.most_failures;
    uint64_t done = 0, straight = 0;

    if (!usable)
        return -ENOMEM;
    /* What single instructions show to be there, and to agree. */
    x->o.most_failures = 0;
    for (uint32_t i = 0; i < x->forms.count; i++) {
        struct form *form = &x->forms.form[i];
        struct random own = {x->o.seed ^ hash(form->name)};
        if (!chosen(&x->o, form))
            continue;
        if (!run_form(x, form, &own, 24))
            break;
        if (!form->lacking && form->failed == 0 && form->engine_ud == 0 &&
            form->faulted < form->executed && form->executed)
            usable[n++] = form;
    }
    x->o.most_failures = most_failures;
    printf("sequences of %" PRIu32 " out of %" PRIu32 " forms\n", x->o.sequence, n);
    x->end_ns = now_ns() + x->o.seconds * 1000000000ull;
    while (n && (x->o.count ? done < x->o.count : now_ns() < x->end_ns)) {
        struct test *tests = native_tests(x->native), failing;
        struct outcome *outcomes = native_outcomes(x->native);
        uint32_t made = 0;
        bool any = false;
        for (uint32_t tries = 0; made < BATCH && tries < 8 * BATCH; tries++)
            made += case_sequence(&x->forms, usable, n, x->o.sequence, &r, &tests[made]);
        if (made == 0 || native_run(x->native, made) < 0)
            break;
        for (uint32_t i = 0; i < made; i++) {
            straight += outcomes[i].s.rip == CODE_AT + tests[i].at + tests[i].bytes + 1;
            guest_run(x->guest, &tests[i], x->engine);
            if (outcomes_equal(&x->forms, &tests[i], &outcomes[i], x->engine, false, NULL))
                continue;
            failed++;
            if (!any)
                failing = tests[i];
            any = true;
        }
        done += made;
        if (any && x->failures_shown < x->o.most_failures) {
            x->failures_shown++;
            show_failure(x, "sequence", &failing);
        }
    }
    printf("%" PRIu64 " sequences, %" PRIu64 " of them to their end, %" PRIu32 " failed\n", done,
           straight, failed);
    free(usable);
    return failed ? 1 : 0;
}

/* ---- the coverage list -------------------------------------------------------------------- */

static int read_coverage(struct oracle *x, const char *path)
{
    FILE *file = fopen(path, "r");
    char line[256];
    int missing = 0;

    if (!file) {
        (void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -errno;
    }
    while (fgets(line, sizeof(line), file)) {
        bool found = false;
        line[strcspn(line, "\n")] = 0;
        if (!line[0] || line[0] == '#')
            continue;
        for (uint32_t i = 0; i < x->forms.count && !found; i++)
            if (strcmp(x->forms.form[i].name, line) == 0)
                found = x->forms.form[i].listed = true;
        if (!found) {
            printf("listed, but no such form: %s\n", line);
            missing++;
        }
    }
    (void)fclose(file);
    return missing;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct form *)a)->name, ((const struct form *)b)->name);
}

static bool agreed(const struct form *form)
{
    return form->executed && !form->lacking && form->failed == 0 && form->engine_ud == 0;
}

static int write_coverage(struct oracle *x, const char *path)
{
    FILE *file = fopen(path, "w");

    if (!file) {
        (void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 1;
    }
    (void)fprintf(file, "# The forms that the engine must do as the host's processor does. Written "
                        "by:\n# oracle --coverage FILE --update-coverage\n");
    for (uint32_t i = 0; i < x->forms.count; i++)
        if (agreed(&x->forms.form[i]) || (x->forms.form[i].lacking && x->forms.form[i].listed))
            (void)fprintf(file, "%s\n", x->forms.form[i].name);
    return fclose(file) ? 1 : 0;
}

/* ---- the report --------------------------------------------------------------------------- */

static int report(struct oracle *x)
{
    uint32_t done = 0, failed = 0, lacking = 0, away = 0, short_of = 0;
    uint64_t apart = 0;

    for (uint32_t i = 0; i < x->forms.count; i++) {
        const struct form *form = &x->forms.form[i];
        if (!chosen(&x->o, form))
            continue;
        apart += form->apart;
        if (form->executed && form->apart == form->executed) {
            if (form->listed || x->o.verbose)
                printf("done otherwise by this host's maker: %s\n", form->name);
        } else if (form->lacking) {
            lacking++;
            if (form->listed || x->o.verbose)
                printf("not on this host: %s\n", form->name);
        } else if (!form->listed && absent(form)) {
            away++;
            if (x->o.verbose || x->o.mnemonic)
                printf("absent: %s\n", form->name);
        } else if (form->failed || form->engine_ud) {
            failed++;
            printf("failed: %s (%" PRIu32 " of %" PRIu32 ", #UD %" PRIu32 ")\n", form->name,
                   form->failed, form->executed, form->engine_ud);
        } else if (form->listed && form->executed < x->o.floor) {
            short_of++;
            printf("listed, but executed only %" PRIu32 " times: %s\n", form->executed, form->name);
        } else {
            done++;
            if (x->o.list || x->o.verbose)
                printf("agrees: %s (%" PRIu32 ", %" PRIu32 " faults)\n", form->name, form->executed,
                       form->faulted);
        }
    }
    printf("%" PRIu64 " cases; %" PRIu32 " forms agree, %" PRIu32 " failed, %" PRIu32
           " absent, %" PRIu32 " not on this host, %" PRIu32 " too few; %" PRIu64
           " cases done otherwise by this host's maker\n",
           x->cases, done, failed, away, lacking, short_of, apart);
    if (!x->o.coverage)
        return failed ? 1 : 0;
    for (uint32_t i = 0; i < x->forms.count; i++)
        if (x->forms.form[i].listed && !x->forms.form[i].lacking &&
            (x->forms.form[i].failed || x->forms.form[i].engine_ud))
            return 1;
    return short_of ? 1 : 0;
}

/* ---- options ------------------------------------------------------------------------------ */

static void usage(void)
{
    (void)fputs("oracle [OPTION]...: the engine against the host's processor\n"
                "  --seed N           another series of random cases\n"
                "  --seconds S        how long (10; 0 with --count)\n"
                "  --count N          cases of each form\n"
                "  --floor N          least number of cases of each listed form (16)\n"
                "  --mnemonic NAME    this mnemonic only\n"
                "  --form TEXT        this form only, as --list names it\n"
                "  --sequence N       sequences of N instructions, 2 to 16\n"
                "  --strict           compare what the manual leaves undefined, too\n"
                "  --coverage FILE    forms that must agree\n"
                "  --update-coverage  write those that do to it\n"
                "  --native           the host only\n"
                "  --failures N       show at most so many failures (50)\n"
                "  --verbose          tell about every form\n"
                "  --list             the forms\n",
                stderr);
}

static bool parse(int argc, char **argv, struct options *o)
{
    static const struct option names[] = {{"seed", required_argument, NULL, 's'},
                                          {"seconds", required_argument, NULL, 't'},
                                          {"count", required_argument, NULL, 'c'},
                                          {"floor", required_argument, NULL, 'f'},
                                          {"mnemonic", required_argument, NULL, 'm'},
                                          {"form", required_argument, NULL, 'F'},
                                          {"sequence", required_argument, NULL, 'q'},
                                          {"coverage", required_argument, NULL, 'C'},
                                          {"failures", required_argument, NULL, 'n'},
                                          {"update-coverage", no_argument, NULL, 'u'},
                                          {"strict", no_argument, NULL, 'S'},
                                          {"native", no_argument, NULL, 'N'},
                                          {"verbose", no_argument, NULL, 'v'},
                                          {"list", no_argument, NULL, 'l'},
                                          {NULL, 0, NULL, 0}};
    bool timed = false;
    int c;

    *o = (struct options){.seed = 1, .seconds = 10, .floor = 16, .most_failures = 50};
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        uint64_t number = optarg ? strtoull(optarg, NULL, 0) : 0;
        switch (c) {
        case 's':
            o->seed = number;
            break;
        case 't':
            o->seconds = (uint32_t)number;
            timed = true;
            break;
        case 'c':
            o->count = (uint32_t)number;
            break;
        case 'f':
            o->floor = (uint32_t)number;
            break;
        case 'm':
            o->mnemonic = optarg;
            break;
        case 'F':
            o->form = optarg;
            break;
        case 'q':
            o->sequence = (uint32_t)number;
            break;
        case 'C':
            o->coverage = optarg;
            break;
        case 'n':
            o->most_failures = (uint32_t)number;
            break;
        case 'u':
            o->update = true;
            break;
        case 'S':
            o->strict = true;
            break;
        case 'N':
            o->native_only = true;
            break;
        case 'v':
            o->verbose = true;
            break;
        case 'l':
            o->list = true;
            break;
        default:
            return false;
        }
    }
    if (o->count && !timed)
        o->seconds = 0;
    return optind == argc && o->sequence <= CASE_INSNS && (!o->update || o->coverage);
}

int main(int argc, char **argv)
{
    struct oracle *x = calloc(1, sizeof(*x));
    int result = 2;

    if (!x || !parse(argc, argv, &x->o)) {
        usage();
        free(x);
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (forms_find(&x->forms) < 0)
        goto out;
    qsort(x->forms.form, x->forms.count, sizeof(*x->forms.form), compare_names);
    forms_index(&x->forms);
    if (x->o.list) {
        for (uint32_t i = 0; i < x->forms.count; i++)
            if (chosen(&x->o, &x->forms.form[i]))
                printf("%s\n", x->forms.form[i].name);
        result = 0;
        goto out;
    }
    if (x->o.coverage && read_coverage(x, x->o.coverage) != 0 && !x->o.update)
        goto out;
    x->engine = calloc(1, sizeof(*x->engine));
    /* The child first: it needs nothing of the engine. */
    x->native = native_create();
    x->guest = x->o.native_only ? NULL : guest_create();
    if (!x->engine || !x->native || (!x->guest && !x->o.native_only)) {
        (void)fprintf(stderr, "cannot start\n");
        goto out;
    }
    x->end_ns = now_ns() + x->o.seconds * 1000000000ull;
    if (x->o.sequence) {
        result = run_sequences(x);
        goto out;
    }
    result = run_single(x) < 0 ? 2 : report(x);
    if (x->o.update)
        result = write_coverage(x, x->o.coverage);
out:
    if (x->guest)
        guest_destroy(x->guest);
    if (x->native)
        native_destroy(x->native);
    forms_free(&x->forms);
    free(x->engine);
    free(x);
    return result;
}
