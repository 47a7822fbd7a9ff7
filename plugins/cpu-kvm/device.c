/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/device.c - opening the KVM device, and a sentence for each reason why that does not work.
 *
 * After Linux' Documentation/virt/kvm/api.rst.
 */
#include "kvm.h"

#include <backplane/util/log.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define KVM_API_KNOWN 12 /* the only one since Linux 2.6.22 */

/* What the backend cannot do without. KVM_CAP_EXCEPTION_PAYLOAD is the youngest, and vouches for
 * KVM_SET_SIGNAL_MASK keeping the old mask in real_blocked (4.15): before that a kick signal could
 * end the process. */
static const struct {
    const char *name;
    unsigned long capability;
    const char *since;
} required[] = {
    {"KVM_CAP_USER_MEMORY", KVM_CAP_USER_MEMORY, "2.6.25"},
    {"KVM_CAP_SET_TSS_ADDR", KVM_CAP_SET_TSS_ADDR, "2.6.25"},
    {"KVM_CAP_IRQCHIP", KVM_CAP_IRQCHIP, "2.6.25"},
    {"KVM_CAP_EXT_CPUID", KVM_CAP_EXT_CPUID, "2.6.26"},
    {"KVM_CAP_MP_STATE", KVM_CAP_MP_STATE, "2.6.26"},
    {"KVM_CAP_IRQ_ROUTING", KVM_CAP_IRQ_ROUTING, "2.6.30"},
    {"KVM_CAP_PIT2", KVM_CAP_PIT2, "2.6.31"},
    {"KVM_CAP_IRQFD", KVM_CAP_IRQFD, "2.6.32"},
    {"KVM_CAP_IOEVENTFD", KVM_CAP_IOEVENTFD, "2.6.32"},
    {"KVM_CAP_SET_IDENTITY_MAP_ADDR", KVM_CAP_SET_IDENTITY_MAP_ADDR, "2.6.32"},
    {"KVM_CAP_PIT_STATE2", KVM_CAP_PIT_STATE2, "2.6.32"},
    {"KVM_CAP_ADJUST_CLOCK", KVM_CAP_ADJUST_CLOCK, "2.6.33"},
    {"KVM_CAP_VCPU_EVENTS", KVM_CAP_VCPU_EVENTS, "2.6.34"},
    {"KVM_CAP_DEBUGREGS", KVM_CAP_DEBUGREGS, "2.6.35"},
    {"KVM_CAP_XSAVE", KVM_CAP_XSAVE, "2.6.36"},
    {"KVM_CAP_GET_TSC_KHZ", KVM_CAP_GET_TSC_KHZ, "2.6.39"},
    {"KVM_CAP_SIGNAL_MSI", KVM_CAP_SIGNAL_MSI, "3.5"},
    {"KVM_CAP_READONLY_MEM", KVM_CAP_READONLY_MEM, "3.7"},
    {"KVM_CAP_X2APIC_API", KVM_CAP_X2APIC_API, "4.8"},
    {"KVM_CAP_IMMEDIATE_EXIT", KVM_CAP_IMMEDIATE_EXIT, "4.11"},
    {"KVM_CAP_EXCEPTION_PAYLOAD", KVM_CAP_EXCEPTION_PAYLOAD, "4.20"},
};

int kvm_extension(int fd, unsigned long capability)
{
    int got = ioctl(fd, KVM_CHECK_EXTENSION, capability);

    return got > 0 ? got : 0;
}

/* Names, or numbers where there is none; malloc()ed. */
static char *user_name(uid_t uid)
{
    char buffer[1024], *text = NULL;
    struct passwd entry, *found = NULL;

    if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) == 0 && found)
        return asprintf(&text, "%s", found->pw_name) < 0 ? NULL : text;
    return asprintf(&text, "%u", (unsigned)uid) < 0 ? NULL : text;
}

static char *group_name(gid_t gid)
{
    char buffer[4096], *text = NULL;
    struct group entry, *found = NULL;

    if (getgrgid_r(gid, &entry, buffer, sizeof(buffer), &found) == 0 && found)
        return asprintf(&text, "%s", found->gr_name) < 0 ? NULL : text;
    return asprintf(&text, "%u", (unsigned)gid) < 0 ? NULL : text;
}

