/* SPDX-License-Identifier: MIT
 *
 * fuzz/fuzz_ini.c - libFuzzer target: any bytes as a machine file.
 *
 * Reads them, and checks what the reader promises of whatever it accepts: names by their rules,
 * lines that exist, text without control characters; an error told whenever it refuses, and none
 * otherwise. A second reading of the same bytes must give the same.
 */
#include "machine/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static void check_message(void *context, const struct bp_message *message)
{
    unsigned *lines = context;

    REQUIRE(message->text && *message->text && !strchr(message->text, '\n'));
    REQUIRE(message->line <= *lines);
}

static void check_section(const struct config *config, const struct config_section *section,
                          unsigned lines)
{
    REQUIRE(config_is_section(section->name));
    REQUIRE(config_section(config, section->name) == section);
    REQUIRE(section->line >= 1 && section->line <= lines);
    REQUIRE(section->count <= CONFIG_KEYS_MAX);
    for (uint32_t i = 0; i < section->count; i++) {
        const struct config_value *value = &section->values[i];

        REQUIRE(config_is_key(value->key));
        REQUIRE(config_value(section, value->key) == value);
        REQUIRE(value->line > section->line && value->line <= lines);
        REQUIRE(strlen(value->text) <= CONFIG_LINE_MAX);
        for (const char *c = value->text; *c; c++)
            REQUIRE((unsigned char)*c >= 0x20 || *c == '\t');
    }
}

static void check_same(const struct config *a, const struct config *b)
{
    REQUIRE(a->count == b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        REQUIRE(!strcmp(a->sections[i].name, b->sections[i].name));
        REQUIRE(a->sections[i].count == b->sections[i].count);
        for (uint32_t k = 0; k < a->sections[i].count; k++)
            REQUIRE(!strcmp(a->sections[i].values[k].text, b->sections[i].values[k].text));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned lines = 1;
    struct report report = {.tell = check_message, .context = &lines}, silent = {0};
    struct config config, again;
    int ret;

    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    config_init(&config);
    config_init(&again);
    ret = config_read_text(&config, (const char *)data, size, "fuzz.ini", "/", &report);
    REQUIRE(ret == (report.errors ? -22 : 0));
    REQUIRE(config.count <= CONFIG_SECTIONS_MAX);
    for (uint32_t i = 0; i < config.count; i++)
        check_section(&config, &config.sections[i], lines);
    REQUIRE(config_read_text(&again, (const char *)data, size, "fuzz.ini", "/", &silent) == ret);
    check_same(&config, &again);
    config_free(&config);
    config_free(&again);
    return 0;
}
