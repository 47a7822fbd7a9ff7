/* SPDX-License-Identifier: MIT
 *
 * blk-file/img.c - the program backplane-img, which `backplane img` starts: makes images, tells
 * about them, changes their size.
 *
 * A new image never replaces a file. What is done to an existing one is done under its lock, so not
 * while a machine has it.
 */
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATUS_OK 0 /* as those of the program backplane */
#define STATUS_USAGE 2
#define STATUS_FAILED 6

struct request {
    const char *command, *file, *size, *backing;
    uint32_t format, backing_format; /* IMAGE_*; AUTO: not said */
    int shrink, json;
};

static const char usage[] =
    "Usage: backplane img create [--format raw|qcow2] FILE SIZE\n"
    "       backplane img create --backing FILE [--backing-format raw|qcow2] FILE [SIZE]\n"
    "       backplane img info [--format raw|qcow2] [--json] FILE\n"
    "       backplane img resize [--format raw|qcow2] [--shrink] FILE [+|-]SIZE\n"
    "\n"
    "SIZE is in bytes, or with a suffix K, M, G, T, P, powers of 1024. A file that ends in "
    ".qcow2,\n"
    "or has a backing file, is made as qcow2, others as raw. The name of a backing file is "
    "relative\n"
    "to the folder of the image. Only raw images shrink, by --shrink: what is cut off is lost.\n";

__attribute__((format(printf, 2, 3))) static int complain(int status, const char *format, ...)
{
    va_list args;

    fputs("backplane img: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return status;
}

/* ---- words ---- */

/* Bytes, a multiple of 512; -EINVAL. */
static int parse_size(const char *text, uint64_t *out)
{
    static const char suffixes[] = "KMGTP";
    size_t digits = strspn(text, "0123456789");
    const char *suffix;
    uint32_t shift = 0;
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 10);
    if (!digits || digits > 19 || errno || end != text + digits)
        return -EINVAL;
    if (*end) {
        suffix = strchr(suffixes, *end >= 'a' ? *end - 'a' + 'A' : *end);
        if (!suffix || end[1])
            return -EINVAL;
        shift = 10 * (uint32_t)(suffix - suffixes + 1);
    }
    if (*out > IMAGE_LENGTH_MAX >> shift)
        return -EINVAL;
    *out <<= shift;
    return *out % IMAGE_SECTOR ? -EINVAL : 0;
}

static int bad_size(const char *text)
{
    return complain(
        STATUS_USAGE,
        "\"%s\" is no size of a disk; expected a multiple of 512 bytes up to 1024P, as in "
        "10G",
        text);
}

static int parse_format(const char *text, uint32_t *out)
{
    *out = !strcmp(text, "raw") ? IMAGE_RAW : !strcmp(text, "qcow2") ? IMAGE_QCOW2 : IMAGE_AUTO;
    return *out == IMAGE_AUTO
               ? complain(STATUS_USAGE, "\"%s\" is no format; expected raw or qcow2", text)
               : 0;
}

/* The options, and what is left in r->file and r->size. */
static int parse(struct request *r, char **argv)
{
    const char *rest[3] = {NULL};
    unsigned count = 0;
    int options = 1;

    for (argv++; *argv; argv++) {
        const char *word = *argv, *next = argv[1];
        int status = 0, takes = !strcmp(word, "--format") || !strcmp(word, "--backing") ||
                                !strcmp(word, "--backing-format");

        if (!options || word[0] != '-' || strspn(word + 1, "0123456789")) {
            if (count == 3)
                return complain(STATUS_USAGE, "there is one word too many: %s", word);
            rest[count++] = word;
            continue;
        }
        if (!strcmp(word, "--")) {
            options = 0;
            continue;
        }
        if (takes && !next)
            return complain(STATUS_USAGE, "%s needs an argument", word);
        argv += takes;
        if (!strcmp(word, "--format"))
            status = parse_format(next, &r->format);
        else if (!strcmp(word, "--backing-format"))
            status = parse_format(next, &r->backing_format);
        else if (!strcmp(word, "--backing"))
            r->backing = next;
        else if (!strcmp(word, "--shrink"))
            r->shrink = 1;
        else if (!strcmp(word, "--json"))
            r->json = 1;
        else
            return complain(STATUS_USAGE,
                            "there is no option %s; backplane img --help lists them all", word);
        if (status)
            return status;
    }
    r->command = rest[0];
    r->file = rest[1];
    r->size = rest[2];
    return 0;
}

