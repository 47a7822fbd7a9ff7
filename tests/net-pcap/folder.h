/* SPDX-License-Identifier: MIT
 *
 * net-pcap/folder.h - a folder of a test's own, removed with all that is in it, and the config of a
 * capture into it.
 */
#ifndef TESTS_NET_PCAP_FOLDER_H
#define TESTS_NET_PCAP_FOLDER_H

#include "link.h"
#include "net_pcap.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    char folder[32];
    char path[512]; /* of `name` in it */
    struct link *link;
    struct capture_config config;
};

static inline const char *in_folder(struct fixture *f, const char *name)
{
    snprintf(f->path, sizeof(f->path), "%s/%s", f->folder, name);
    return f->path;
}

static inline unsigned files_in_folder(const struct fixture *f)
{
    DIR *d = opendir(f->folder);
    struct dirent *e;
    unsigned count = 0;

    while (d && (e = readdir(d)))
        count += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return count;
}

static inline int folder_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (!f)
        return -1;
    snprintf(f->folder, sizeof(f->folder), "/tmp/net-pcap-XXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    f->link = link_new();
    f->config = (struct capture_config){
        .net = f->link->behind, .snaplen = FRAME_MAX, .buffer = 1 << 20, .flush = 5};
    *state = f;
    return 0;
}

static inline int folder_teardown(void **state)
{
    struct fixture *f = *state;
    DIR *d = opendir(f->folder);
    struct dirent *e;

    link_free(f->link);
    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.')
            unlink(in_folder(f, e->d_name));
    if (d)
        closedir(d);
    rmdir(f->folder);
    free(f);
    return 0;
}

#define FOLDER_TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

#endif
