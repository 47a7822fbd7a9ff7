/* SPDX-License-Identifier: MIT
 *
 * program/validate.c - `backplane validate`: does a plugin keep the rules? Where there is no
 * validator (macOS), it says so.
 */
#include "program/program.h"

#ifdef PROGRAM_VALIDATES

#include "validate/validate.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Short enough to be typed again. */
static uint64_t new_seed(void)
{
    uint32_t seed = 0;

    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed))
        seed = 1;
    return seed % 1000000;
}

int command_validate(const struct options *o)
{
    const struct options_kit *kit = &o->kit;
    struct validate_setting *settings = calloc(o->setting_count + 1u, sizeof(*settings));
    char *path = realpath(o->arguments[0], NULL);
    struct validate_options options = {
        .path = path ? path : o->arguments[0],
        .check = kit->check,
        .model = kit->model,
        .settings = settings,
        .setting_count = settings ? o->setting_count : 0,
        .format = kit->tap  ? VALIDATE_TAP
                  : o->json ? VALIDATE_JSON
                            : VALIDATE_TEXT,
        .seed = kit->has_seed ? kit->seed : new_seed(),
        .limit_s = kit->limit_s,
        .fuzz_s = kit->fuzz_s,
        .input = kit->input,
    };
    int result = VALIDATE_NO_PLUGIN;

    for (uint32_t i = 0; i < options.setting_count; i++)
        settings[i] = (struct validate_setting){o->settings[i].key, o->settings[i].value};
    if (path)
        result = validate_plugin(&options, stdout);
    else
        fprintf(stderr, "backplane: %s does not exist; expected the file of a plugin\n",
                o->arguments[0]);
    free(settings);
    free(path);
    switch (result) {
    case VALIDATE_PASSED:
        return STATUS_OK;
    case VALIDATE_FAILED:
        return STATUS_INVALID;
    case VALIDATE_NO_PLUGIN:
        return STATUS_PLUGIN;
    case VALIDATE_NO_SUCH:
        return STATUS_USAGE;
    default:
        return STATUS_FAILED;
    }
}

#else

int command_validate(const struct options *o)
{
    fprintf(stderr, "backplane: %s: the validator runs on Linux only\n", o->arguments[0]);
    return STATUS_FAILED;
}

#endif
