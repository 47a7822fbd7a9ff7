/* SPDX-License-Identifier: MIT
 *
 * loop/thread.c - threads of the core.
 */
#include "loop/thread.h"

#include <signal.h>
#include <stdio.h>

int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument)
{
    /* What a thread's own instructions raise: blocked, the kernel would kill the process without
     * asking the handler that, say, restores the terminal. */
    static const int own_fault[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t deaf, before;

    sigfillset(&deaf);
    for (size_t i = 0; i < sizeof(own_fault) / sizeof(own_fault[0]); i++)
        sigdelset(&deaf, own_fault[i]);
    pthread_sigmask(SIG_SETMASK, &deaf, &before);
    int err = pthread_create(thread, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
#ifdef __linux__
    if (!err) {
        char cut[16];
        snprintf(cut, sizeof(cut), "%.15s", name);
        pthread_setname_np(*thread, cut);
    }
#else
    (void)name;
#endif
    return -err;
}
