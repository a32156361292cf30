/*
 * hostvm.c: a VM of KVM-HV, as small as it can be
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The structures of powerpc's asm/kvm.h stand here once more, so that this compiles on any host.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hostvm.h"

/* Linux arch/powerpc/include/uapi/asm/kvm.h: struct kvm_regs, KVM_REG_PPC_LPCR_64 */
typedef struct {
    guint64 pc;
    guint64 cr;
    guint64 ctr;
    guint64 lr;
    guint64 xer;
    guint64 msr;
    guint64 srr0;
    guint64 srr1;
    guint64 pid;
    guint64 sprg[8];
    guint64 gpr[32];
} PpcRegs;

typedef struct {
    guint64 flags;
    guint64 startIndex;
    guint64 reserved[2];
} GetHtabFd;

typedef struct {
    guint64 flags;
    guint64 processTable;
} MmuV3Cfg;

#define SET_REGS _IOW(KVMIO, 0x82, PpcRegs)
#define GET_HTAB_FD _IOW(KVMIO, 0xaa, GetHtabFd)
#define CONFIGURE_V3_MMU _IOW(KVMIO, 0xaf, MmuV3Cfg)
#define REG_PPC_LPCR_64 0x10300000000000b5ULL

#ifdef __powerpc__
G_STATIC_ASSERT(SET_REGS == KVM_SET_REGS);
G_STATIC_ASSERT(GET_HTAB_FD == KVM_PPC_GET_HTAB_FD);
G_STATIC_ASSERT(CONFIGURE_V3_MMU == KVM_PPC_CONFIGURE_V3_MMU);
G_STATIC_ASSERT(REG_PPC_LPCR_64 == KVM_REG_PPC_LPCR_64);
#endif

/* KVM_CREATE_VM's type for KVM-HV (KVM_VM_PPC_HV, Linux include/uapi/linux/kvm.h) */
#define TYPE_HV 1

/* 64-bit, machine checks enabled; big-endian, real mode */
#define MSR (1ULL << 63 | 1ULL << 12)

/* Linux arch/powerpc/include/uapi/asm/cputable.h: PPC_FEATURE2_ARCH_3_00 in AT_HWCAP2 */
#define FEATURE2_ARCH_3_00 0x00800000UL

/* The guest counts at r5 for ever: 1: ld r4,0(r5); addi r4,r4,1; std r4,0(r5); b 1b */
#define PROGRAM_AT 0x100
static const guint32 program[] = {0xe8850000, 0x38840001, 0xf8850000, 0x4bfffff4};

#define WAIT_SECONDS 60

/* Linux arch/powerpc/include/asm/reg.h */
#define PVR_POWER9 0x4e

/* POWER9 and later: the HPT format of ISA 3.0 inside */
gboolean
hostIsArch300(void)
{
    return (getauxval(AT_HWCAP2) & FEATURE2_ARCH_3_00) != 0;
}

static gboolean
cpuinfoHas(const char *words)
{
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL));
    return strstr(text, words) != NULL;
}

/* Whether the host itself, and by default its VMs, translate through radix trees */
gboolean
hostIsRadix(void)
{
    return cpuinfoHas(": Radix");
}

/*
 * Whether its kernel says that hash guests run beside a host or guests that use radix: POWER9
 * before 2.02 cannot have both on a core (Linux arch/powerpc/kvm/book3s_hv.c
 * kvmppc_hash_v3_possible()). QEMU 7.2 emulates 2.0, QEMU 10 emulates 2.2.
 */
gboolean
hostMixesMmus(void)
{
    static const char mark[] = "(pvr ";
    g_autofree char *text = NULL;
    const char *pvr;
    char *end;
    guint64 chip;
    guint64 revision;

    g_assert_true(g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL));
    pvr = strstr(text, mark);
    g_assert_nonnull(pvr);
    chip = g_ascii_strtoull(pvr + strlen(mark), &end, 16);
    revision = g_ascii_strtoull(end, NULL, 16);
    if (chip != PVR_POWER9)
        return TRUE;
    return (revision & 0xfff) >= ((revision & 0xe000) == 0x2000 ? 0x101 : 0x202);
}

/* Whether the host is a guest itself, whose VMs are nested ones */
gboolean
hostIsGuest(void)
{
    return cpuinfoHas(": pSeries");
}

