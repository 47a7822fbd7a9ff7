/* SPDX-License-Identifier: MIT
 *
 * shared/wake.h - an fd by which a plugin's own threads wake the loop: the core's, which stands on
 * nothing. Linked into each plugin, as all in this folder.
 */
#ifndef SHARED_WAKE_H
#define SHARED_WAKE_H

#include "../../core/base/wake.h"

#endif