/* ---- create ---- */

static char *beside(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    char *joined;

    if (name[0] == '/' || !slash)
        return strdup(name);
    return asprintf(&joined, "%.*s/%s", (int)(slash - path), path, name) < 0 ? NULL : joined;
}

/* What the header shall say of the backing file, and its size as the default. */
static int look_at_backing(const struct request *r, struct qcow2_create *c)
{
    char *path = beside(r->file, r->backing);
    struct image_info info = {0};
    struct image_error e;
    int err = path ? img_info(path, r->backing_format, &info, &e)
                   : img_fail(&e, -ENOMEM, "out of memory");

    free(path);
    if (err)
        return complain(STATUS_FAILED, "%s", e.text);
    if (r->backing_format == IMAGE_AUTO && info.backing[0])
        return complain(
            STATUS_FAILED,
            "'%s' looks like a qcow2 image that names another file, '%s'; if it is one, "
            "say --backing-format qcow2, and if it is the disk of a guest, raw",
            r->backing, info.backing);
    c->backing = r->backing;
    c->backing_format = info.format;
    c->length = info.length;
    return 0;
}

static int has_end(const char *text, const char *end)
{
    size_t tlen = strlen(text), elen = strlen(end);

    return tlen >= elen && !strcmp(text + tlen - elen, end);
}

