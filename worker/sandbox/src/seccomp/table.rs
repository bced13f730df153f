//! The entries of the filter. Add a line with its reason; a test checks that no call is listed twice with the same condition.

use super::{Entry, Refusal, When};

const NAMESPACES: &str = "new namespaces open kernel code that only root could reach before";
const MOUNTS: &str = "the file tree is part of the wall";
const TRACE: &str = "reads or writes other processes, init among them";
const KEYS: &str = "keyrings are not in a namespace: keys leak between sandboxes";
const KERNEL: &str = "changes the running kernel or machine";
const CLOCK: &str = "the clock belongs to the machine";
const MEMORY: &str = "moves memory of other processes or widens kernel bugs";
const RING: &str = "io_uring performs calls that no filter sees";
const SETID: &str =
    "a set-uid file in the workspace would give its owner's rights to anybody on the host";
const OLD: &str = "obsolete, and a rarely tested part of the kernel";

/// Flags of clone(2) and unshare(2) that make a namespace. CLONE_NEWTIME is not among clone's: there its bit is in the signal.
const NEW_NAMESPACE: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;
/// CLONE_NEWTIME of unshare(2).
const NEW_TIME_NAMESPACE: u32 = 0x80;
const SET_ID_BITS: u32 = libc::S_ISUID | libc::S_ISGID;
/// The bit of O_TMPFILE (open(2)) that is not also O_DIRECTORY. Without it or O_CREAT the mode argument is not read, and may be
/// whatever was in the register.
const TMPFILE: u32 = (libc::O_TMPFILE & !libc::O_DIRECTORY) as u32;
/// personality(2): read it, Linux, and Linux with 32-bit addresses (some builders); not without address randomisation.
const PERSONALITIES: &[u32] = &[0, 0xffff_ffff, 0x0008];
/// Unix and IP sockets, and netlink for interface lists.
const FAMILIES: &[u32] = &[
    libc::AF_UNIX as u32,
    libc::AF_INET as u32,
    libc::AF_INET6 as u32,
    libc::AF_NETLINK as u32,
    libc::AF_UNSPEC as u32,
];

macro_rules! refuse {
    ($list:ident, $refusal:ident, $reason:expr, $when:expr, [$($name:ident => $number:ident),+ $(,)?]) => {
        $($list.push(Entry { name: stringify!($name), number: libc::$number, when: $when, refusal: Refusal::$refusal, reason: $reason });)+
    };
}

