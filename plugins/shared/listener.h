/* SPDX-License-Identifier: MIT
 *
 * shared/listener.h - sockets that do not block and are no child process's, and the socket at an
 * address of one's own: a Unix socket's file that a crashed program left is taken over, one that
 * somebody uses is not.
 */
#ifndef SHARED_LISTENER_H
#define SHARED_LISTENER_H

#include "address.h"

#include <sys/stat.h>

/* -1 and errno. */
int socket_new(int family, int type);
int socket_accept(int listener);
int socket_is_unix(int fd);

struct listener {
    struct address address; /* a port 0 has become the one that was free */
    int fd;                 /* -1: closed */
    int ours;               /* the Unix socket's file, of `inode`, was made by us */
    dev_t device;
    ino_t inode;
};

/* Binds a socket of `type` to the address that key `key` says, `text`; SOCK_STREAM listens there.
 * 0; or a negative errno after host->fail(), and l->fd is -1 then. [main] */
int listener_open(struct listener *l, const struct bp_host *host, struct bp_node *node,
                  const char *key, int type, const char *text);
/* Closes it, and removes a file that it made. May be called again. */
void listener_close(struct listener *l);

#endif
