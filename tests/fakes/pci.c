/* SPDX-License-Identifier: MIT
 *
 * fakes/pci.c - services for core/pci on the fake host, and a guest's part in test's hands: see
 * fakes/pci.h.
 */
#include "fakes/pci.h"

#include "fakes/host_private.h"
#include "pci/function.h"

#define ROUTES_MAX 64
#define MESSAGE_GPA 0xfee00000u

struct route {
    int fd;
    uint64_t address;
    uint32_t data;
    bool used;
};

struct fake_pci {
    struct pci_host *host;
    struct pci_services services;
    struct route routes[ROUTES_MAX];
    bool take_fds;
    /* Messages with an address above MESSAGE_GPA that says whose they are: see address_of(). A
     * function has PCI_MSIX_MAX counters, from its first message on. */
    unsigned *messages[PCI_DEVICES * PCI_FUNCTIONS];
};

static bool offered = true;

/* Bits 19:12 of a message's address are a processor's: here the function; its data is the vector.
 */
static uint64_t address_of(uint32_t devfn)
{
    return MESSAGE_GPA | devfn << 12;
}

/* ---- services -----------------------------------------------------------------------------------
 */

static int service_fail(void *context, struct bp_node *node, int err, const char *text)
{
    (void)context;
    return (fake_host_table.fail)(node, err, text); /* fail() is a macro of cmocka */
}

static const char *service_name(void *context, struct bp_node *node)
{
    (void)context;
    return fake_host_table.name(node);
}

static int region_check(void *context, struct bp_node *node, const struct bp_region *region,
                        uint32_t *space, uint64_t *length)
{
    (void)context;
    if (region->host != node->host)
        return -EINVAL;
    if (region->is_bar || region->base != BP_UNMAPPED)
        return -EBUSY;
    *space = region->space;
    *length = region->length;
    return 0;
}

static void region_claim(void *context, struct bp_region *region)
{
    (void)context;
    region->is_bar = true;
}

static int region_new(void *context, struct bp_node *node, uint64_t length,
                      const struct bp_region_ops *ops, void *self, struct bp_region **out)
{
    (void)context;
    *out = fake_new_region(node, BP_SPACE_MMIO, length);
    (*out)->ops = ops;
    (*out)->self = self;
    (*out)->is_bar = true;
    return 0;
}

static void region_place(void *context, struct bp_node *node, struct bp_region *region,
                         uint64_t base)
{
    (void)context;
    region->base = base;
    region->serial = ++node->host->next_serial;
}

static void line_set(void *context, struct irq_source *held, uint32_t line, uint32_t level)
{
    struct fake_host *h = context;

    if (held->levels == level)
        return;
    held->levels = level;
    fake_host_table.irq_set(&h->node, line, level);
}

static void message(void *context, struct bp_node *node, uint64_t address, uint32_t data)
{
    struct fake_host *h = context;
    unsigned **of = &h->pci->messages[address >> 12 & 0xff];

    fake_host_table.msi_send(node, address, data);
    if ((address & ~0xff000ull) != MESSAGE_GPA || data >= PCI_MSIX_MAX)
        return;
    if (!*of)
        *of = calloc(PCI_MSIX_MAX, sizeof(**of));
    assert_non_null(*of);
    (*of)[data]++;
}

static int fd_route(void *context, struct bp_node *node, int fd, uint64_t address, uint32_t data)
{
    struct fake_pci *pci = ((struct fake_host *)context)->pci;
    struct route *free_route = NULL;

    (void)node;
    if (!pci->take_fds)
        return -ENOTSUP;
    for (unsigned i = 0; i < ROUTES_MAX; i++) {
        struct route *r = &pci->routes[i];
        if (r->used && r->fd == fd) {
            free_route = r;
            break;
        }
        if (!r->used && !free_route)
            free_route = r;
    }
    if (!free_route)
        return -ENOSPC;
    *free_route = (struct route){.fd = fd, .address = address, .data = data, .used = true};
    return 0;
}

static void fd_unroute(void *context, struct bp_node *node, int fd)
{
    struct fake_pci *pci = ((struct fake_host *)context)->pci;

    (void)node;
    for (unsigned i = 0; i < ROUTES_MAX; i++)
        if (pci->routes[i].used && pci->routes[i].fd == fd)
            pci->routes[i].used = false;
}

static int fd_watch(void *context, struct bp_node *node, int fd,
                    void (*ready)(void *self, int fd, uint32_t events), void *self)
{
    (void)context;
    return fake_watch(node, fd, ready ? BP_FD_READ : 0, ready, self);
}