pub(super) fn entries() -> Vec<Entry> {
    let mut list = Vec::with_capacity(128);

    refuse!(list, Eperm, NAMESPACES, When::AnyBit { argument: 0, bits: NEW_NAMESPACE }, [clone => SYS_clone]);
    refuse!(list, Eperm, NAMESPACES, When::AnyBit { argument: 0, bits: NEW_NAMESPACE | NEW_TIME_NAMESPACE }, [unshare => SYS_unshare]);
    refuse!(list, Enosys, "its flags are in memory, where the filter cannot read them; libc falls back to clone", When::Always, [clone3 => SYS_clone3]);
    refuse!(list, Eperm, NAMESPACES, When::Always, [setns => SYS_setns]);
    refuse!(list, Eperm, MOUNTS, When::Always, [
        mount => SYS_mount, umount2 => SYS_umount2, pivot_root => SYS_pivot_root, chroot => SYS_chroot,
        open_tree => SYS_open_tree, move_mount => SYS_move_mount, fsopen => SYS_fsopen, fsconfig => SYS_fsconfig,
        fsmount => SYS_fsmount, fspick => SYS_fspick, mount_setattr => SYS_mount_setattr,
        open_by_handle_at => SYS_open_by_handle_at, fanotify_init => SYS_fanotify_init,
        quotactl => SYS_quotactl, quotactl_fd => SYS_quotactl_fd, swapon => SYS_swapon, swapoff => SYS_swapoff,
    ]);
    refuse!(list, Eperm, TRACE, When::Always, [
        ptrace => SYS_ptrace, process_vm_readv => SYS_process_vm_readv, process_vm_writev => SYS_process_vm_writev,
        process_madvise => SYS_process_madvise, kcmp => SYS_kcmp, pidfd_getfd => SYS_pidfd_getfd,
        perf_event_open => SYS_perf_event_open,
    ]);
    refuse!(list, Eperm, KEYS, When::Always, [keyctl => SYS_keyctl, add_key => SYS_add_key, request_key => SYS_request_key]);
    refuse!(list, Eperm, KERNEL, When::Always, [
        bpf => SYS_bpf, init_module => SYS_init_module, finit_module => SYS_finit_module, delete_module => SYS_delete_module,
        kexec_load => SYS_kexec_load, reboot => SYS_reboot, syslog => SYS_syslog,
        acct => SYS_acct, sethostname => SYS_sethostname, setdomainname => SYS_setdomainname, vhangup => SYS_vhangup,
        nfsservctl => SYS_nfsservctl, lookup_dcookie => SYS_lookup_dcookie,
    ]);
    refuse!(list, Eperm, CLOCK, When::Always, [settimeofday => SYS_settimeofday, clock_settime => SYS_clock_settime, clock_adjtime => SYS_clock_adjtime, adjtimex => SYS_adjtimex]);
    refuse!(list, Eperm, MEMORY, When::Always, [
        userfaultfd => SYS_userfaultfd, move_pages => SYS_move_pages, migrate_pages => SYS_migrate_pages,
        mbind => SYS_mbind, set_mempolicy => SYS_set_mempolicy, memfd_secret => SYS_memfd_secret,
    ]);
    refuse!(list, Enosys, RING, When::Always, [io_uring_setup => SYS_io_uring_setup, io_uring_enter => SYS_io_uring_enter, io_uring_register => SYS_io_uring_register]);
    refuse!(list, Eperm, "switches off address randomisation or emulates other systems", When::NoneOf { argument: 0, values: PERSONALITIES }, [personality => SYS_personality]);
    refuse!(list, Eperm, "puts characters into the input of the terminal's owner", When::Equals { argument: 1, value: 0x5412 }, [ioctl => SYS_ioctl]);
    refuse!(list, Eperm, "pastes into the console (TIOCLINUX)", When::Equals { argument: 1, value: 0x541c }, [ioctl => SYS_ioctl]);
    refuse!(list, Eafnosupport, "vsock reaches the hypervisor, packet, alg and others are seldom tested kernel code", When::NoneOf { argument: 0, values: FAMILIES }, [socket => SYS_socket, socketpair => SYS_socketpair]);
    refuse!(list, Eafnosupport, "of netlink only routing is needed, to list interfaces", When::EqualsBut { equal: (0, libc::AF_NETLINK as u32), differ: (2, libc::NETLINK_ROUTE as u32) }, [socket => SYS_socket]);

    refuse!(list, Eperm, SETID, When::AnyBit { argument: 1, bits: SET_ID_BITS }, [fchmod => SYS_fchmod]);
    refuse!(list, Eperm, SETID, When::AnyBit { argument: 2, bits: SET_ID_BITS }, [fchmodat => SYS_fchmodat, mknodat => SYS_mknodat]);
    for creates in [libc::O_CREAT as u32, TMPFILE] {
        refuse!(list, Eperm, SETID, When::AnyBitWith { argument: 3, bits: SET_ID_BITS, flags: (2, creates) }, [openat => SYS_openat]);
    }
    refuse!(list, Enosys, "its mode is in memory, where the filter cannot read it; programs fall back to openat", When::Always, [openat2 => SYS_openat2]);
    refuse!(list, Enosys, "programs fall back to fchmodat, which is filtered", When::Always, [fchmodat2 => SYS_fchmodat2]);

    architecture(&mut list);
    list
}

/// Calls that only x86-64 has.
#[cfg(target_arch = "x86_64")]
fn architecture(list: &mut Vec<Entry>) {
    refuse!(list, Eperm, KERNEL, When::Always, [kexec_file_load => SYS_kexec_file_load, iopl => SYS_iopl, ioperm => SYS_ioperm]);
    refuse!(list, Eperm, OLD, When::Always, [modify_ldt => SYS_modify_ldt, uselib => SYS_uselib, ustat => SYS_ustat, sysfs => SYS_sysfs, _sysctl => SYS__sysctl]);
    refuse!(list, Eperm, SETID, When::AnyBit { argument: 1, bits: SET_ID_BITS }, [chmod => SYS_chmod, creat => SYS_creat, mknod => SYS_mknod]);
    for creates in [libc::O_CREAT as u32, TMPFILE] {
        refuse!(list, Eperm, SETID, When::AnyBitWith { argument: 2, bits: SET_ID_BITS, flags: (1, creates) }, [open => SYS_open]);
    }
}

/// Calls that only 64-bit ARM has.
#[cfg(target_arch = "aarch64")]
fn architecture(list: &mut Vec<Entry>) {
    refuse!(list, Eperm, KERNEL, When::Always, [kexec_file_load => SYS_kexec_file_load]);
}
