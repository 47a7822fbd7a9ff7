/* SPDX-License-Identifier: MIT
 *
 * machine/machine_private.h - a machine from the inside: who owns what. Only core/machine includes
 * it.
 *
 * Threads: the embedding program's ([main] in the tags), the loop, the vCPUs. Whatever has no other
 * note belongs to [main]; it changes only while vCPUs are parked and the loop stands.
 */
#ifndef MACHINE_MACHINE_PRIVATE_H
#define MACHINE_MACHINE_PRIVATE_H

#include "base/wake.h"
#include "bus/bus.h"
#include "loop/loop.h"
#include "machine/plan.h"
#include "pci/function.h"
#include "platform/acpi.h"
#include "platform/irq_router.h"
#include "vcpu/vcpu.h"

#include <backplane/ext/firmware.h>
#include <backplane/ext/irqchip.h>
#include <backplane/ext/machine_control.h>
#include <backplane/ext/memory.h>
#include <backplane/machine.h>

#define NODE_TIMERS_MAX 64u
#define MESSAGE_LINE_MAX 2048u /* bytes of a formatted line */

/* How much may be said about what a guest can repeat: a number of lines a second. */
struct limit {
    uint64_t since_ns; /* atomic */
    uint32_t count;    /* in this second; atomic */
    uint32_t reserved;
};

/* One instance at run time: what plugins know as struct bp_node. */
struct bp_node {
    struct bp_machine *machine;
    const struct plan_instance *plan; /* NULL: the CPU backend */
    const char *name;
    const struct model *model;
    void *self; /* NULL before create() and after destroy() */
    struct domain *domain;
    struct loop *loop; /* the machine's, its domain's, or the services' */
    struct irq_source irq;
    struct timer *timers[NODE_TIMERS_MAX]; /* made at first use */
    struct node_link *links;               /* tables made for peer() and link() */
    struct error failure;                  /* what host->fail() said; machine->failure_lock */
    struct limit guest_limit;              /* of GUEST messages */
    uint32_t subscribed;
    bool no_master; /* it has PCI functions, and none may reach memory; atomic */
    void (*changed)(void *self, uint32_t state); /* of machine_control.subscribe */
    void *changed_self;
};

/* What the program shall be told or do next; the first request wins. */
#define REQUEST_NONE 0u
#define REQUEST_FAILED 0x100u /* beside BP_REQUEST_* */
#define REQUEST_TRIPLE_FAULT 0x101u

/* What services asked for since the program looked. */
#define CONTROL_PAUSE 1u
#define CONTROL_RESUME 2u
#define CONTROL_RESUME_LAST 4u /* after the last CONTROL_PAUSE */

struct machine_trace;
struct compare_writes;

struct bp_machine {
    struct bp_machine_options options;
    char *plugin_path;
    struct config config;
    struct report report;
    bool config_broken;
    struct plugins *plugins;
    struct plan plan;
    bool planned;
    uint32_t state; /* BP_MACHINE_*; atomic: services read it */

    struct ram ram;
    bool has_ram;
    uint8_t *rom; /* firmware's, or NULL; the bus unmaps it */
    struct machine_firmware *firmware;
    struct acpi_blob acpi; /* for firmware, as it was built last */
    struct e820 e820;
    struct clock clock;
    struct loop *loop;         /* of devices and backends: stands while the machine is paused */
    struct loop *service_loop; /* of services: runs on; NULL: there are none */
    struct bus *bus;
    struct bp_bus bus_ops; /* as given to vCPUs */
    struct irq_router router;
    struct pci_host *pci; /* NULL: the board has none */
    struct pci_services pci_services;
    bool pci_complete;              /* every function is made */
    uint32_t pci_kept;              /* bit n: device n is somebody's by name */
    struct domain *platform_domain; /* of the core's own regions */
    struct domain **domains;
    struct loop **domain_loops; /* of a domain with a thread of its own; NULL: it has none */
    uint32_t domain_count;
    uint32_t node_count;
    struct bp_node *nodes; /* in the order of the plan */