static void masters(void *context, struct bp_node *node, bool any)
{
    (void)node;
    ((struct fake_host *)context)->masters_off = !any;
}

static int function_new(struct bp_node *node, uint32_t devfn, uint32_t flags,
                        const struct bp_pci_identity *identity,
                        const struct bp_pci_function_ops *ops, void *self,
                        struct bp_pci_function **out)
{
    struct fake_pci *pci = node->host->pci;

    fake_must_be_main(node, "function_new()");
    if (identity->size != sizeof(*identity) || (ops && ops->size != sizeof(*ops)))
        fake_fail("function_new(): a table's size is not its sizeof");
    node->host->masters_off = true;
    return pci_function_new(pci->host, &pci->services, NULL, 0, node, devfn, flags, identity, ops,
                            self, out);
}

static const struct bp_pci table = {
    .size = sizeof(table),
    .function_new = function_new,
    .bar = pci_bar,
    .capability = pci_capability,
    .extended_capability = pci_extended_capability,
    .config_get = pci_config_get,
    .config_set = pci_config_set,
    .config_mask = pci_config_mask,
    .msi = pci_msi,
    .msix = pci_msix,
    .interrupt_mode = pci_interrupt_mode,
    .intx_set = pci_intx_set,
    .notify = pci_notify,
    .vector_fd = pci_vector_fd,
    .devfn = pci_devfn,
};

/* ---- the host's part ----------------------------------------------------------------------------
 */

void fake_pci_offer(bool offer)
{
    offered = offer;
}

const void *fake_pci_extension(struct fake_host *h)
{
    struct error e;

    if (!offered)
        return NULL;
    if (h->pci)
        return &table;
    h->pci = calloc(1, sizeof(*h->pci));
    assert_non_null(h->pci);
    h->pci->services = (struct pci_services){.context = h,
                                             .fail = service_fail,
                                             .name = service_name,
                                             .region_check = region_check,
                                             .region_claim = region_claim,
                                             .region_new = region_new,
                                             .region_place = region_place,
                                             .line_set = line_set,
                                             .message = message,
                                             .fd_route = fd_route,
                                             .fd_unroute = fd_unroute,
                                             .fd_watch = fd_watch,
                                             .masters = masters};
    assert_int_equal(pci_host_new(1, &h->pci->host, &e), 0);
    return &table;
}

void fake_pci_power_on(struct fake_host *h)
{
    if (!h->pci)
        return;
    if (pci_functions_lost(h->pci->host))
        fake_fail("PCI function %02x is there without a function 0",
                  pci_functions_lost(h->pci->host)->devfn);
    pci_functions_power_on(h->pci->host);
    pci_functions_reset(h->pci->host);
}

void fake_pci_reset(struct fake_host *h)
{
    if (h->pci)
        pci_functions_reset(h->pci->host);
}

void fake_pci_end_fds(struct fake_host *h)
{
    for (struct bp_pci_function *f = h->pci ? pci_functions(h->pci->host) : NULL; f; f = f->next)
        pci_vector_fds_end(f);
}

void fake_pci_free(struct fake_host *h)
{
    if (!h->pci)
        return;
    pci_functions_free(h->pci->host, NULL);
    pci_host_free(h->pci->host);
    for (unsigned i = 0; i < PCI_DEVICES * PCI_FUNCTIONS; i++)
        free(h->pci->messages[i]);
    free(h->pci);
    h->pci = NULL;
}

void fake_pci_move_state(struct fake_host *from, struct fake_host *to)
{
    struct bp_pci_function *a = from->pci ? pci_functions(from->pci->host) : NULL;
    struct bp_pci_function *b = to->pci ? pci_functions(to->pci->host) : NULL;

    for (; a && b; a = a->next, b = b->next) {
        memcpy(b->config.config, a->config.config, sizeof(b->config.config));
        for (uint32_t i = 0; i < b->msix_count; i++)
            b->entries[i] = a->entries[i];
        b->msi_pending = a->msi_pending;
        b->mode = a->mode; /* or what is pending would be forgotten */
        pci_bars_follow(b);
        pci_messages_follow(b);
        pci_intx_set(b, a->level);
    }
}

/* ---- the guest's part ---------------------------------------------------------------------------
 */

