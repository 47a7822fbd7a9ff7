/* SPDX-License-Identifier: MIT
 *
 * peer - the far end of what a guest does with its networks, in one static program for the guest
 * and for its host: tests/traffic.
 *
 *     peer echo PORT COUNT              answers with what it was sent; ends after COUNT connections
 *     peer parallel ADDRESS PORT COUNT BYTES
 *                                       COUNT connections, all open before the first byte: sends
 * BYTES through each and wants them back peer dns PORT NAME ADDRESS        answers questions for
 * NAME's IPv4 address (RFC 1035) peer ready PORT                   waits until something listens at
 * PORT of the loopback
 *
 * Exit status 0 if all went as said.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1000u
#define PATIENCE_MS 120000 /* of silence */

struct connection {
    uint8_t data[4096]; /* echo: received, not sent back yet */
    uint32_t len;
    uint64_t sent, received;
    int closed; /* the far end has said all */
};

static int fail(const char *what)
{
    fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
    return 1;
}

static struct sockaddr_in address_of(const char *text, const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};

    if (inet_pton(AF_INET, text, &a.sin_addr) != 1) {
        fprintf(stderr, "peer: %s is no IPv4 address\n", text);
        exit(2);
    }
    return a;
}

static int listen_at(const char *port)
{
    struct sockaddr_in a = address_of("0.0.0.0", port);
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 512)) {
        (void)fail("listen");
        exit(1);
    }
    return fd;
}

/* ---- echo ---- */

