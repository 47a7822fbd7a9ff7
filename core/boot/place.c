/* SPDX-License-Identifier: MIT
 *
 * boot/place.c - which stretches of guest memory the loader has given away.
 *
 * The list is searched from end to end: it has some ten entries, and hostile files cannot make it
 * longer than PLACE_MAX.
 */
#include "boot/place.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define RAM_TEXT_BYTES 128u /* "0x0-0x9ffff, 0x100000-0x3ffffff" for a sentence */

void place_init(struct place *place, const struct ram *ram, const struct e820 *map)
{
    place->ram = ram;
    place->map = map;
    place->count = 0;
    place->reserved = 0;
}

/* The machine's RAM, for people; a long list is cut. */
static const char *ram_text(const struct place *place, char text[RAM_TEXT_BYTES])
{
    size_t used = 0;

    snprintf(text, RAM_TEXT_BYTES, "none");
    for (uint32_t i = 0; i < place->map->count; i++) {
        const struct e820_entry *entry = &place->map->entries[i];
        int n;

        if (entry->type != E820_RAM)
            continue;
        if (used > RAM_TEXT_BYTES - 48) {
            snprintf(text + used, RAM_TEXT_BYTES - used, ", ...");
            break;
        }
        n = snprintf(text + used, RAM_TEXT_BYTES - used, "%s0x%" PRIx64 "-0x%" PRIx64,
                     used ? ", " : "", entry->base, entry->base + entry->length - 1);
        used += (size_t)n;
    }
    return text;
}

/* For a sentence: the last byte of a stretch, which may wrap. */
static uint64_t last_of(uint64_t gpa, uint64_t length)
{
    return length - 1 > UINT64_MAX - gpa ? UINT64_MAX : gpa + (length - 1);
}

static bool is_ram(const struct place *place, uint64_t gpa, uint64_t length)
{
    uint64_t last;

    if (__builtin_add_overflow(gpa, length - 1, &last))
        return false;
    for (uint32_t i = 0; i < place->map->count; i++) {
        const struct e820_entry *entry = &place->map->entries[i];

        if (entry->type == E820_RAM && gpa >= entry->base && last - entry->base < entry->length)
            return ram_at(place->ram, gpa, length) != NULL;
    }
    return false;
}

/* The taken stretch that [first, last] overlaps, or NULL. */
static const struct place_range *overlap(const struct place *place, uint64_t first, uint64_t last)
{
    for (uint32_t i = 0; i < place->count; i++) {
        const struct place_range *range = &place->taken[i];

        if (first <= range->last && last >= range->first)
            return range;
    }
    return NULL;
}

bool place_is_free(const struct place *place, uint64_t gpa, uint64_t length)
{
    return is_ram(place, gpa, length) && !overlap(place, gpa, gpa + (length - 1));
}

int place_take(struct place *place, const char *path, const char *what, uint64_t gpa,
               uint64_t length, uint8_t **host, struct error *e)
{
    const struct place_range *other;
    struct place_range *range;
    char text[RAM_TEXT_BYTES];

    if (!is_ram(place, gpa, length))
        return error_set(e, -ENOSPC,
                         "%s: %s at 0x%" PRIx64 "-0x%" PRIx64
                         " would not be all in RAM; the machine's RAM is %s",
                         path, what, gpa, last_of(gpa, length), ram_text(place, text));
    other = overlap(place, gpa, gpa + (length - 1));
    if (other)
        return error_set(
            e, -ENOSPC,
            "%s: %s at 0x%" PRIx64 "-0x%" PRIx64 " overlaps %s at 0x%" PRIx64 "-0x%" PRIx64, path,
            what, gpa, gpa + (length - 1), other->what, other->first, other->last);
    if (place->count == PLACE_MAX)
        return error_set(e, -ENOSPC, "%s: %s is one piece more than the %u that can be loaded",
                         path, what, PLACE_MAX);
    range = &place->taken[place->count++];
    range->first = gpa;
    range->last = gpa + (length - 1);
    snprintf(range->what, sizeof(range->what), "%s", what);
    if (host)
        *host = ram_at(place->ram, gpa, length);
    return 0;
}

/* The lowest multiple of `align` in [first, last] at which `length` bytes are free. */
static bool find_lowest(const struct place *place, uint64_t length, uint64_t align, uint64_t first,
                        uint64_t last, uint64_t *gpa)
{
    for (;;) {
        const struct place_range *other;
        uint64_t at, end;

        if (__builtin_add_overflow(first, align - 1, &at))
            return false;
        at &= ~(align - 1);
        if (__builtin_add_overflow(at, length - 1, &end) || end > last)
            return false;
        other = overlap(place, at, end);
        if (!other) {
            *gpa = at;
            return true;
        }
        if (other->last == UINT64_MAX)
            return false;
        first = other->last + 1;
    }
}

static bool find_highest(const struct place *place, uint64_t length, uint64_t align, uint64_t first,
                         uint64_t last, uint64_t *gpa)
{
    for (;;) {
        const struct place_range *other;
        uint64_t at;

        if (last < first || last - first < length - 1)
            return false;
        at = (last - (length - 1)) & ~(align - 1);
        if (at < first)
            return false;
        other = overlap(place, at, at + (length - 1));
        if (!other) {
            *gpa = at;
            return true;
        }
        if (!other->first)
            return false;
        last = other->first - 1;
    }
}

int place_find(const struct place *place, const char *path, const char *what, enum place_end end,
               uint64_t length, uint64_t align, uint64_t first, uint64_t last, uint64_t *gpa,
               struct error *e)
{
    char text[RAM_TEXT_BYTES];

    for (uint32_t i = 0; i < place->map->count; i++) {
        uint32_t at = end == PLACE_LOWEST ? i : place->map->count - 1 - i;
        const struct e820_entry *entry = &place->map->entries[at];
        uint64_t from = entry->base > first ? entry->base : first;
        uint64_t to = entry->base + (entry->length - 1);
        bool found;

        if (to > last)
            to = last;
        if (entry->type != E820_RAM || !entry->length || from > to)
            continue;
        if (end == PLACE_LOWEST)
            found = find_lowest(place, length, align, from, to, gpa);
        else
            found = find_highest(place, length, align, from, to, gpa);
        if (found && ram_at(place->ram, *gpa, length))
            return 0;
    }
    return error_set(e, -ENOSPC,
                     "%s: %s of %" PRIu64 " bytes finds no free RAM between 0x%" PRIx64
                     " and 0x%" PRIx64 "; the machine's RAM is %s: give it more memory",
                     path, what, length, first, last, ram_text(place, text));
}

int place_take_free(struct place *place, const char *path, const char *what, enum place_end end,
                    uint64_t length, uint64_t align, uint64_t first, uint64_t last, uint64_t *gpa,
                    uint8_t **host, struct error *e)
{
    int err = place_find(place, path, what, end, length, align, first, last, gpa, e);

    if (err)
        return err;
    return place_take(place, path, what, *gpa, length, host, e);
}