static struct bp_pci_function *find(struct fake_host *h, uint32_t devfn)
{
    for (struct bp_pci_function *f = h->pci ? pci_functions(h->pci->host) : NULL; f; f = f->next)
        if (f->devfn == devfn)
            return f;
    fake_fail("there is no PCI function %02x.%u", devfn >> 3, devfn & 7);
}

uint32_t fake_pci_function(struct fake_host *h, unsigned n)
{
    struct bp_pci_function *f = h->pci ? pci_functions(h->pci->host) : NULL;

    for (; f && n; n--)
        f = f->next;
    return f ? f->devfn : BP_PCI_ANY;
}

uint32_t fake_pci_read(struct fake_host *h, uint32_t devfn, uint32_t offset, uint32_t width)
{
    fake_enter(h);
    uint32_t value = pci_config_read(h->pci->host, 0, devfn, offset, width);
    fake_leave(h);
    return value;
}

void fake_pci_write(struct fake_host *h, uint32_t devfn, uint32_t offset, uint32_t value,
                    uint32_t width)
{
    fake_enter(h);
    pci_config_write(h->pci->host, 0, devfn, offset, value, width);
    fake_leave(h);
}

uint32_t fake_pci_capability(struct fake_host *h, uint32_t devfn, uint8_t id, uint32_t after)
{
    uint32_t at = fake_pci_read(h, devfn, after ? after + 1 : PCI_CAPABILITIES, 1);

    for (unsigned n = 0; at; n++) {
        if (n > 48)
            fake_fail("the capability list has no end");
        if (fake_pci_read(h, devfn, at, 1) == id)
            return at;
        at = fake_pci_read(h, devfn, at + 1, 1);
    }
    return 0;
}

uint32_t fake_pci_extended(struct fake_host *h, uint32_t devfn, uint16_t id)
{
    uint32_t at = 0x100;

    for (unsigned n = 0; at; n++) {
        uint32_t header = fake_pci_read(h, devfn, at, 4);
        if (n > 1000)
            fake_fail("the list of extended capabilities has no end");
        if (header == UINT32_MAX)
            return 0;
        if (header && (header & 0xffff) == id)
            return at;
        at = header >> 20;
    }
    return 0;
}

void fake_pci_place(struct fake_host *h, uint32_t devfn, uint32_t bar, uint64_t base)
{
    struct bp_pci_function *f = find(h, devfn);

    fake_pci_write(h, devfn, PCI_BAR + 4 * bar, (uint32_t)base, 4);
    if (f->bars[bar].flags & BP_PCI_BAR_64)
        fake_pci_write(h, devfn, PCI_BAR + 4 * bar + 4, (uint32_t)(base >> 32), 4);
}

uint64_t fake_pci_bar_length(struct fake_host *h, uint32_t devfn, uint32_t bar)
{
    uint32_t at = PCI_BAR + 4 * bar;
    uint32_t low = fake_pci_read(h, devfn, at, 4), high = 0;
    uint16_t command = (uint16_t)fake_pci_read(h, devfn, PCI_COMMAND, 2);
    bool io = low & 1, wide = !io && (low & 6) == 4;
    uint64_t mask;

    fake_pci_write(h, devfn, PCI_COMMAND, command & ~3u, 2);
    fake_pci_write(h, devfn, at, UINT32_MAX, 4);
    mask = fake_pci_read(h, devfn, at, 4) & (io ? ~3u : ~15u);
    fake_pci_write(h, devfn, at, low, 4);
    if (wide) {
        high = fake_pci_read(h, devfn, at + 4, 4);
        fake_pci_write(h, devfn, at + 4, UINT32_MAX, 4);
        mask |= (uint64_t)fake_pci_read(h, devfn, at + 4, 4) << 32;
        fake_pci_write(h, devfn, at + 4, high, 4);
    } else if (mask) {
        mask |= UINT64_MAX << 32;
    }
    fake_pci_write(h, devfn, PCI_COMMAND, command, 2);
    return ~mask + 1;
}

void fake_pci_start(struct fake_host *h, uint32_t devfn)
{
    struct bp_pci_function *f = find(h, devfn);

    for (uint32_t i = 0; i < PCI_BARS; i++)
        if (f->bars[i].length && f->bars[i].length <= 0x100000)
            fake_pci_place(h, devfn, i,
                           f->bars[i].space == BP_SPACE_PIO ? FAKE_BAR_IO(devfn, i)
                                                            : FAKE_BAR_MEMORY(devfn, i));
    fake_pci_write(h, devfn, PCI_COMMAND,
                   fake_pci_read(h, devfn, PCI_COMMAND, 2) | PCI_COMMAND_IO | PCI_COMMAND_MEMORY |
                       PCI_COMMAND_MASTER,
                   2);
}