HostVm *
hostVmNew(void)
{
    HostVm *vm = g_new0(HostVm, 1);

    vm->vcpuFd = -1;
    vm->exitReason = -1;
    vm->kvmFd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    g_assert_cmpint(vm->kvmFd, >=, 0);
    vm->fd = ioctl(vm->kvmFd, KVM_CREATE_VM, (gulong)TYPE_HV);
    g_assert_cmpint(vm->fd, >=, 0);
    return vm;
}

/* With an empty table of @order */
HostVm *
hostVmNewWithTable(guint order)
{
    HostVm *vm = hostVmNew();

    g_assert_cmpint(hostVmAllocate(vm, order), ==, 0);
    return vm;
}

/* With an empty table of @order, and a guest that will count when it runs */
HostVm *
hostVmNewThatCounts(guint order)
{
    HostVm *vm = hostVmNewWithTable(order);

    hostVmAddMemory(vm);
    hostVmAddVcpu(vm);
    return vm;
}

void
hostVmFree(HostVm *vm)
{
    if (!vm)
        return;
    hostVmStop(vm);
    if (vm->run)
        munmap(vm->run, vm->runSize);
    if (vm->vcpuFd >= 0)
        close(vm->vcpuFd);
    close(vm->fd);
    close(vm->kvmFd);
    if (vm->memory)
        munmap(vm->memory, HOST_VM_MEMORY);
    g_free(vm);
}

/* KVM_PPC_ALLOCATE_HTAB; 0 or errno */
int
hostVmAllocate(HostVm *vm, guint order)
{
    guint32 value = order;

    return ioctl(vm->fd, KVM_PPC_ALLOCATE_HTAB, &value) < 0 ? errno : 0;
}

/* KVM_PPC_RESIZE_HPT_PREPARE or _COMMIT: what it returns, or a negative errno */
int
hostVmResize(HostVm *vm, gulong request, guint order)
{
    struct kvm_ppc_resize_hpt resize = {.shift = order};
    int result = ioctl(vm->fd, request, &resize);

    return result < 0 ? -errno : result;
}

/* KVM_PPC_CONFIGURE_V3_MMU: 0 or errno; 0 and 0 is hash */
int
hostVmConfigureMmu(HostVm *vm, guint64 flags, guint64 processTable)
{
    MmuV3Cfg argument = {.flags = flags, .processTable = processTable};

    return ioctl(vm->fd, CONFIGURE_V3_MMU, &argument) < 0 ? errno : 0;
}

gint
hostVmCapability(const HostVm *vm, glong capability)
{
    return ioctl(vm->fd, KVM_CHECK_EXTENSION, capability);
}

/* KVM_PPC_GET_HTAB_FD as it is: a descriptor, or a negative errno */
int
hostVmGetHtab(const HostVm *vm, guint64 flags, guint64 start, guint64 reserved)
{
    GetHtabFd argument = {.flags = flags, .startIndex = start, .reserved = {reserved, reserved}};
    int fd = ioctl(vm->fd, GET_HTAB_FD, &argument);

    return fd < 0 ? -errno : fd;
}

void
hostVmAddMemory(HostVm *vm)
{
    struct kvm_userspace_memory_region region = {.memory_size = HOST_VM_MEMORY};

    vm->memory =
        mmap(NULL, HOST_VM_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_assert_true(vm->memory != MAP_FAILED);
    /* Ordinary pages, so that their size is what the tests expect */
    madvise(vm->memory, HOST_VM_MEMORY, MADV_NOHUGEPAGE);
    memset(vm->memory, 0, HOST_VM_MEMORY);
    region.userspace_addr = (guint64)(gsize)vm->memory;
    g_assert_cmpint(ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region), ==, 0);

    hostVmLoad(vm, program, G_N_ELEMENTS(program));
}

/* Another program, of @n instructions, than one that counts; r5 is HOST_VM_COUNTER when it begins
 */
void
hostVmLoad(HostVm *vm, const guint32 *code, guint n)
{
    for (guint i = 0; i < n; i++) {
        guint32 word = GUINT32_TO_BE(code[i]);

        memcpy(vm->memory + PROGRAM_AT + i * sizeof(word), &word, sizeof(word));
    }
}

