/* SPDX-License-Identifier: MIT
 *
 * validate/runner.c - one process a check, watched: it ends by a verdict, or what it did instead is
 * one.
 *
 * A check that calls into the plugin says so beforehand in memory that both processes share. So the
 * parent can tell during which call the process died, or which call does not come back: no call may
 * take longer than the limit. A process is killed then, with the plugin's threads.
 */
#include "validate/check.h"
#include "validate/coverage.h"
#include "validate/report.h"

#include "base/nearest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_S 10u
#define OUTPUT_MAX 4096u
#define FILE_BYTES 65536u

/* One run of the validator. */
struct runner {
    const struct validate_options *options;
    struct results results;
    struct shared *shared;
    char folder[PATH_MAX]; /* for what plugins write */
    char output[OUTPUT_MAX + 1];
    char text[2048];
};

/* What a child is to do. */
struct task {
    const struct check *check; /* NULL: fuzz, or run one input */
    const char *model;         /* NULL: it is about the file */
    uint32_t fuzz_s;
    uint32_t input_len;
    const uint8_t *input; /* or NULL */
    uint64_t seed;
};

/* ---- the child ------------------------------------------------------------------------------- */

static const struct model *find_model(const struct loaded *file, const char *id)
{
    for (uint32_t i = 0; i < file->plugin.model_count; i++)
        if (!strcmp(file->plugin.models[i].id, id))
            return &file->plugin.models[i];
    return NULL;
}

_Noreturn static void child(struct runner *r, const struct task *task, int output)
{
    const struct rlimit no_core = {0, 0};
    struct world early = {.shared = r->shared}, *w;
    struct loaded *file;
    struct error why;
    char *path = realpath(r->options->path, NULL);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGPIPE, SIG_IGN);
    dup2(null, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    doing(&early, "loading it");
    if (!path || chdir(r->folder) || loader_open(path, NULL, &file, &why))
        world_fail(&early, "%s", path ? why.text : strerror(errno));
    if (task->check && task->check->run_file) {
        task->check->run_file(&early, file);
        world_pass(&early);
    }
    w = world_new(r->shared, find_model(file, task->model), r->folder, task->seed);
    if (!w || !w->model)
        world_skip(&early, "out of memory");
    w->settings = r->options->settings;
    w->setting_count = r->options->setting_count;
    if (task->check)
        task->check->run(w);
    else if (task->input)
        fuzz_input(w, task->input, task->input_len);
    else
        fuzz(w, task->fuzz_s);
    world_pass(w);
}

/* ---- the parent ------------------------------------------------------------------------------ */

static void keep_output(struct runner *r, int fd)
{
    ssize_t len = pread(fd, r->output, OUTPUT_MAX, 0);

    r->output[len > 0 ? len : 0] = '\0';
}

/* Waits until the child has ended. False: a call took too long, and it was killed. */
static bool wait_for(const struct runner *r, pid_t pid, int ended, int *status)
{
    uint32_t limit_s = r->options->limit_s ? r->options->limit_s : LIMIT_S;
    uint64_t progress = 0;
    uint32_t quiet = 0; /* tenths of a second */
    bool in_time = true;

    for (;;) {
        struct pollfd p = {.fd = ended, .events = POLLIN};
        uint64_t now;

        if (poll(&p, 1, 100) > 0 || waitpid(pid, status, WNOHANG) == pid)
            break;
        now = __atomic_load_n(&r->shared->progress, __ATOMIC_RELAXED);
        quiet = now == progress ? quiet + 1 : 0;
        progress = now;
        if (quiet >= 10 * limit_s) {
            in_time = false;
            break;
        }
    }
    if (!in_time)
        kill(pid, SIGKILL);
    while (waitpid(pid, status, 0) < 0 && errno == EINTR)
        continue;
    return in_time;
}

