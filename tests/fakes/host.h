/* SPDX-License-Identifier: MIT
 *
 * fakes/host.h - a host for unit tests of plugins: no vCPU, no thread, time under the test's
 * control.
 *
 * It offers the complete bp_host to one instance, keeps its regions, watches and timers, and
 * records what it does (interrupt levels, log lines, requests), for the test to look at. It checks
 * the rules of the ABI as it goes (tables' sizes, callbacks outside their time) and fails the test
 * when one is broken.
 */
#ifndef FAKES_HOST_H
#define FAKES_HOST_H

#include <backplane/plugin.h>
#include <stdbool.h>

#define FAKE_RAM_BYTES 0x100000u
#define FAKE_IRQS 32u

struct fake_host;

/* Loads the plugin file `path` and creates an instance of `model` (NULL: the first) with `config`,
 * the model's config struct; then reset(COLD) and start(). Fails the test on any error. */
struct fake_host *fake_host_new(const char *path, const char *model, const void *config);
/* The same, but gives create()'s error instead of failing; the sentence is in fake_failure(). */
int fake_host_try(const char *path, const char *model, const void *config, struct fake_host **out);
/* stop(), destroy(), and a check that nothing is left. */
void fake_host_free(struct fake_host *h);

void *fake_self(struct fake_host *h);
const struct bp_instance_ops *fake_ops(struct fake_host *h);
struct bp_node *fake_node(struct fake_host *h);
/* A node for a REF property of the config: peer() and link() on it give `ops` and `self` for `id`.
 */
struct bp_node *fake_peer(const char *id, const void *ops, void *self);
/* What the instance gave to link() on `peer`, or NULL. */
const void *fake_port(struct bp_node *peer, void **port_self);

/* Guest accesses, at absolute addresses; unclaimed reads give all ones. Split and widened like the
 * bus. */
uint64_t fake_read(struct fake_host *h, uint32_t space, uint64_t address, uint32_t width);
void fake_write(struct fake_host *h, uint32_t space, uint64_t address, uint64_t value,
                uint32_t width);
uint8_t *fake_ram(struct fake_host *h); /* FAKE_RAM_BYTES from guest-physical 0 */
/* [gpa, gpa + len) of RAM is a ROM from now on; len 0: none is. The instance cannot write there. */
void fake_rom(struct fake_host *h, uint64_t gpa, uint64_t len);
/* `hook`, if not NULL, is called after each dma_read() of the instance's, with what it read: a
 * guest that changes its memory between two looks at it. */
void fake_after_dma_read(struct fake_host *h,
                         void (*hook)(struct fake_host *h, uint64_t gpa, uint64_t len));

uint32_t fake_irq_level(struct fake_host *h, uint32_t line);
uint32_t fake_irq_edges(struct fake_host *h, uint32_t line); /* rises since the last call */
/* Messages sent since the last call, and the last of them; both may be NULL. */
unsigned fake_msis(struct fake_host *h, uint64_t *address, uint32_t *data);
/* Moves guest time on, firing timers in order. */
void fake_advance_ns(struct fake_host *h, uint64_t ns);
void fake_set_utc_ns(struct fake_host *h, uint64_t ns);
uint64_t fake_now_ns(struct fake_host *h);
/* When timer `id` fires, guest time; UINT64_MAX: it is not armed. */
uint64_t fake_timer_ns(struct fake_host *h, uint32_t id);
/* Polls the watched fds for up to `timeout_ms` and calls what is ready; the number of callbacks. */
unsigned fake_poll(struct fake_host *h, int timeout_ms);
/* Calls each watch with what it waits for, ready or not: a loop may have learnt of it before
 * another callback took it. */
void fake_poll_late(struct fake_host *h);

/* Whether hosts made from now on offer "bp.doorbell/1": guest writes to where the instance rings an
 * fd write that, and reach no callback. They do not at first. */
void fake_offer_doorbells(bool offer);

struct bp_firmware;
/* What hosts made from now on offer as "bp.firmware/1"; NULL, as at first: nothing. */
void fake_offer_firmware(const struct bp_firmware *firmware);

/* The last request, 0 if none; `code` may be NULL. Cleared by the call. */
uint32_t fake_request(struct fake_host *h, uint32_t *code);
/* The last log line, "" if none; and how many there were. */
const char *fake_log(struct fake_host *h, uint32_t *level);
unsigned fake_log_count(struct fake_host *h);
const char *fake_failure(void);

/* Saves `from` and loads what was saved into `to`, an instance of the same model: reset(COLD),
 * every field by name, save() and load(), after_load(). Both run again on return. Guest time of
 * `to` becomes that of `from`. */
void fake_move_state(struct fake_host *from, struct fake_host *to);

#endif
