/* SPDX-License-Identifier: MIT
 *
 * program/check.c - `backplane check`: everything but starting.
 */
#include "program/program.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>

/* Adds {"file", "line", "section", "text"} to the array. */
static void collect(void *context, const struct bp_message *message)
{
    struct json_object *list = context, *entry = json_object_new_object();

    if (message->file)
        json_object_object_add(entry, "file", json_object_new_string(message->file));
    if (message->line)
        json_object_object_add(entry, "line", json_object_new_int((int)message->line));
    if (message->section)
        json_object_object_add(entry, "section", json_object_new_string(message->section));
    json_object_object_add(entry, "text", json_object_new_string(message->text));
    json_object_array_add(list, entry);
}

int command_check(const struct options *o)
{
    struct json_object *errors = o->json ? json_object_new_array() : NULL;
    int status;
    struct bp_machine *m = program_machine(o, o->json ? collect : NULL, errors, &status);

    if (m) {
        status = program_status(bp_machine_check(m));
        bp_machine_free(m);
    }
    if (!errors) {
        if (status == STATUS_OK)
            printf("%s: no errors found\n", o->file ? o->file : "the machine");
        return status;
    }
    struct json_object *result = json_object_new_object();
    json_object_object_add(result, "ok", json_object_new_boolean(status == STATUS_OK));
    json_object_object_add(result, "errors", errors);
    puts(json_object_to_json_string_ext(result,
                                        JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(result);
    return status;
}