static int create(const struct request *r)
{
    int is_qcow2 = r->format == IMAGE_QCOW2 ||
                   (r->format == IMAGE_AUTO && (r->backing || has_end(r->file, ".qcow2")));
    struct qcow2_create c = {0};
    struct image_error e;
    int fd, err;

    if (r->backing && !is_qcow2)
        return complain(STATUS_USAGE, "a raw image has no backing file; leave --format raw out");
    if (r->backing_format && !r->backing)
        return complain(STATUS_USAGE, "--backing-format: there is no --backing for it");
    if (!r->size && !r->backing)
        return complain(STATUS_USAGE, "create needs a size: backplane img create %s 10G", r->file);
    err = r->backing ? look_at_backing(r, &c) : 0;
    if (err)
        return err;
    if (r->size && (parse_size(r->size, &c.length) || !c.length))
        return bad_size(r->size);
    fd = open(r->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return errno == EEXIST
                   ? complain(STATUS_FAILED,
                              "'%s' exists already; remove it, or choose another name", r->file)
                   : complain(STATUS_FAILED, "cannot make '%s': %s", r->file, strerror(errno));
    if (is_qcow2) {
        err = qcow2_create(fd, &c, &e);
    } else if (ftruncate(fd, (off_t)c.length)) {
        err = img_fail(&e, -errno, "cannot give '%s' %" PRIu64 " bytes: %s", r->file, c.length,
                       strerror(errno));
    }
    if (close(fd) && !err)
        err = img_fail(&e, -errno, "cannot write '%s': %s", r->file, strerror(errno));
    if (!err)
        return STATUS_OK;
    unlink(r->file);
    return complain(STATUS_FAILED, "%s", e.text);
}

/* ---- info ---- */

static void print_bytes(const char *what, uint64_t bytes)
{
    static const char suffixes[] = " KMGTPE";
    uint32_t n = 0;

    while (bytes >> (10 * n) >= 1024 && n < 6)
        n++;
    if (n)
        printf("%-15s%" PRIu64 " (%.4g %ciB)\n", what, bytes,
               (double)bytes / (double)(1ull << (10 * n)), suffixes[n]);
    else
        printf("%-15s%" PRIu64 "\n", what, bytes);
}

static const char *format_name(uint32_t format)
{
    return format == IMAGE_QCOW2 ? "qcow2" : format == IMAGE_RAW ? "raw" : "not said";
}

static void print_text(const struct request *r, const struct image_info *i)
{
    printf("%-15s%s\n%-15s%s\n", "image:", r->file, "format:", format_name(i->format));
    print_bytes("disk size:", i->length);
    print_bytes("file size:", i->file_bytes);
    print_bytes("space taken:", i->used_bytes);
    if (i->format != IMAGE_QCOW2)
        return;
    printf("%-15s%" PRIu32 "\n", "version:", i->version);
    print_bytes("cluster size:", i->cluster_size);
    printf("%-15s%" PRIu32 " bits%s\n", "refcounts:", i->refcount_bits, i->lazy ? ", lazy" : "");
    printf("%-15s%s\n", "compression:", i->zstd ? "zstd" : "zlib");
    if (i->backing[0])
        printf("%-15s%s (%s)\n", "backing file:", i->backing, format_name(i->backing_format));
    if (i->snapshots)
        printf("%-15s%" PRIu32 "\n", "snapshots:", i->snapshots);
    if (i->dirty || i->corrupt)
        printf("%-15s%s\n", "marked:", i->corrupt ? "corrupt" : "dirty");
}

static void add_number(struct json_object *o, const char *key, uint64_t value)
{
    json_object_object_add(o, key, json_object_new_int64((int64_t)value));
}

static int print_json(const struct request *r, const struct image_info *i)
{
    struct json_object *o = json_object_new_object();

    if (!o)
        return complain(STATUS_FAILED, "out of memory");
    json_object_object_add(o, "image", json_object_new_string(r->file));
    json_object_object_add(o, "format", json_object_new_string(format_name(i->format)));
    add_number(o, "disk-size", i->length);
    add_number(o, "file-size", i->file_bytes);
    add_number(o, "space-taken", i->used_bytes);
    if (i->format == IMAGE_QCOW2) {
        add_number(o, "version", i->version);
        add_number(o, "cluster-size", i->cluster_size);
        add_number(o, "refcount-bits", i->refcount_bits);
        json_object_object_add(o, "compression", json_object_new_string(i->zstd ? "zstd" : "zlib"));
        add_number(o, "snapshots", i->snapshots);
        json_object_object_add(o, "lazy-refcounts", json_object_new_boolean(i->lazy));
        json_object_object_add(o, "dirty", json_object_new_boolean(i->dirty));
        json_object_object_add(o, "corrupt", json_object_new_boolean(i->corrupt));
        if (i->backing[0]) {
            json_object_object_add(o, "backing-file", json_object_new_string(i->backing));
            json_object_object_add(
                o, "backing-format",
                i->backing_format ? json_object_new_string(format_name(i->backing_format)) : NULL);
        }
    }
    puts(json_object_to_json_string_ext(o,
                                        JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
    return STATUS_OK;
}

static int info(const struct request *r)
{
    struct image_info i;
    struct image_error e;

    if (img_info(r->file, r->format, &i, &e))
        return complain(STATUS_FAILED, "%s", e.text);
    if (r->json)
        return print_json(r, &i);
    print_text(r, &i);
    return STATUS_OK;
}

/* ---- resize ---- */

/* The size that `text` asks for: absolute, or with a sign from what it is. */
static int new_size(const char *text, uint64_t now, uint64_t *out)
{
    char sign = *text == '+' || *text == '-' ? *text : '\0';

    if (parse_size(text + (sign ? 1 : 0), out))
        return -EINVAL;
    if (sign == '+')
        *out += now;
    else if (sign == '-')
        *out = *out < now ? now - *out : 0;
    return !*out || *out > IMAGE_LENGTH_MAX ? -EINVAL : 0;
}

static int resize_raw(const struct request *r, int fd)
{
    int64_t now = file_length(fd);
    uint64_t length;

    if (now < 0)
        return complain(STATUS_FAILED, "cannot find the size of '%s': %s", r->file,
                        strerror((int)-now));
    if (new_size(r->size, (uint64_t)now, &length) || length % IMAGE_SECTOR)
        return bad_size(r->size);
    if (length < (uint64_t)now && !r->shrink)
        return complain(STATUS_FAILED,
                        "'%s' would shrink from %lld to %" PRIu64
                        " bytes, and lose what is beyond; "
                        "if that is meant, say --shrink",
                        r->file, (long long)now, length);
    if (ftruncate(fd, (off_t)length))
        return complain(STATUS_FAILED, "cannot resize '%s': %s", r->file, strerror(errno));
    return STATUS_OK;
}

/* Takes `fd`. */
static int resize_qcow2(const struct request *r, int fd)
{
    const struct image_options o = {.path = r->file, .format = IMAGE_QCOW2};
    struct image *i;
    struct image_error e;
    uint64_t length;
    int status = STATUS_OK;

    if (img_open_fd(&o, fd, &i, &e)) {
        close(fd);
        return complain(STATUS_FAILED, "%s", e.text);
    }
    if (new_size(r->size, i->length, &length))
        status = bad_size(r->size);
    else if (length < i->length)
        status =
            complain(STATUS_FAILED,
                     "'%s' has %" PRIu64 " bytes, and a qcow2 image cannot shrink here; qemu-img "
                     "resize --shrink can",
                     r->file, i->length);
    else if (qcow2_grow(i, length, &e))
        status = complain(STATUS_FAILED, "%s", e.text);
    if (img_close(i) && !status)
        status = complain(STATUS_FAILED, "cannot write '%s'", r->file);
    return status;
}

static int resize(const struct request *r)
{
    char magic[4] = "";
    struct stat st;
    int fd, status;

    if (!r->size)
        return complain(STATUS_USAGE, "resize needs a size: backplane img resize %s +10G", r->file);
    if (stat(r->file, &st))
        return complain(STATUS_FAILED, "cannot open '%s': %s", r->file, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return complain(STATUS_FAILED, "'%s' is no file, so that its size is what it is", r->file);
    fd = open(r->file, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return complain(STATUS_FAILED, "cannot open '%s': %s", r->file, strerror(errno));
    if (file_lock(fd, 1) == -EAGAIN) {
        close(fd);
        return complain(STATUS_FAILED,
                        "'%s' is in use by a machine or another program; end that first", r->file);
    }
    if (r->format == IMAGE_QCOW2 ||
        (r->format == IMAGE_AUTO && pread(fd, magic, 4, 0) == 4 && !memcmp(magic, "QFI\xfb", 4)))
        return resize_qcow2(r, fd);
    status = resize_raw(r, fd);
    if (close(fd) && !status)
        status = complain(STATUS_FAILED, "cannot write '%s': %s", r->file, strerror(errno));
    return status;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const struct request *r);
    } commands[] = {{"create", create}, {"info", info}, {"resize", resize}};
    struct request r = {0};
    int status;

    if (argc >= 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        fputs(usage, stdout);
        return fflush(stdout) ? STATUS_FAILED : STATUS_OK;
    }
    status = parse(&r, argv);
    if (status)
        return status;
    for (size_t i = 0; r.command && i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, r.command) != 0)
            continue;
        if (!r.file || !*r.file)
            return complain(STATUS_USAGE, "%s needs the name of an image", r.command);
        if (r.size && commands[i].run == info)
            return complain(STATUS_USAGE, "there is one word too many: %s", r.size);
        status = commands[i].run(&r);
        if (fflush(stdout) || ferror(stdout))
            return complain(STATUS_FAILED, "standard output could not be written");
        return status;
    }
    return complain(STATUS_USAGE,
                    "expected create, info or resize%s%s; backplane img --help tells more",
                    r.command ? ", not " : "", r.command ? r.command : "");
}
