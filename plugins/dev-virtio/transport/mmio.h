/* SPDX-License-Identifier: MIT
 *
 * dev-virtio/transport/mmio.h - the registers of virtio over MMIO (virtio 1.2, 4.2.2).
 */
#ifndef MMIO_H
#define MMIO_H

#include "virtio.h"

#define MMIO_BYTES 0x200u

#define MMIO_MAGIC 0x74726976u /* "virt" */
#define MMIO_VENDOR 0x1af4u    /* any value does (4.2.2); PCI's is known */

#define MagicValue 0x000u
#define Version 0x004u
#define DeviceID 0x008u
#define VendorID 0x00cu
#define DeviceFeatures 0x010u
#define DeviceFeaturesSel 0x014u
#define DriverFeatures 0x020u
#define DriverFeaturesSel 0x024u
#define QueueSel 0x030u
#define QueueNumMax 0x034u
#define QueueNum 0x038u
#define QueueReady 0x044u
#define QueueNotify 0x050u
#define InterruptStatus 0x060u
#define InterruptACK 0x064u
#define Status 0x070u
#define QueueDescLow 0x080u
#define QueueDescHigh 0x084u
#define QueueDriverLow 0x090u
#define QueueDriverHigh 0x094u
#define QueueDeviceLow 0x0a0u
#define QueueDeviceHigh 0x0a4u
#define SHMSel 0x0acu
#define SHMLenLow 0x0b0u
#define SHMLenHigh 0x0b4u
#define SHMBaseLow 0x0b8u
#define SHMBaseHigh 0x0bcu
#define QueueReset 0x0c0u
#define ConfigGeneration 0x0fcu
#define Config 0x100u

#endif
