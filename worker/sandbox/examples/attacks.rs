//! A hostile agent for the tests: tries to get out of the sandbox in every way listed, and prints one line per attempt, `name:
//! allowed` or `name: refused (reason)`. Each attempt that should fail must be a line here. It ships nowhere.
#![expect(unsafe_code, reason = "an attacker calls the kernel directly")]

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A system call with up to four numbers; pointers are null, so nothing is read or written.
fn call(number: i64, arguments: [u64; 4]) -> io::Result<()> {
    let [a, b, c, d] = arguments;
    // SAFETY: every call below passes numbers and null pointers only, or is refused before it reads memory.
    let result = unsafe { libc::syscall(number, a, b, c, d) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn read(path: &str) -> io::Result<()> {
    if fs::metadata(path)?.is_dir() {
        fs::read_dir(path).map(drop)
    } else {
        fs::read(path).map(drop)
    }
}

fn write(path: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map(drop)
}

fn set_uid_file() -> io::Result<()> {
    let path = "/workspace/set-uid";
    fs::write(path, "")?;
    fs::set_permissions(path, Permissions::from_mode(0o4755))
}

fn linked() -> io::Result<()> {
    let _exists = std::os::unix::fs::symlink("/etc/shadow", "/workspace/link");
    read("/workspace/link")
}

fn main() -> io::Result<()> {
    // What the test prepared on the host: a TCP port, an abstract name, a socket file, a secret file.
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [port, name, socket, secret] = &given[..] else {
        return Err(io::Error::other("four arguments are needed"));
    };
    let host: SocketAddr = ([127, 0, 0, 1], port.parse().unwrap_or(0)).into();
    let outside: SocketAddr = ([192, 0, 2, 1], 80).into();
    let second = Duration::from_secs(1);
    let abstract_name = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    let new_user = libc::CLONE_NEWUSER as u64;
    let new_net = libc::CLONE_NEWNET as u64;
    let attempts: Vec<(&str, io::Result<()>)> = vec![
        ("read /root", read("/root")),
        ("read /etc/shadow", read("/etc/shadow")),
        ("read /etc/shadow through a link", linked()),
        ("read the host's /tmp", read(secret)),
        ("read the host's /var", read("/var")),
        ("read the environment of init", read("/proc/1/environ")),
        (
            "look at a descriptor of init",
            fs::read_link("/proc/1/fd/0").map(drop),
        ),
        ("write /", write("/new")),
        ("write /usr", write("/usr/new")),
        ("write /etc", write("/etc/passwd")),
        ("write /dev", write("/dev/new")),
        (
            "write a kernel setting",
            write("/proc/sys/kernel/core_pattern"),
        ),
        ("write own uid map", write("/proc/self/uid_map")),
        ("write the memory of init", write("/proc/1/mem")),
        ("trigger the kernel", write("/proc/sysrq-trigger")),
        (
            "connect to the host's loopback",
            TcpStream::connect_timeout(&host, second).map(drop),
        ),
        (
            "connect to the world",
            TcpStream::connect_timeout(&outside, second).map(drop),
        ),
        (
            "connect to an abstract socket of the host",
            UnixStream::connect_addr(&abstract_name).map(drop),
        ),
        (
            "connect to a socket file of the host",
            UnixStream::connect(socket).map(drop),
        ),
        (
            "a user namespace by unshare",
            call(libc::SYS_unshare, [new_user, 0, 0, 0]),
        ),
        (
            "a network namespace by unshare",
            call(libc::SYS_unshare, [new_net, 0, 0, 0]),
        ),
        (
            "a user namespace by clone",
            call(libc::SYS_clone, [new_user | libc::SIGCHLD as u64, 0, 0, 0]),
        ),
        ("clone3", call(libc::SYS_clone3, [0; 4])),
        ("join a namespace", call(libc::SYS_setns, [0; 4])),
        ("mount", call(libc::SYS_mount, [0; 4])),
        ("unmount", call(libc::SYS_umount2, [0; 4])),
        ("chroot", call(libc::SYS_chroot, [0; 4])),
        (
            "trace init",
            call(libc::SYS_ptrace, [libc::PTRACE_ATTACH.into(), 1, 0, 0]),
        ),
        (
            "read the memory of init",
            call(libc::SYS_process_vm_readv, [1, 0, 0, 0]),
        ),
        ("become root", call(libc::SYS_setuid, [0; 4])),
        ("keyrings", call(libc::SYS_keyctl, [0; 4])),
        ("bpf", call(libc::SYS_bpf, [0; 4])),
        ("io_uring", call(libc::SYS_io_uring_setup, [8, 0, 0, 0])),
        ("userfaultfd", call(libc::SYS_userfaultfd, [0; 4])),
        ("perf events", call(libc::SYS_perf_event_open, [0; 4])),
        (
            "type into the terminal",
            call(libc::SYS_ioctl, [0, 0x5412, 0, 0]),
        ),
        (
            "a vsock to the hypervisor",
            call(libc::SYS_socket, [40, 1, 0, 0]),
        ),
        ("a packet socket", call(libc::SYS_socket, [17, 3, 0, 0])),
        ("a crypto socket", call(libc::SYS_socket, [38, 5, 0, 0])),
        ("audit netlink", call(libc::SYS_socket, [16, 3, 9, 0])),
        (
            "no address randomisation",
            call(libc::SYS_personality, [0x0004_0000, 0, 0, 0]),
        ),
        ("a set-uid file by chmod", set_uid_file()),
        (
            "a set-uid file by open",
            File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o4755)
                .open("/workspace/set-uid-2")
                .map(drop),
        ),
        ("host name", call(libc::SYS_sethostname, [0; 4])),
    ];
    let mut out = io::stdout().lock();
    for (what, result) in attempts {
        match result {
            Ok(()) => writeln!(out, "{what}: allowed")?,
            Err(error) => writeln!(out, "{what}: refused ({error})")?,
        }
    }
    Ok(())
}