static int fail_no_permission(const struct bp_host *host, struct bp_node *node, const char *path)
{
    struct stat st;
    char *user, *group;
    int err;

    if (stat(path, &st) != 0) {
        return bp_failf(host, node, -EACCES,
                        "%s may not be opened: a folder on its path is closed to this user", path);
    }
    user = user_name(geteuid());
    group = group_name(st.st_gid);
    if (!user || !group) {
        err = bp_failf(host, node, -ENOMEM, "out of memory");
    } else if ((st.st_mode & 060) == 060 && st.st_gid != 0) {
        err = bp_failf(
            host, node, -EACCES,
            "%s is open to group %s only, and user %s is not in it: run `usermod -aG %s %s` "
            "as root and log in again",
            path, group, user, group, user);
    } else {
        err = bp_failf(
            host, node, -EACCES,
            "%s has group %s and mode %04o, which is closed to user %s: run `chgrp kvm %s` "
            "and `chmod 660 %s` as root, and add the user to group kvm",
            path, group, (unsigned)(st.st_mode & 07777), user, path, path);
    }
    free(user);
    free(group);
    return err;
}

static int fail_open(const struct bp_host *host, struct bp_node *node, const char *path, int err)
{
    switch (err) {
    case ENOENT:
    case ENOTDIR:
        return bp_failf(
            host, node, -ENODEV,
            "%s does not exist: load the kernel module kvm_intel or kvm_amd, and if it "
            "refuses, enable virtualization in the firmware (on a virtual machine: nested "
            "virtualization)",
            path);
    case ENXIO:
    case ENODEV:
        return bp_failf(host, node, -ENODEV,
                        "%s has no driver behind it: load the kernel module kvm_intel or kvm_amd",
                        path);
    case EACCES:
    case EPERM:
        return fail_no_permission(host, node, path);
    case EBUSY:
        return bp_failf(host, node, -EBUSY, "%s is in use by another hypervisor: stop that first",
                        path);
    default:
        errno = err;
        return bp_failf(host, node, -err, "%s cannot be opened: %m", path);
    }
}

int device_open(const struct bp_host *host, struct bp_node *node, const char *path)
{
    int fd, version, err;

    do {
        fd = open(path, O_RDWR | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return fail_open(host, node, path, errno);
    version = ioctl(fd, KVM_GET_API_VERSION, 0);
    if (version == KVM_API_KNOWN)
        return fd;
    if (version < 0) {
        err = bp_failf(host, node, -ENODEV, "%s is no KVM device: name the right one, usually %s",
                       path, KVM_DEVICE);
    } else {
        err =
            bp_failf(host, node, -ENOTSUP,
                     "%s speaks version %d of the KVM API, and version %d is needed: use a kernel "
                     "from Linux 4.20 on",
                     path, version, KVM_API_KNOWN);
    }
    close(fd);
    return err;
}

int device_check(const struct bp_host *host, struct bp_node *node, const char *path, int fd)
{
    for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++) {
        if (!kvm_extension(fd, required[i].capability)) {
            return bp_failf(
                host, node, -ENOTSUP,
                "%s lacks %s, which Linux has from %s on: use a newer kernel, or another "
                "CPU backend",
                path, required[i].name, required[i].since);
        }
    }
    return 0;
}

int device_create_vm(const struct bp_host *host, struct bp_node *node, const char *path, int fd)
{
    int vm_fd, err;

    do {
        vm_fd = ioctl(fd, KVM_CREATE_VM, 0);
    } while (vm_fd < 0 && errno == EINTR);
    if (vm_fd >= 0)
        return vm_fd;
    err = errno;
    if (err == EBUSY) {
        return bp_failf(
            host, node, -EBUSY,
            "%s: another hypervisor holds the processor's virtualization: stop that first", path);
    }
    return bp_failf(host, node, -err, "%s: a virtual machine cannot be created: %m", path);
}
