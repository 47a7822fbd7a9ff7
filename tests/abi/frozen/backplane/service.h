/* SPDX-License-Identifier: MIT
 *
 * backplane/service.h - what a plugin of kind SERVICE is given: it observes and steers the machine
 * (a debugger stub, a control socket, a tracer). A service is an instance like any other; it
 * reaches the machine by host->extension(node, "bp.machine-control/1"), runs on the loop, never on
 * a vCPU.
 */
#ifndef BACKPLANE_SERVICE_H
#define BACKPLANE_SERVICE_H

#include "ext/machine_control.h"
#include "instance.h"

#endif
