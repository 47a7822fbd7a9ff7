/* SPDX-License-Identifier: MIT
 *
 * fakes/netns.c - a network of the test's own: see fakes/netns.h.
 */
#include "fakes/netns.h"

#include "fakes/normal.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MARK "BACKPLANE_TEST_NETNS"

static char why[256] = "netns_enter() was not called";

static int loopback_up(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int err = fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) ? -errno : 0;

    if (fd >= 0)
        close(fd);
    return err;
}

/* Busybox's shell has an `ip` of its own, which knows no taps. */
#define PRELUDE                                                                                    \
    "ip() { for i in /bin /sbin; do [ -x $i/ip ] && { $i/ip \"$@\"; return; }; done; }\n"

int netns_try(const char *command)
{
    char script[1024];
    pid_t pid = fork();
    int status = -1;

    if (pid == 0) {
        snprintf(script, sizeof(script), "%s%s", PRELUDE, command);
        execl("/bin/sh", "sh", "-c", script, (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    return status;
}

void netns_enter(char **argv)
{
    int inside = getenv(MARK) != NULL;

    if (!inside && unshare(CLONE_NEWNET | CLONE_NEWNS)) {
        /* A program with threads, as the sanitizers' have one, gets no user namespace itself. */
        if (!netns_try("unshare -rnm true 2>/dev/null")) {
            char *arguments[] = {"unshare", "-rnm", "--", argv[0], NULL};

            setenv(MARK, "1", 1);
            execvp(arguments[0], arguments);
        }
        snprintf(why, sizeof(why), "no network namespace may be made here: %s", strerror(EPERM));
        return;
    }
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || loopback_up()) {
        snprintf(why, sizeof(why), "the new network namespace cannot be set up: %s",
                 strerror(errno));
        return;
    }
    why[0] = '\0';
}

const char *netns_why(void)
{
    return why[0] ? why : NULL;
}

void netns_need(void)
{
    if (!why[0])
        return;
    print_message("skipped: %s\n", why);
    skip();
}

void netns_run(const char *format, ...)
{
    char command[512];
    va_list args;

    va_start(args, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start() is right above */
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    if (netns_try(command))
        fake_fail("this failed: %s", command);
}
