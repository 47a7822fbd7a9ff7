/* SPDX-License-Identifier: MIT
 *
 * net-pcap/output.c - opens, writes, numbers and forgets the files of a capture.
 *
 * Nothing here blocks but a write to a regular file. Pipes are opened with O_NONBLOCK, standard
 * output a second time where that is possible, because that flag belongs to an open file which
 * others share. A regular file is locked (flock): two captures into one would spoil it.
 */
#include "output.h"

#include <backplane/util/log.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)
#define NUMBER_MAX 99999u
#define FLAGS (O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

uint64_t output_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Where the number goes: before the last dot of the name, unless it begins with that. */
static size_t stem_of(const char *path)
{
    const char *base = base_of(path), *dot = strrchr(base, '.');

    return dot && dot != base ? (size_t)(dot - path) : strlen(path);
}

static uint32_t kind_of(mode_t mode)
{
    return S_ISREG(mode)    ? OUTPUT_FILE
           : S_ISFIFO(mode) ? OUTPUT_PIPE
           : S_ISSOCK(mode) ? OUTPUT_SOCKET
                            : OUTPUT_DEVICE;
}

/* Opens a regular file or a device for a capture of its own. 0 or -errno; -EWOULDBLOCK: another one
 * writes it. */
static int open_file(struct output *o, const char *path)
{
    struct stat st;
    int err = 0;

    o->fd = open(path, FLAGS | O_CREAT, 0666);
    if (o->fd < 0)
        return -errno;
    if (fstat(o->fd, &st) ||
        (S_ISREG(st.st_mode) && (flock(o->fd, LOCK_EX | LOCK_NB) || ftruncate(o->fd, 0))))
        err = -errno;
    if (err) {
        close(o->fd);
        o->fd = -1;
        return err;
    }
    o->kind = kind_of(st.st_mode);
    o->begin = o->written = 0;
    return 0;
}

/* ---- numbered files ---- */

static void name_number(const struct output *o, uint32_t number, char *to)
{
    size_t stem = stem_of(o->path);

    snprintf(to, o->name_size, "%.*s-%05u%s", (int)stem, o->path, number, o->path + stem);
}

/* The highest number that a file of this capture has, 0 if there is none. */
static uint32_t last_number(const struct output *o)
{
    const char *base = base_of(o->path), *tail = o->path + stem_of(o->path);
    size_t folder_len = (size_t)(base - o->path), stem = (size_t)(tail - base);
    char *path = folder_len ? strndup(o->path, folder_len) : strdup(".");
    DIR *folder = path ? opendir(path) : NULL;
    struct dirent *entry;
    uint32_t last = 0;

    free(path);
    while (folder && (entry = readdir(folder))) {
        const char *at = entry->d_name + stem;
        uint32_t number = 0;

        if (strncmp(entry->d_name, base, stem) != 0 || *at++ != '-' ||
            strspn(at, "0123456789") != 5)
            continue;
        for (int i = 0; i < 5; i++)
            number = number * 10 + (uint32_t)(*at++ - '0');
        if (!strcmp(at, tail) && number > last)
            last = number;
    }
    if (folder)
        closedir(folder);
    return last;
}

static int open_number(struct output *o)
{
    uint32_t next = o->number % NUMBER_MAX + 1;
    int err;

    if (o->keep) {
        name_number(o, next > o->keep ? next - o->keep : next + NUMBER_MAX - o->keep, o->name);
        unlink(o->name);
    }
    name_number(o, next, o->name);
    err = open_file(o, o->name);
    if (err)
        return err;
    o->number = next;
    o->opened_ns = output_now_ns();
    return 0;
}

uint64_t output_room(const struct output *o)
{
    if (!o->numbered || o->fd < 0)
        return UINT64_MAX;
    if (o->rotate_ns && output_now_ns() - o->opened_ns >= o->rotate_ns)
        return 0;
    if (!o->rotate_size)
        return UINT64_MAX;
    return o->written < o->rotate_size ? o->rotate_size - o->written : 0;
}

void output_next(struct output *o)
{
    close(o->fd);
    o->fd = -1;
}

/* ---- opening ---- */

/* A reader that leaves is told by EPIPE. The writer's thread blocks the signal; macOS, as other
 * BSDs, sends it to the process. */
static void without_sigpipe(int fd)
{
#ifdef F_SETNOSIGPIPE
    fcntl(fd, F_SETNOSIGPIPE, 1);
#else
    (void)fd;
#endif
}