    struct bp_node cpu_node;
    const struct model *cpu_model;
    void *vm;
    uint32_t cpu_features;         /* BP_CPU_* */
    struct bp_node *irqchip_node;  /* interrupt controllers for a backend without; NULL: none */
    struct bp_irqchip irqchip_ops; /* what it offers */
    struct bp_peer irqchip;        /* the two together, as backends get it; ops NULL: none */
    struct vcpus *vcpus;           /* atomic: request() comes from any thread */
    struct bp_mem_slot *mem_slots; /* as the backend has them; bus lock */
    uint32_t mem_slot_count;
    int mem_error; /* of the last change; bus lock */
    struct doorbell_list *doorbells;
    struct posted_list *posted; /* NULL: writes reach devices at once */

    uint64_t request; /* atomic: REQUEST_* or BP_REQUEST_* in the low half, code in the high */
    uint32_t control; /* atomic: CONTROL_* */
    bool goes;        /* what let_go() lets go */
    struct limit reset_limit;
    struct limit memory_limit;
    pthread_mutex_t failure_lock; /* a leaf lock, for bp_node.failure: vCPUs fail at once */
    struct wake wake;             /* bp_machine_fd() */
    int log_fd;
    struct machine_trace *trace;   /* or NULL */
    bool stepped;                  /* bp_machine_compare() runs the vCPU: letting go lets it not */
    struct compare_writes *writes; /* atomic: where bp_machine_compare() wants to know, or NULL */
};

/* ---- log.c: messages
 * ----------------------------------------------------------------------------- */

