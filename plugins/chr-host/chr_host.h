/* SPDX-License-Identifier: MIT
 *
 * chr-host/chr_host.h - the config structs that the host fills, one per model, and the models'
 * tables.
 */
#ifndef CHR_HOST_CHR_HOST_H
#define CHR_HOST_CHR_HOST_H

#include <backplane/plugin.h>

#define ESCAPE_AUTO 0u /* when standard input is a terminal */
#define ESCAPE_YES 1u
#define ESCAPE_NO 2u

/* `log` of each: a file that gets a copy of the output, or NULL. */

struct stdio_config {
    const char *log;
    uint32_t escape; /* ESCAPE_* */
    uint8_t raw;     /* the terminal hands over every key at once, unchanged */
    uint8_t signals; /* Ctrl-C and Ctrl-Z go to the program, not to the guest */
    uint8_t reserved[2];
};

struct pty_config {
    const char *log;
    const char *link; /* symbolic link to the pty, or NULL */
};

struct file_config {
    const char *log;
    const char *path;  /* output */
    const char *input; /* or NULL: no input */
    uint8_t append;
    uint8_t reserved[7];
};

struct socket_config {
    const char *log;
    const char *listen, *connect; /* exactly one: unix:/path or tcp:host:port */
    uint32_t reconnect;           /* seconds before the second attempt; 0: no second attempt */
    uint32_t reserved;
};

struct null_config {
    const char *log;
};

extern const struct bp_instance_ops stdio_ops, pty_ops, file_ops, socket_ops, null_ops;

#endif