/* 1 when the connection has ended, -1 when it broke. */
static int echo_some(struct connection *c, struct pollfd *p)
{
    ssize_t n;

    if (p->revents & POLLOUT && c->len) {
        n = send(p->fd, c->data, c->len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        memmove(c->data, c->data + n, c->len - (size_t)n);
        c->len -= (uint32_t)n;
        c->sent += (uint64_t)n;
    } else if (p->revents && !c->len) {
        n = recv(p->fd, c->data, sizeof(c->data), MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        c->len = (uint32_t)n;
        c->closed = !n;
    }
    p->events = c->len ? POLLOUT : POLLIN;
    return c->closed && !c->len;
}

static int echo(const char *port, unsigned count)
{
    static struct connection connections[CONNECTIONS_MAX + 1];
    static struct pollfd fds[CONNECTIONS_MAX + 1];
    unsigned used = 1, ended = 0, most = 0;
    uint64_t bytes = 0;

    fds[0] = (struct pollfd){.fd = listen_at(port), .events = POLLIN};
    while (ended < count) {
        fds[0].events = used <= CONNECTIONS_MAX ? POLLIN : 0;
        if (poll(fds, used, -1) < 0)
            return fail("poll");
        for (unsigned i = used; i-- > 1;) {
            int end = echo_some(&connections[i], &fds[i]);

            if (!end)
                continue;
            if (end < 0)
                return fail("a connection");
            bytes += connections[i].sent;
            close(fds[i].fd);
            ended++;
            used--;
            connections[i] = connections[used];
            fds[i] = fds[used];
            fds[i].revents = 0;
        }
        if (fds[0].revents) {
            int fd = accept(fds[0].fd, NULL, NULL);

            if (fd < 0)
                return fail("accept");
            connections[used] = (struct connection){0};
            fds[used++] = (struct pollfd){.fd = fd, .events = POLLIN};
            most = used - 1 > most ? used - 1 : most;
        }
    }
    printf("peer: %u connections, %u at once, %llu bytes\n", ended, most,
           (unsigned long long)bytes);
    return 0;
}

/* ---- parallel ---- */

/* What connection `i` carries at `at`: no two carry the same. */
static uint8_t pattern(unsigned i, uint64_t at)
{
    return (uint8_t)(at * 31 + at / 251 + (uint64_t)i * 7);
}

static int pour(struct connection *c, struct pollfd *p, unsigned i, uint64_t bytes)
{
    ssize_t n;

    if (p->revents & (POLLIN | POLLHUP | POLLERR)) {
        n = recv(p->fd, c->data, sizeof(c->data), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            fprintf(stderr, "peer: connection %u ended after %llu bytes\n", i,
                    (unsigned long long)c->received);
            return -1;
        }
        for (ssize_t k = 0; k < n; k++)
            if (c->data[k] != pattern(i, c->received++)) {
                fprintf(stderr, "peer: connection %u: byte %llu is wrong\n", i,
                        (unsigned long long)c->received - 1);
                return -1;
            }
    }
    if (p->revents & POLLOUT && c->sent < bytes) {
        uint32_t len = bytes - c->sent < sizeof(c->data) ? (uint32_t)(bytes - c->sent)
                                                         : (uint32_t)sizeof(c->data);

        for (uint32_t k = 0; k < len; k++)
            c->data[k] = pattern(i, c->sent + k);
        n = send(p->fd, c->data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            return -1;
        c->sent += n > 0 ? (uint64_t)n : 0;
    }
    p->events = POLLIN | (c->sent < bytes ? POLLOUT : 0);
    return c->received == bytes;
}

static int parallel(struct sockaddr_in to, unsigned count, uint64_t bytes)
{
    static struct connection connections[CONNECTIONS_MAX];
    static struct pollfd fds[CONNECTIONS_MAX];
    unsigned left = count;

    for (unsigned i = 0; i < count; i++) {
        fds[i] = (struct pollfd){.fd = socket(AF_INET, SOCK_STREAM, 0), .events = POLLOUT};
        if (fds[i].fd < 0 || connect(fds[i].fd, (struct sockaddr *)&to, sizeof(to)))
            return fail("connect");
    }
    while (left) {
        int n = poll(fds, count, PATIENCE_MS);

        if (n <= 0)
            return fail(n ? "poll" : "nothing comes any more");
        for (unsigned i = 0; i < count; i++) {
            int end;

            if (fds[i].fd < 0 || !fds[i].revents)
                continue;
            end = pour(&connections[i], &fds[i], i, bytes);
            if (end < 0)
                return 1;
            if (!end)
                continue;
            close(fds[i].fd);
            fds[i].fd = -1;
            left--;
        }
    }
    return 0;
}

/* ---- dns ---- */

/* The length of the question's name if it is `name`, as labels; else 0. */
static size_t same_name(const uint8_t *at, size_t len, const char *name)
{
    size_t used = 0;

    while (used < len && at[used]) {
        size_t n = at[used++];

        if (used + n > len || strncasecmp(name, (const char *)at + used, n) != 0)
            return 0;
        used += n;
        name += n;
        name += *name == '.';
    }
    return used < len && !*name ? used + 1 : 0;
}

static int dns(const char *port, const char *name, const char *address)
{
    struct sockaddr_in self = address_of("127.0.0.1", port), it = address_of(address, "0"), from;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&self, sizeof(self)))
        return fail("the name server's port");
    for (;;) {
        static const uint8_t answer[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4};
        uint8_t m[600];
        socklen_t from_len = sizeof(from);
        ssize_t n = recvfrom(fd, m, 512, 0, (struct sockaddr *)&from, &from_len);
        size_t used = n > 16 ? same_name(m + 12, (size_t)n - 16, name) : 0;
        size_t len = 12 + used + 4;
        int known = used && m[12 + used + 1] == 1; /* type A */

        if (n < 17)
            continue;
        if (!used)
            len = (size_t)n;
        m[2] = 0x85; /* an answer, with authority, recursion desired */
        m[3] = used ? 0x80 : 0x83;
        memset(m + 6, 0, 6);
        m[7] = (uint8_t)known;
        if (known) {
            memcpy(m + len, answer, sizeof(answer));
            memcpy(m + len + sizeof(answer), &it.sin_addr, 4);
            len += sizeof(answer) + 4;
        }
        sendto(fd, m, len, 0, (struct sockaddr *)&from, from_len);
    }
}

static int ready(const char *port)
{
    struct sockaddr_in a = address_of("127.0.0.1", port);

    for (int i = 0; i < 600; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        int there = fd >= 0 && !connect(fd, (struct sockaddr *)&a, sizeof(a));

        close(fd);
        if (there)
            return 0;
        usleep(100000);
    }
    return fail("nothing listens there");
}

static unsigned count_of(const char *text)
{
    unsigned long n = strtoul(text, NULL, 10);

    if (n < 1 || n > CONNECTIONS_MAX) {
        fprintf(stderr, "peer: 1 to %u connections\n", CONNECTIONS_MAX);
        exit(2);
    }
    return (unsigned)n;
}

int main(int argc, char **argv)
{
    struct rlimit files = {4096, 4096};

    setrlimit(RLIMIT_NOFILE, &files); /* what is not allowed shows when it is needed */
    if (argc == 4 && !strcmp(argv[1], "echo"))
        return echo(argv[2], count_of(argv[3]));
    if (argc == 6 && !strcmp(argv[1], "parallel"))
        return parallel(address_of(argv[2], argv[3]), count_of(argv[4]),
                        strtoull(argv[5], NULL, 10));
    if (argc == 5 && !strcmp(argv[1], "dns"))
        return dns(argv[2], argv[3], argv[4]);
    if (argc == 3 && !strcmp(argv[1], "ready"))
        return ready(argv[2]);
    fprintf(stderr, "usage: peer echo|parallel|dns|ready ..., see peer.c\n");
    return 2;
}