/* A vCPU that will run the program */
void
hostVmAddVcpu(HostVm *vm)
{
    struct kvm_enable_cap papr = {.cap = KVM_CAP_PPC_PAPR};
    PpcRegs regs = {.pc = PROGRAM_AT, .msr = MSR};
    int size = ioctl(vm->kvmFd, KVM_GET_VCPU_MMAP_SIZE, 0);

    g_assert_cmpint(size, >, 0);
    vm->runSize = (gsize)size;
    vm->vcpuFd = ioctl(vm->fd, KVM_CREATE_VCPU, 0);
    g_assert_cmpint(vm->vcpuFd, >=, 0);
    vm->run = mmap(NULL, vm->runSize, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpuFd, 0);
    g_assert_true(vm->run != MAP_FAILED);
    g_assert_cmpint(ioctl(vm->vcpuFd, KVM_ENABLE_CAP, &papr), ==, 0);
    regs.gpr[5] = HOST_VM_COUNTER;
    g_assert_cmpint(ioctl(vm->vcpuFd, SET_REGS, &regs), ==, 0);
}

guint64
hostVmGetLpcr(const HostVm *vm)
{
    guint64 value = 0;
    struct kvm_one_reg reg = {.id = REG_PPC_LPCR_64, .addr = (guint64)(gsize)&value};

    g_assert_cmpint(ioctl(vm->vcpuFd, KVM_GET_ONE_REG, &reg), ==, 0);
    return value;
}

static void
interrupt(G_GNUC_UNUSED int number)
{
}

static gpointer
runVcpu(gpointer data)
{
    HostVm *vm = data;
    const struct kvm_run *run = vm->run;

    g_atomic_int_set(&vm->threadId, gettid());
    while (!g_atomic_int_get(&vm->stop)) {
        if (ioctl(vm->vcpuFd, KVM_RUN, 0) < 0) {
            if (errno == EINTR)
                continue;
            g_atomic_int_set(&vm->exitReason, errno);
            break;
        }
        if (run->exit_reason != KVM_EXIT_INTR) {
            g_atomic_int_set(&vm->exitReason, (gint)run->exit_reason);
            break;
        }
    }
    g_atomic_int_set(&vm->threadId, 0);
    return NULL;
}

/* Lets the vCPU run in a thread until hostVmStop() */
void
hostVmStart(HostVm *vm)
{
    struct sigaction action = {.sa_handler = interrupt};

    g_assert_cmpint(sigaction(SIGUSR1, &action, NULL), ==, 0);
    g_atomic_int_set(&vm->stop, 0);
    ((struct kvm_run *)vm->run)->immediate_exit = 0;
    g_atomic_int_set(&vm->threadId, -1);
    vm->thread = g_thread_new("vcpu", runVcpu, vm);
    while (g_atomic_int_get(&vm->threadId) == -1)
        g_usleep(1000);
}

void
hostVmStop(HostVm *vm)
{
    GThread *thread = g_steal_pointer(&vm->thread);

    if (!thread)
        return;
    /* From now on KVM_RUN returns at once; a signal ends the one that is under way */
    ((struct kvm_run *)vm->run)->immediate_exit = 1;
    g_atomic_int_set(&vm->stop, 1);
    while (g_atomic_int_get(&vm->threadId) != 0) {
        tgkill(getpid(), g_atomic_int_get(&vm->threadId), SIGUSR1);
        g_usleep(2000);
    }
    g_thread_join(thread);
}

/* What the guest counted so far */
guint64
hostVmGetCount(const HostVm *vm)
{
    guint64 count;

    memcpy(&count, vm->memory + HOST_VM_COUNTER, sizeof(count));
    return GUINT64_FROM_BE(count);
}

/* What a migration does to memory; both must stand */
void
hostVmCopyMemory(HostVm *to, const HostVm *from)
{
    memcpy(to->memory, from->memory, HOST_VM_MEMORY);
}

/* Waits until the guest counts on */
void
hostVmWaitCount(const HostVm *vm)
{
    guint64 count = hostVmGetCount(vm);
    gint64 deadline = g_get_monotonic_time() + WAIT_SECONDS * G_TIME_SPAN_SECOND;

    while (hostVmGetCount(vm) < count + 100) {
        g_assert_cmpint(g_atomic_int_get(&vm->exitReason), ==, -1);
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(2000);
    }
}

/* For as long as it takes to count */
void
hostVmRunAndStop(HostVm *vm)
{
    hostVmStart(vm);
    hostVmWaitCount(vm);
    hostVmStop(vm);
}
