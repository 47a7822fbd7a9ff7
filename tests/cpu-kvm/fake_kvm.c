/* SPDX-License-Identifier: MIT
 *
 * cpu-kvm/fake_kvm.c - the calls of fake_kvm.h that take the place of the C library's.
 */
#include "fake_kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))
#define RUN_BYTES 12288
#define PIO_DATA_OFFSET 4096
#define RING_PAGE 2

struct fake_kvm *fake_kvm(void)
{
    static struct fake_kvm fake;

    return &fake;
}

void fake_kvm_reset(void)
{
    *fake_kvm() = (struct fake_kvm){
        .on = true,
        .device_mode = S_IFCHR | 0660,
        .device_group = 0,
        .api_version = 12,
        .missing = UINT64_MAX,
        .max_vcpus = 8,
        .rflags = 2,
        .debug_flags = KVM_GUESTDBG_BLOCKIRQ,
    };
}

static bool is_kvm_device(const char *path)
{
    return fake_kvm()->on && strcmp(path, "/dev/kvm") == 0;
}

static int memory_file(void)
{
    int fd = memfd_create("fake-kvm", MFD_CLOEXEC);

    if (fd >= 0 && ftruncate(fd, RUN_BYTES) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int fake_open(const char *path, int flags, mode_t mode)
{
    if (!is_kvm_device(path))
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (fake_kvm()->open_errno) {
        errno = fake_kvm()->open_errno;
        return -1;
    }
    return memory_file();
}

static mode_t mode_of(int flags, va_list args)
{
    return flags & O_CREAT ? va_arg(args, mode_t) : 0;
}

EXPORTED int open64(const char *path, int flags, ...);
EXPORTED int open64(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = mode_of(flags, args);
    va_end(args);
    return fake_open(path, flags, mode);
}

EXPORTED int stat64(const char *restrict path, struct stat64 *restrict st)
{
    if (!is_kvm_device(path))
        return fstatat64(AT_FDCWD, path, st, 0);
    memset(st, 0, sizeof(*st));
    st->st_mode = fake_kvm()->device_mode;
    st->st_gid = fake_kvm()->device_group;
    return 0;
}

EXPORTED uid_t geteuid(void)
{
    return fake_kvm()->on ? fake_kvm()->user : (uid_t)syscall(SYS_geteuid);
}

static int answer_cpuid(struct kvm_cpuid2 *c)
{
    c->nent = 1;
    c->entries[0] = (struct kvm_cpuid_entry2){
        .function = 1, .ecx = 1u << 13 | (fake_kvm()->has_xsave ? 1u << 26 : 0)};
    return 0;
}

static int answer_run(int fd)
{
    struct kvm_run *run = mmap(NULL, RUN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int result;

    if (run == MAP_FAILED)
        return -1;
    run->io.data_offset = PIO_DATA_OFFSET;
    result = fake_kvm()->script(run, fake_kvm()->runs++);
    munmap(run, RUN_BYTES);
    return result;
}

static int answer_create(void)
{
    if (fake_kvm()->create_eintrs) {
        fake_kvm()->create_eintrs--;
        errno = EINTR;
        return -1;
    }
    if (fake_kvm()->create_errno) {
        errno = fake_kvm()->create_errno;
        return -1;
    }
    return memory_file();
}

static int answer_extension(unsigned long capability)
{
    if (capability == fake_kvm()->missing)
        return 0;
    switch (capability) {
    case KVM_CAP_MAX_VCPUS:
        return (int)fake_kvm()->max_vcpus;
    case KVM_CAP_NR_MEMSLOTS:
        return 32;
    case KVM_CAP_IRQ_ROUTING:
        return 64;
    case KVM_CAP_COALESCED_MMIO:
        return RING_PAGE;
    case KVM_CAP_XSAVE2:
        return 4096;
    case KVM_CAP_SET_GUEST_DEBUG2:
        return fake_kvm()->debug_flags;
    default:
        return 1;
    }
}

static int answer(int fd, unsigned long request, void *argument)
{
    struct fake_kvm *f = fake_kvm();

    if (request == f->refused) {
        errno = f->refused_errno;
        return -1;
    }
    switch (request) {
    case KVM_GET_API_VERSION:
        errno = ENOTTY;
        return f->api_version < 0 ? -1 : f->api_version;
    case KVM_CHECK_EXTENSION:
        return answer_extension((unsigned long)argument);
    case KVM_CREATE_VM:
        return answer_create();
    case KVM_CREATE_VCPU:
        return memory_file();
    case KVM_GET_VCPU_MMAP_SIZE:
        return RUN_BYTES;
    case KVM_GET_SUPPORTED_CPUID:
        return answer_cpuid(argument);
    case KVM_GET_MSR_INDEX_LIST:
        ((struct kvm_msr_list *)argument)->nmsrs = 0;
        return 0;
    case KVM_GET_TSC_KHZ:
        return 1000000;
    case KVM_GET_REGS:
        memset(argument, 0, sizeof(struct kvm_regs));
        ((struct kvm_regs *)argument)->rip = 0x1234;
        ((struct kvm_regs *)argument)->rax = 0xa;
        ((struct kvm_regs *)argument)->rflags = f->rflags;
        return 0;
    case KVM_SET_REGS:
        f->rflags = ((struct kvm_regs *)argument)->rflags;
        return 0;
    case KVM_SET_GUEST_DEBUG:
        f->debug = *(struct kvm_guest_debug *)argument;
        f->debugs++;
        return 0;
    case KVM_GET_SREGS:
        memset(argument, 0, sizeof(struct kvm_sregs));
        ((struct kvm_sregs *)argument)->cs.selector = 0x10;
        return 0;
    case KVM_SET_XCRS:
        f->xcr0 = ((struct kvm_xcrs *)argument)->xcrs[0].value;
        return 0;
    case KVM_TRANSLATE:
        ((struct kvm_translation *)argument)->physical_address =
            ((struct kvm_translation *)argument)->linear_address;
        ((struct kvm_translation *)argument)->valid = 1;
        return 0;
    case KVM_RUN:
        return answer_run(fd);
    default:
        /* Whatever else is set is taken, and what is read is zero. */
        if (_IOC_DIR(request) & _IOC_READ && !(_IOC_DIR(request) & _IOC_WRITE))
            memset(argument, 0, _IOC_SIZE(request));
        return 0;
    }
}

EXPORTED int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    void *argument;

    va_start(args, request);
    argument = va_arg(args, void *);
    va_end(args);
    if (!fake_kvm()->on || _IOC_TYPE(request) != KVMIO)
        return (int)syscall(SYS_ioctl, fd, request, argument);
    return answer(fd, request, argument);
}
