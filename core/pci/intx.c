/* SPDX-License-Identifier: MIT
 *
 * pci/intx.c - a function's interrupt pin (PCI 3.0, 2.2.6 and 6.2.3).
 *
 * Which line the pin ends on is fixed: the routing that the ACPI tables describe. There is no
 * register of a router's that a guest could change.
 */
#include "pci/function.h"

void pci_intx_follow(struct bp_pci_function *f)
{
    const struct pci_services *s = f->services;

    if (f->line == UINT32_MAX)
        return;
    s->line_set(s->context, &f->held, f->line,
                f->level && !f->intx_disabled && f->mode == BP_PCI_INTX);
}

void pci_intx_set(struct bp_pci_function *f, uint32_t level)
{
    level = level != 0;
    if (__atomic_load_n(&f->level, __ATOMIC_RELAXED) == level)
        return;
    pthread_mutex_lock(&f->lock);
    __atomic_store_n(&f->level, level, __ATOMIC_RELAXED);
    pci_intx_follow(f);
    pthread_mutex_unlock(&f->lock);
}
