/* SPDX-License-Identifier: MIT
 *
 * validate/report.c - what the checks found, for people, as TAP 13, and as JSON.
 *
 * The members of the JSON are kept: programs read them; new ones may come.
 */
#include "validate/report.h"

#include "validate/world.h"

#include <stdio.h>
#include <string.h>

static const char *const words[] = {"none", "passed", "failed", "skipped"};

/* Each line of `text` after `prefix`. Control characters become '?': it may go to a terminal. */
static void print_lines(FILE *out, const char *prefix, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");

        fputs(prefix, out);
        for (size_t i = 0; i < len; i++)
            fputc((unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i], out);
        fputc('\n', out);
        text += len + (text[len] == '\n');
    }
}

/* The command that runs this check alone, in the same way. */
static void print_again(const struct results *r, const struct finding *f, const char *prefix)
{
    if (!f->seed)
        return; /* fuzzing: the input says it all */
    fprintf(r->out, "%sagain: backplane validate %s --check %s", prefix, r->options->path,
            f->check);
    if (f->model)
        fprintf(r->out, " --model %s", f->model);
    fprintf(r->out, " --seed %llu\n", (unsigned long long)r->options->seed);
}

void results_begin(struct results *r, uint32_t planned)
{
    if (r->options->format == VALIDATE_JSON)
        r->list = json_object_new_array();
    else if (r->options->format == VALIDATE_TAP)
        fprintf(r->out, "TAP version 13\n1..%u\n# %s %s, seed %llu\n", planned, r->plugin,
                r->version, (unsigned long long)r->options->seed);
    else
        fprintf(r->out, "%s %s, seed %llu\n", r->plugin, r->version,
                (unsigned long long)r->options->seed);
    fflush(r->out);
}

static void add_tap(const struct results *r, const struct finding *f)
{
    fprintf(r->out, "%s %u - %s%s%s", f->verdict == VERDICT_FAIL ? "not ok" : "ok", r->number,
            f->model ? f->model : "", f->model ? ": " : "", f->check);
    if (f->verdict == VERDICT_SKIP)
        fprintf(r->out, " # SKIP %s", f->text);
    fputc('\n', r->out);
    if (f->note)
        print_lines(r->out, "# ", f->note);
    if (f->verdict != VERDICT_FAIL)
        return;
    print_lines(r->out, "# ", f->text);
    print_lines(r->out, "#   ", f->output);
    print_again(r, f, "# ");
}

static void add_text(const struct results *r, const struct finding *f)
{
    char name[96];

    snprintf(name, sizeof(name), "%s%s%s", f->model ? f->model : "", f->model ? ": " : "",
             f->check);
    fprintf(r->out, "  %-7s  %-28s %s\n", words[f->verdict], name, f->what);
    if (f->note)
        print_lines(r->out, "           ", f->note);
    if (f->verdict == VERDICT_SKIP)
        print_lines(r->out, "           ", f->text);
    if (f->verdict != VERDICT_FAIL)
        return;
    print_lines(r->out, "           ", f->text);
    print_lines(r->out, "             ", f->output);
    print_again(r, f, "           ");
}

static void add_json(const struct results *r, const struct finding *f)
{
    struct json_object *o = json_object_new_object();

    if (f->model)
        json_object_object_add(o, "model", json_object_new_string(f->model));
    json_object_object_add(o, "check", json_object_new_string(f->check));
    json_object_object_add(o, "what", json_object_new_string(f->what));
    json_object_object_add(o, "verdict", json_object_new_string(words[f->verdict]));
    if (*f->text)
        json_object_object_add(o, "text", json_object_new_string(f->text));
    if (*f->output && f->verdict == VERDICT_FAIL)
        json_object_object_add(o, "output", json_object_new_string(f->output));
    if (f->note)
        json_object_object_add(o, "note", json_object_new_string(f->note));
    json_object_array_add(r->list, o);
}

void results_add(struct results *r, const struct finding *f)
{
    r->number++;
    r->passed += f->verdict == VERDICT_PASS;
    r->failed += f->verdict == VERDICT_FAIL;
    r->skipped += f->verdict == VERDICT_SKIP;
    if (r->options->format == VALIDATE_JSON)
        add_json(r, f);
    else if (r->options->format == VALIDATE_TAP)
        add_tap(r, f);
    else
        add_text(r, f);
    fflush(r->out);
}

void results_end(struct results *r)
{
    struct json_object *root;

    if (r->options->format == VALIDATE_TAP)
        return;
    if (r->options->format == VALIDATE_TEXT) {
        fprintf(r->out, "%u passed, %u failed, %u skipped\n", r->passed, r->failed, r->skipped);
        return;
    }
    root = json_object_new_object();
    json_object_object_add(root, "ok", json_object_new_boolean(!r->failed));
    json_object_object_add(root, "plugin", json_object_new_string(r->plugin));
    json_object_object_add(root, "version", json_object_new_string(r->version));
    json_object_object_add(root, "file", json_object_new_string(r->options->path));
    json_object_object_add(root, "seed", json_object_new_uint64(r->options->seed));
    json_object_object_add(root, "passed", json_object_new_int((int)r->passed));
    json_object_object_add(root, "failed", json_object_new_int((int)r->failed));
    json_object_object_add(root, "skipped", json_object_new_int((int)r->skipped));
    json_object_object_add(root, "checks", r->list);
    fprintf(r->out, "%s\n",
            json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY |
                                                     JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(root);
}
