/* SPDX-License-Identifier: MIT
 *
 * The kernel's door: the shortest system call, switches between two processes over pipes, signals
 * to oneself.
 */
#include "bench.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* work: calls. */
static uint64_t get_pid(unsigned scale, uint64_t *work)
{
    uint64_t calls = 250000u * (uint64_t)scale, right = 0;
    long self = syscall(SYS_getpid);

    for (uint64_t i = 0; i < calls; i++)
        right += syscall(SYS_getpid) == self;
    *work = calls;
    return right;
}

static _Noreturn void echo_plus_one(int in, int out)
{
    uint8_t byte;

    while (read(in, &byte, 1) == 1) {
        byte++;
        if (write(out, &byte, 1) != 1)
            break;
    }
    _exit(0);
}

/* One byte to another process and back. work: round trips. */
static uint64_t ping_pong(unsigned scale, uint64_t *work)
{
    uint64_t trips = 7500u * (uint64_t)scale, sum = 0;
    int to[2], from[2];
    uint8_t byte = 0;
    pid_t child;

    if (pipe(to) || pipe(from))
        bench_die("pipe");
    child = fork();
    if (child < 0)
        bench_die("fork");
    if (child == 0) {
        close(to[1]);
        close(from[0]);
        echo_plus_one(to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    for (uint64_t i = 0; i < trips; i++) {
        if (write(to[1], &byte, 1) != 1 || read(from[0], &byte, 1) != 1)
            bench_die("pipe");
        sum += byte;
    }
    close(to[1]);
    close(from[0]);
    waitpid(child, NULL, 0);
    *work = trips;
    return sum;
}

/* A handler has nothing else to tell by. */
static volatile sig_atomic_t signals;

static void on_signal(int number)
{
    (void)number;
    signals++;
}

/* work: signals. */
static uint64_t raise_signals(unsigned scale, uint64_t *work)
{
    uint64_t count = 25000u * (uint64_t)scale;

    signals = 0;
    signal(SIGUSR1, on_signal);
    for (uint64_t i = 0; i < count; i++)
        raise(SIGUSR1);
    *work = count;
    return (uint64_t)signals;
}

int main(int argc, char **argv)
{
    static const struct bench list[] = {
        {"sys-getpid", get_pid},
        {"sys-pipe", ping_pong},
        {"sys-signal", raise_signals},
    };

    return bench_main(argc, argv, list, sizeof(list) / sizeof(list[0]));
}