/* One line from the core itself, at BP_LOG_*. */
void machine_log(struct bp_machine *m, uint32_t level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* One line of `section`, or of the core (NULL): filtered, to the log file or the program. [any] */
void machine_message(struct bp_machine *m, uint32_t level, const char *section, const char *text);
/* Hands a message with its place through unfiltered. Fits report.tell. */
void machine_tell(void *machine, const struct bp_message *message);
int machine_open_log(struct bp_machine *m);

/* ---- trace.c: the trace of the bus ---- */

/* Opens it, if the machine is to have one, before the first region is made. -EINVAL, or why the
 * file cannot be written, told. [main] */
int machine_trace_open(struct bp_machine *m);
/* After the bus is gone. [main] */
void machine_trace_close(struct bp_machine *m);
/* True if one more line may be said; then *missed (or NULL) are those that were not, when a new
 * second begins, else 0. [any] */
bool limit_passes(struct limit *limit, uint32_t *missed);

/* ---- services.c: the host table
 * -------------------------------------------------------------------- */

extern const struct bp_host machine_host;
/* As host->fail(). [any] */
int node_fail(struct bp_node *node, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What the node said last, or what `err` means if it said nothing; gives out->text. [any] */
const char *node_failure(struct bp_node *node, int err, struct error *out);
/* Frees what the node's host calls made: regions, watches, timers, links, lines. [main] */
void node_release(struct bp_node *node);
/* Sets the request unless there is one, and wakes the program. One to leave takes the place of one
 * to reset, or a guest that resets for ever could not be left. [any] */
void machine_request(struct bp_machine *m, uint32_t what, uint32_t code);
/* Makes bp_machine_fd() readable. [any] */
void machine_wake(struct bp_machine *m);

/* ---- control.c: "bp.machine-control/1"
 * --------------------------------------------------------------- */

extern const struct bp_machine_control machine_control;
/* Sets the state and tells subscribers. */
void machine_set_state(struct bp_machine *m, uint32_t state);

/* ---- shared_ram.c: "bp.memory/1"
 * ---------------------------------------------------------------------- */

extern const struct bp_memory machine_memory;
/* Is the device kept from guest memory? Its PCI functions are no bus masters then. [any] */
bool machine_is_gated(const struct bp_node *node);
/* Translated code in [gpa, gpa + len) is out of date. [any] */
void machine_code_changed(struct bp_machine *m, uint64_t gpa, uint64_t len);

/* ---- firmware.c: ROM, shadow RAM, "bp.firmware/1"
 * ---------------------------------------------------------------------- */

extern const struct bp_firmware machine_firmware;
/* ROM and shadow RAM, after RAM, if the plan has firmware. -ENOMEM. */
int machine_firmware_new(struct bp_machine *m);
/* After the bus. */
void machine_firmware_free(struct bp_machine *m);
/* How much of the RAM at [gpa, gpa + length) is one region of the bus: that under the shadow is one
 * of its own, so that the backend's slots of all the rest stay when the shadow changes. */
uint64_t machine_firmware_ram_part(const struct bp_machine *m, uint64_t gpa, uint64_t length);

/* ---- doorbells.c: "bp.doorbell/1"
 * -------------------------------------------------------------------- */

extern const struct bp_doorbell machine_doorbell;
/* -ENOMEM. [main] */
int doorbells_init(struct bp_machine *m);
/* A region was mapped, moved or unmapped: has those below and posted.c follow it. [main] [dom] */
void machine_region_moved(struct bp_machine *m, const struct bp_region *region);
/* Follows a region that was mapped, moved or unmapped. [main] [dom] */
void doorbells_moved(struct bp_machine *m, const struct bp_region *region);
/* Ends those of `node`. [main] */
void doorbells_release(struct bp_node *node);
void doorbells_free(struct bp_machine *m);

/* ---- posted.c: "bp.posted/1"
 * ------------------------------------------------------------------------- */

/* Nothing, unless the CPU backend offers it. After the backend and the loops. -ENOMEM. [main] */
int posted_init(struct bp_machine *m);
/* Follows a region that was mapped, moved or unmapped. [main] [dom] */
void posted_moved(struct bp_machine *m, const struct bp_region *region);
/* Ends those of `node`. [main] */
void posted_release(const struct bp_node *node);
/* After the loops have stopped, before the bus. [main] */
void posted_free(struct bp_machine *m);

/* ---- pci.c: "bp.pci/1"
 * ----------------------------------------------------------------------------------- */

extern const struct bp_pci machine_pci;
/* The host bridge. After the plan. */
int machine_pci_new(struct bp_machine *m, uint32_t buses, struct error *e);
/* Every instance is made: what functions have now is their power-on state. Errors were told. */
int machine_pci_complete(struct bp_machine *m);
/* Power-on state, before instances are reset. */
void machine_pci_reset(struct bp_machine *m);
/* The firmware's work, after them: BARs get addresses in these windows. */
void machine_pci_boot(struct bp_machine *m, const struct pci_window *mmio32,
                      const struct pci_window *mmio64);
/* Around destroy(): fds of vectors end before it, functions go after it. */
void machine_pci_end_fds(struct bp_node *node);
void machine_pci_release(struct bp_node *node);

/* ---- cpu.c: the backend and its vCPUs
 * ------------------------------------------------------------------ */

/* Decides which backend m->cpu_model is, before anything is made. `plugin = auto` may change the
 * plan. Errors were told. */
int machine_cpu_choose(struct bp_machine *m);
/* Makes the VM. Errors were told. */
int machine_cpu_create(struct bp_machine *m);
/* Takes `node`, which was just created, as the controllers where the backend has none: lines and
 * messages go to it from now on. -errno after host->fail(). */
int machine_irqchip_connect(struct bp_machine *m, struct bp_node *node);
/* Makes the vCPU threads and gives them their CPUID. */
int machine_vcpus_create(struct bp_machine *m);
/* Power-on state for all, then `state` for the boot processor. */
int machine_vcpus_reset(struct bp_machine *m, const struct boot_state *state);
void machine_cpu_destroy(struct bp_machine *m);
/* Tells the backend which memory is where now; a bus_listener. */
void machine_memory_changed(void *machine, struct bus *bus);

/* ---- build.c: from the plan to parts that are connected
 * -------------------------------------------------- */

int machine_build(struct bp_machine *m);
void machine_dismantle(struct bp_machine *m);
/* Loads ACPI tables and the kernel, and sets the vCPUs to begin it. `kind` BP_RESET_*. */
int machine_boot(struct bp_machine *m, uint32_t kind);

/* Ends the threads of devices' loops. */
void machine_stop_loops(struct bp_machine *m);

/* ---- run.c
 * ------------------------------------------------------------------------------------------------
 */

/* Makes the plan if there is none yet. */
int machine_plan(struct bp_machine *m);
/* Makes it anew, with `auto_model` as the backend that `plugin = auto` stands for; NULL: unknown.
 * No instance lives. */
int machine_plan_for(struct bp_machine *m, const struct model *auto_model);
/* Ends a machine that runs or is paused, now. */
void machine_end(struct bp_machine *m);
/* Lets devices, time and vCPUs go, on a machine whose state says that it runs; the counterpart. */
int machine_let_go(struct bp_machine *m);
void machine_hold(struct bp_machine *m);

/* ---- compare.c
 * -------------------------------------------------------------------------------------------- */

/* A device wrote [gpa, gpa + len) of the guest's memory. [any] */
void machine_compare_written(struct compare_writes *w, uint64_t gpa, uint64_t len);

#endif