static int init_stdout(struct output *o)
{
    struct stat st;
    off_t at;

    if (isatty(STDOUT_FILENO))
        return o->host->fail(o->node, -EINVAL,
                             "`file = -` is standard output, which is a terminal, and a capture is "
                             "no text: pipe it into a program, as in `backplane run ... | "
                             "wireshark -k -i -`, or name a file");
    if (fstat(STDOUT_FILENO, &st))
        return o->host->fail(o->node, -EBADF,
                             "`file = -` is standard output, which is closed: open it, or name a "
                             "file");
    o->kind = kind_of(st.st_mode);
    if (o->kind == OUTPUT_PIPE)
        o->fd = open("/proc/self/fd/1", FLAGS);
    if (o->fd < 0)
        o->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (o->fd < 0) {
        int err = -errno;

        return bp_failf(o->host, o->node, err, "cannot use standard output: %s", strerror(-err));
    }
    without_sigpipe(o->fd);
    at = o->kind == OUTPUT_FILE ? lseek(o->fd, 0, SEEK_CUR) : 0;
    o->begin = at > 0 ? (uint64_t)at : 0;
    return 0;
}

static int init_path(struct output *o)
{
    struct stat st;
    int err = stat(o->path, &st) ? -errno : 0;

    if (!err && o->numbered && !S_ISREG(st.st_mode))
        return bp_failf(o->host, o->node, -EINVAL,
                        "'%s' is no regular file, and only those have numbers: leave out "
                        "`rotate-size` and `rotate-time`, or name a file",
                        o->path);
    if (!err && S_ISFIFO(st.st_mode)) {
        o->kind = OUTPUT_PIPE;
        return 0; /* there may be no reader yet */
    }
    if (o->numbered) {
        o->number = last_number(o);
        err = open_number(o);
    } else {
        err = open_file(o, o->path);
    }
    if (err == -EWOULDBLOCK)
        return bp_failf(o->host, o->node, -EBUSY,
                        "'%s' is written by another capture: give `file` another name", o->path);
    if (err)
        return bp_failf(o->host, o->node, err,
                        "cannot open '%s' for the capture: %s; give `file` a file that can be "
                        "written",
                        o->numbered ? o->name : o->path, strerror(-err));
    if (isatty(o->fd))
        return bp_failf(o->host, o->node, -EINVAL,
                        "'%s' is a terminal, and a capture is no text: name a file or a named pipe",
                        o->path);
    return 0;
}

int output_init(struct output *o, const struct bp_host *host, struct bp_node *node,
                const struct capture_config *c)
{
    int is_stdout = !strcmp(base_of(c->file), "-");

    *o = (struct output){.host = host,
                         .node = node,
                         .path = is_stdout ? "-" : c->file,
                         .fd = -1,
                         .numbered = c->rotate_size || c->rotate_time,
                         .keep = c->keep,
                         .rotate_size = c->rotate_size,
                         .rotate_ns = c->rotate_time * NS_PER_S,
                         .name_size = strlen(c->file) + 8};
    if (is_stdout && o->numbered)
        return host->fail(node, -EINVAL,
                          "standard output has no numbers: leave out `rotate-size` and "
                          "`rotate-time`, or name a file");
    if (o->keep && !o->numbered)
        return host->fail(node, -EINVAL,
                          "`keep` is about numbered files, and there is one only: give "
                          "`rotate-size` or `rotate-time`, or leave it out");
    o->name = malloc(o->name_size);
    if (!o->name)
        return host->fail(node, -ENOMEM, "no memory for a capture");
    return is_stdout ? init_stdout(o) : init_path(o);
}

void output_end(struct output *o)
{
    if (o->fd >= 0)
        close(o->fd);
    o->fd = -1;
    free(o->name);
    o->name = NULL;
}

int output_open(struct output *o)
{
    if (o->fd >= 0)
        return 0;
    if (o->numbered)
        return open_number(o);
    o->fd = open(o->path, FLAGS);
    if (o->fd < 0)
        return -errno;
    without_sigpipe(o->fd);
    return 0;
}

/* ---- writing ---- */

/* All of it, or nothing: what is there in part would end the file for every reader. */
static int64_t write_file(struct output *o, const uint8_t *data, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = write(o->fd, data + done, len - done);
        int err = n < 0 ? -errno : -EIO;

        if (n > 0) {
            done += (size_t)n;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (!ftruncate(o->fd, (off_t)(o->begin + o->written)))
            (void)!lseek(o->fd, (off_t)(o->begin + o->written), SEEK_SET);
        return err;
    }
    o->written += len;
    return (int64_t)len;
}

int64_t output_write(struct output *o, const uint8_t *data, size_t len)
{
    struct pollfd p = {.fd = o->fd, .events = POLLOUT};
    ssize_t n;

    if (o->kind == OUTPUT_FILE)
        return write_file(o, data, len);
    do {
        if (o->kind == OUTPUT_SOCKET) {
            n = send(o->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        } else {
            /* A pipe that could not be opened again may block: then no more than it has room for.
             */
            if (poll(&p, 1, 0) == 0)
                return -EAGAIN;
            n = write(o->fd, data, o->kind == OUTPUT_PIPE && len > 4096 ? 4096 : len);
        }
    } while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n < 0 ? -errno : -EIO;
    o->written += (uint64_t)n;
    return n;
}