static void write_entry(struct fake_host *h, struct bp_pci_function *f, uint32_t vector,
                        uint32_t at, uint32_t value)
{
    uint64_t base = f->bars[f->msix_bar].base;

    if (base == BP_UNMAPPED)
        fake_fail("the MSI-X table is not mapped: fake_pci_start() comes first");
    fake_write(h, BP_SPACE_MMIO, base + f->table_offset + (uint64_t)vector * PCI_MSIX_ENTRY + at,
               value, 4);
}

void fake_pci_msix_on(struct fake_host *h, uint32_t devfn)
{
    struct bp_pci_function *f = find(h, devfn);

    if (!f->msix_at)
        fake_fail("PCI function %02x.%u has no MSI-X", devfn >> 3, devfn & 7);
    for (uint32_t i = 0; i < f->msix_count; i++) {
        write_entry(h, f, i, 0, (uint32_t)address_of(devfn));
        write_entry(h, f, i, 4, 0);
        write_entry(h, f, i, 8, i);
        write_entry(h, f, i, 12, 0);
    }
    fake_pci_write(h, devfn, f->msix_at + 2, 0x8000, 2);
}

void fake_pci_msi_on(struct fake_host *h, uint32_t devfn, uint32_t count)
{
    struct bp_pci_function *f = find(h, devfn);

    if (!f->msi_at)
        fake_fail("PCI function %02x.%u has no MSI", devfn >> 3, devfn & 7);
    fake_pci_write(h, devfn, f->msi_at + 4, (uint32_t)address_of(devfn), 4);
    fake_pci_write(h, devfn, f->msi_at + 8, 0, 4);
    fake_pci_write(h, devfn, f->msi_at + 12, 0, 2);
    fake_pci_write(h, devfn, f->msi_at + 2, 1u | (uint32_t)__builtin_ctz(count) << 4, 2);
}

void fake_pci_messages_off(struct fake_host *h, uint32_t devfn)
{
    struct bp_pci_function *f = find(h, devfn);

    if (f->msix_at)
        fake_pci_write(h, devfn, f->msix_at + 2, 0, 2);
    if (f->msi_at)
        fake_pci_write(h, devfn, f->msi_at + 2, 0, 2);
}

void fake_pci_mask(struct fake_host *h, uint32_t devfn, uint32_t vector, uint32_t masked)
{
    struct bp_pci_function *f = find(h, devfn);
    uint32_t masks;

    if (f->mode != BP_PCI_MSI) {
        write_entry(h, f, vector, 12, masked);
        return;
    }
    masks = fake_pci_read(h, devfn, f->msi_at + 0x10, 4);
    masks = masked ? masks | 1u << vector : masks & ~(1u << vector);
    fake_pci_write(h, devfn, f->msi_at + 0x10, masks, 4);
}

unsigned fake_pci_messages(struct fake_host *h, uint32_t devfn, uint32_t vector)
{
    unsigned *of = h->pci->messages[devfn], count = 0;

    for (uint32_t i = 0; of && i < PCI_MSIX_MAX; i++) {
        if (vector != BP_PCI_NO_VECTOR && i != vector)
            continue;
        count += of[i];
        of[i] = 0;
    }
    return count;
}

bool fake_pci_pending(struct fake_host *h, uint32_t devfn, uint32_t vector)
{
    struct bp_pci_function *f = find(h, devfn);

    if (f->mode == BP_PCI_MSI)
        return fake_pci_read(h, devfn, f->msi_at + PCI_MSI_PENDING, 4) >> vector & 1;
    return vector < f->msix_count && f->entries[vector].pending;
}

uint32_t fake_pci_intx(struct fake_host *h, uint32_t devfn)
{
    struct bp_pci_function *f = find(h, devfn);

    return f->line == UINT32_MAX ? 0 : fake_irq_level(h, f->line);
}

void fake_pci_take_fds(struct fake_host *h, bool take)
{
    h->pci->take_fds = take;
}

bool fake_pci_has_fd(struct fake_host *h, int fd, uint64_t *address, uint32_t *data)
{
    for (unsigned i = 0; i < ROUTES_MAX; i++) {
        const struct route *r = &h->pci->routes[i];
        if (!r->used || r->fd != fd)
            continue;
        if (address)
            *address = r->address;
        if (data)
            *data = r->data;
        return true;
    }
    return false;
}