/* Removes what the plugin left in the folder, and makes what checks expect there. */
static void sweep(const struct runner *r, bool make)
{
    int folder = open(r->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = folder >= 0 ? fdopendir(folder) : NULL;

    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            unlinkat(dirfd(d), e->d_name, 0);
    if (d && make) {
        int fd = openat(dirfd(d), "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

        if (fd >= 0) {
            if (ftruncate(fd, FILE_BYTES))
                fprintf(stderr, "backplane: %s/file: %s\n", r->folder, strerror(errno));
            close(fd);
        }
    }
    if (d)
        closedir(d);
}

/* Runs the task; the verdict and its sentence in *f. -errno if no process can be had. */
static int run_task(struct runner *r, const struct task *task, struct finding *f)
{
    int output = memfd_create("output", MFD_CLOEXEC), ended[2], status = 0;
    struct shared *s = r->shared;
    bool in_time;
    pid_t pid;

    if (output < 0 || pipe2(ended, O_CLOEXEC))
        return -errno;
    memset(s, 0, sizeof(*s));
    sweep(r, true);
    fflush(NULL);
    pid = fork();
    if (pid < 0)
        return -errno;
    if (!pid) {
        close(ended[0]);
        child(r, task, output);
    }
    close(ended[1]);
    in_time = wait_for(r, pid, ended[0], &status);
    close(ended[0]);
    keep_output(r, output);
    close(output);
    f->output = r->output;
    f->text = r->text;
    f->verdict = s->verdict;
    s->doing[sizeof(s->doing) - 1] = s->text[sizeof(s->text) - 1] = '\0';
    if (in_time && f->verdict != VERDICT_NONE && WIFEXITED(status) && !WEXITSTATUS(status)) {
        snprintf(r->text, sizeof(r->text), "%s", s->text);
        return 0;
    }
    f->verdict = VERDICT_FAIL;
    if (!in_time)
        snprintf(r->text, sizeof(r->text), "%s does not come back: it took longer than %u seconds",
                 s->doing, r->options->limit_s ? r->options->limit_s : LIMIT_S);
    else if (WIFSIGNALED(status))
        snprintf(r->text, sizeof(r->text), "%s ends the process by signal %d (%s)", s->doing,
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(r->text, sizeof(r->text), "%s ends the process with status %d", s->doing,
                 WEXITSTATUS(status));
    return 0;
}

/* Of each check and model its own, whatever else runs. */
static uint64_t mix(uint64_t seed, const char *check, const char *model)
{
    for (const char *at = check; *at; at++)
        seed = (seed ^ (uint8_t)*at) * 0x100000001b3u;
    for (const char *at = model ? model : ""; *at; at++)
        seed = (seed ^ (uint8_t)*at) * 0x100000001b3u;
    return seed;
}

/* ---- fuzzing --------------------------------------------------------------------------------- */

/* Writes the input that is under way to a file, and says so. */
static void keep_input(struct runner *r, const char *model)
{
    const struct shared *s = r->shared;
    const char *folder = r->options->artifacts ? r->options->artifacts : ".";
    uint64_t hash = 0xcbf29ce484222325u;
    char path[PATH_MAX], more[PATH_MAX + 128];
    int fd;

    if (!s->input_len || s->input_len > INPUT_MAX)
        return;
    for (uint32_t i = 0; i < s->input_len; i++)
        hash = (hash ^ s->input[i]) * 0x100000001b3u;
    if ((size_t)snprintf(path, sizeof(path), "%s/input-%s-%08x", folder, model, (uint32_t)hash) >=
        sizeof(path))
        return;
    fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, s->input, s->input_len) != (ssize_t)s->input_len)
        snprintf(more, sizeof(more), "; its input cannot be written to %s: %s", path,
                 strerror(errno));
    else
        snprintf(more, sizeof(more), "; its input is %s, for --model %s --input", path, model);
    if (fd >= 0)
        close(fd);
    snprintf(r->text + strlen(r->text), sizeof(r->text) - strlen(r->text), "%s", more);
}

static int fuzz_model(struct runner *r, const struct model *m, uint32_t seconds)
{
    struct task task = {
        .model = m->id, .fuzz_s = seconds, .seed = mix(r->options->seed, "fuzz", m->id)};
    struct finding f = {.model = m->id, .check = "fuzz", .what = "inputs that reach new code"};
    const struct shared *s = r->shared;
    char note[200];
    int err = run_task(r, &task, &f);

    if (err)
        return err;
    if (f.verdict == VERDICT_FAIL)
        keep_input(r, m->id);
    if (s->edges_seen && s->edges)
        snprintf(note, sizeof(note), "%llu inputs run, %llu kept, %llu of %llu edges reached",
                 (unsigned long long)s->executions, (unsigned long long)s->corpus,
                 (unsigned long long)s->edges_seen, (unsigned long long)s->edges);
    else if (s->edges_seen)
        snprintf(note, sizeof(note), "%llu inputs run, %llu kept, %llu edges reached",
                 (unsigned long long)s->executions, (unsigned long long)s->corpus,
                 (unsigned long long)s->edges_seen);
    else
        snprintf(note, sizeof(note),
                 "%llu inputs run, at random: the plugin was built without -fsanitize-coverage",
                 (unsigned long long)s->executions);
    f.note = note;
    results_add(&r->results, &f);
    return 0;
}

static int run_input(struct runner *r, const struct model *m)
{
    struct task task = {.model = m->id, .seed = r->options->seed};
    struct finding f = {.model = m->id, .check = "input", .what = "one input of fuzzing"};
    static const uint32_t room = INPUT_MAX;
    uint8_t *data = malloc(room);
    int fd = open(r->options->input, O_RDONLY | O_CLOEXEC), err;
    ssize_t len = fd >= 0 && data ? read(fd, data, room) : -1;

    if (len < 0) {
        err = -errno;
        fprintf(stderr, "backplane: %s cannot be read: %s\n", r->options->input, strerror(-err));
    } else {
        task.input = data;
        task.input_len = (uint32_t)len;
        err = run_task(r, &task, &f);
        if (!err)
            results_add(&r->results, &f);
    }
    if (fd >= 0)
        close(fd);
    free(data);
    return err;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static bool is_for(const struct validate_options *o, const struct check *c, const struct model *m)
{
    if (o->input || (o->check && strcmp(o->check, c->name) != 0))
        return false;
    if (!m)
        return !c->kinds && !o->model;
    return c->kinds >> m->kind & 1 && (!o->model || !strcmp(o->model, m->id));
}

static bool is_fuzzed(const struct validate_options *o, const struct model *m)
{
    return m->kind != BP_KIND_CPU && (o->fuzz_s || o->input) &&
           (!o->model || !strcmp(o->model, m->id));
}

static uint32_t plan(const struct validate_options *o, const struct plugin *p, uint32_t *fuzzed)
{
    uint32_t count = 0;

    *fuzzed = 0;
    for (const struct check *c = checks; c->name; c++) {
        count += is_for(o, c, NULL);
        for (uint32_t i = 0; i < p->model_count; i++)
            count += is_for(o, c, &p->models[i]);
    }
    for (uint32_t i = 0; i < p->model_count; i++)
        *fuzzed += is_fuzzed(o, &p->models[i]);
    return count + *fuzzed;
}

static int run_check(struct runner *r, const struct check *c, const struct model *m)
{
    const char *id = m ? m->id : NULL;
    struct task task = {.check = c, .model = id, .seed = mix(r->options->seed, c->name, id)};
    struct finding f = {.model = id, .check = c->name, .what = c->what, .seed = 1};
    int err = run_task(r, &task, &f);

    if (!err)
        results_add(&r->results, &f);
    return err;
}

static int run_all(struct runner *r, const struct plugin *p)
{
    const struct validate_options *o = r->options;
    uint32_t fuzzed, planned = plan(o, p, &fuzzed);
    int err = 0;

    results_begin(&r->results, planned);
    for (const struct check *c = checks; c->name && !err; c++)
        if (is_for(o, c, NULL))
            err = run_check(r, c, NULL);
    for (uint32_t i = 0; i < p->model_count && !err; i++) {
        const struct model *m = &p->models[i];

        for (const struct check *c = checks; c->name && !err; c++)
            if (is_for(o, c, m))
                err = run_check(r, c, m);
        if (!err && fuzzed && is_fuzzed(o, m))
            err = o->input ? run_input(r, m) : fuzz_model(r, m, 1 + (o->fuzz_s - 1) / fuzzed);
    }
    results_end(&r->results);
    return err;
}

/* The names that there are, when one is asked for that is not. */
static int check_names(const struct validate_options *o, const struct plugin *p)
{
    const char *names[64] = {NULL}, *near;
    uint32_t count = 0;
    bool found = !o->check;

    for (const struct check *c = checks; c->name; c++) {
        names[count++] = c->name;
        found |= o->check && !strcmp(o->check, c->name);
    }
    if (!found) {
        near = nearest_word(o->check, names);
        fprintf(stderr, "backplane: there is no check %.64s;", o->check);
        if (near) {
            fprintf(stderr, " did you mean %s?\n", near);
            return VALIDATE_NO_SUCH;
        }
        fputs(" there are", stderr);
        for (uint32_t i = 0; i < count; i++)
            fprintf(stderr, "%s %s", i ? "," : "", names[i]);
        fputc('\n', stderr);
        return VALIDATE_NO_SUCH;
    }
    if (!o->model && o->input && p->model_count > 1) {
        fputs("backplane: --input needs --model, as the plugin has several\n", stderr);
        return VALIDATE_NO_SUCH;
    }
    for (uint32_t i = 0; o->model && i < p->model_count; i++)
        if (!strcmp(o->model, p->models[i].id))
            return 0;
    if (!o->model)
        return 0;
    fprintf(stderr, "backplane: %s has no model %.64s; it has", p->name, o->model);
    for (uint32_t i = 0; i < p->model_count; i++)
        fprintf(stderr, "%s %s", i ? "," : "", p->models[i].id);
    fputc('\n', stderr);
    return VALIDATE_NO_SUCH;
}

const char *validate_check_name(uint32_t index, const char **what)
{
    for (const struct check *c = checks; c->name; c++) {
        if (!index--) {
            *what = c->what;
            return c->name;
        }
    }
    return NULL;
}

int validate_plugin(const struct validate_options *options, FILE *out)
{
    struct runner *r = calloc(1, sizeof(*r));
    const char *tmp = getenv("TMPDIR");
    struct loaded *file = NULL;
    struct error why;
    int err;

    if (!r)
        return VALIDATE_NOT_STARTED;
    r->options = options;
    err = loader_open(options->path, NULL, &file, &why);
    if (err) {
        fprintf(stderr, "backplane: %s\n", why.text);
        free(r);
        return VALIDATE_NO_PLUGIN;
    }
    err = check_names(options, &file->plugin);
    if (err)
        goto end;
    r->results = (struct results){.out = out,
                                  .options = options,
                                  .plugin = file->plugin.name,
                                  .version = file->plugin.version};
    r->shared =
        mmap(NULL, sizeof(*r->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    snprintf(r->folder, sizeof(r->folder), "%s/backplane-validate-XXXXXX",
             tmp && *tmp == '/' ? tmp : "/tmp");
    if (r->shared == MAP_FAILED || !mkdtemp(r->folder)) {
        fprintf(stderr, "backplane: %s: %s\n", r->folder, strerror(errno));
        err = VALIDATE_NOT_STARTED;
        goto end;
    }
    err = run_all(r, &file->plugin);
    sweep(r, false);
    rmdir(r->folder);
    munmap(r->shared, sizeof(*r->shared));
    if (err < 0)
        fprintf(stderr, "backplane: the validator cannot go on: %s\n", strerror(-err));
    err = err < 0 ? VALIDATE_NOT_STARTED : r->results.failed ? VALIDATE_FAILED : VALIDATE_PASSED;
end:
    loader_close(file);
    free(r);
    return err;
}
