/* SPDX-License-Identifier: MIT
 *
 * validate/symbols.c - what a plugin's file gives to the world, and what it takes from it.
 *
 * ELF-64 and gABI 4.1, chapter 4. The dynamic symbol table is read from the file's sections; one
 * without sections is not checked. That the file is whole was checked before it was loaded.
 */
#include "validate/check.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRY "bp_plugin_v0"

struct image {
    const uint8_t *at;
    uint64_t length;
};

static const void *piece(const struct image *i, uint64_t offset, uint64_t length)
{
    return offset <= i->length && length <= i->length - offset ? i->at + offset : NULL;
}

static int is_runtime(const char *name)
{
    static const char *const prefixes[] = {"__asan_",    "__ubsan_", "__tsan_",
                                           "__msan_",    "__lsan_",  "__sanitizer_",
                                           "__odr_asan", "__gcov",   "__llvm_"};

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
            return 1;
    return 0;
}

static void look_at(struct world *w, const struct loaded *file, const Elf64_Sym *s,
                    const char *name)
{
    static const char *const ends[] = {"exit", "_exit", "_Exit", "quick_exit"};
    unsigned bind = ELF64_ST_BIND(s->st_info), type = ELF64_ST_TYPE(s->st_info);

    if (!*name || bind == STB_LOCAL || is_runtime(name))
        return;
    if (s->st_shndx != SHN_UNDEF) {
        if (strcmp(name, ENTRY) != 0 && type != STT_SECTION && type != STT_FILE &&
            ELF64_ST_VISIBILITY(s->st_other) == STV_DEFAULT)
            world_fail(w,
                       "it exports %s beside " ENTRY "; two plugins with one name for something "
                       "would get in each other's way: compile with -fvisibility=hidden",
                       name);
        return;
    }
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        if (!strcmp(name, ends[i]))
            world_fail(w,
                       "it calls %s(), which would end the program with all its machines; "
                       "host->fail() tells of an error, host->request() ends a machine",
                       name);
    if (bind == STB_GLOBAL && !dlsym(file->handle, name))
        world_fail(w,
                   "it takes the symbol %s from the program that loads it, which another program "
                   "need not have; link it with the library that has it, -Wl,-z,defs finds what is "
                   "missing",
                   name);
}

static void look_at_table(struct world *w, const struct loaded *file, const struct image *i,
                          const Elf64_Shdr *sections, uint32_t count, const Elf64_Shdr *table)
{
    const Elf64_Shdr *names = table->sh_link < count ? &sections[table->sh_link] : NULL;
    const Elf64_Sym *symbols = piece(i, table->sh_offset, table->sh_size);
    const char *text = names ? piece(i, names->sh_offset, names->sh_size) : NULL;

    if (!symbols || !text || !names->sh_size || text[names->sh_size - 1])
        return;
    for (uint64_t n = 1; n < table->sh_size / sizeof(*symbols); n++)
        if (symbols[n].st_name < names->sh_size)
            look_at(w, file, &symbols[n], text + symbols[n].st_name);
}

void check_symbols(struct world *w, const struct loaded *file)
{
    int fd = open(file->plugin.path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    struct image i;
    const Elf64_Ehdr *header;
    const Elf64_Shdr *sections;
    uint32_t tables = 0;

    if (fd < 0 || fstat(fd, &st))
        world_skip(w, "the file cannot be read again: %s", strerror(errno));
    i.length = (uint64_t)st.st_size;
    i.at = mmap(NULL, i.length, PROT_READ, MAP_PRIVATE, fd, 0);
    if (i.at == MAP_FAILED)
        world_skip(w, "the file cannot be read again: %s", strerror(errno));
    header = piece(&i, 0, sizeof(*header));
    sections = header && header->e_shentsize == sizeof(*sections)
                   ? piece(&i, header->e_shoff, (uint64_t)header->e_shnum * sizeof(*sections))
                   : NULL;
    for (uint32_t n = 0; sections && n < header->e_shnum; n++) {
        if (sections[n].sh_type == SHT_DYNSYM) {
            look_at_table(w, file, &i, sections, header->e_shnum, &sections[n]);
            tables++;
        }
    }
    if (!tables)
        world_skip(w, "the file has no section of dynamic symbols to look at");
    world_pass(w);
}
