//! The compiled filter, run by a small interpreter: what the table says is what the program answers.

use std::collections::BTreeSet;

use super::*;

/// `struct seccomp_data`, little-endian: number, architecture, instruction pointer, six arguments.
fn data(number: u32, arch: u32, arguments: [u64; 6]) -> Vec<u8> {
    let mut data = Vec::new();
    data.extend(number.to_le_bytes());
    data.extend(arch.to_le_bytes());
    data.extend(0_u64.to_le_bytes());
    for argument in arguments {
        data.extend(argument.to_le_bytes());
    }
    data
}

/// Runs classic BPF as far as seccomp programs use it.
fn run(program: &[u8], data: &[u8]) -> u32 {
    let instructions: Vec<(u16, u8, u8, u32)> = program
        .chunks(8)
        .map(|c| {
            (
                u16::from_ne_bytes([c[0], c[1]]),
                c[2],
                c[3],
                u32::from_ne_bytes([c[4], c[5], c[6], c[7]]),
            )
        })
        .collect();
    let (mut at, mut accumulator) = (0_usize, 0_u32);
    loop {
        let (code, yes, no, k) = instructions[at];
        at += 1;
        let jump = |holds: bool| usize::from(if holds { yes } else { no });
        match code {
            0x20 => {
                accumulator =
                    u32::from_le_bytes(data[k as usize..k as usize + 4].try_into().unwrap())
            }
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => at += jump(accumulator == k),
            0x25 => at += jump(accumulator > k),
            0x35 => at += jump(accumulator >= k),
            0x06 => return k,
            other => panic!("instruction {other:#x} is not used by seccompiler"),
        }
    }
}

const ARCH: u32 = if cfg!(target_arch = "x86_64") {
    0xc000_003e
} else {
    0xc000_00b7
};
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

fn ask(number: i64, arguments: [u64; 6]) -> u32 {
    run(
        &program().unwrap(),
        &data(u32::try_from(number).unwrap(), ARCH, arguments),
    )
}

fn refused(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno.unsigned_abs()
}

#[test]
fn every_unconditional_entry_is_refused_as_the_table_says() {
    for entry in entries()
        .into_iter()
        .filter(|entry| entry.when == When::Always)
    {
        assert_eq!(
            ask(entry.number, [0; 6]),
            libc::SECCOMP_RET_ERRNO | errno(entry.refusal),
            "{}",
            entry.name
        );
    }
}

#[test]
fn conditions_refuse_only_what_they_name() {
    let new_user = libc::CLONE_NEWUSER as u64;
    let thread = (libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND) as u64;
    let cases = [
        ("a thread", libc::SYS_clone, [thread, 0, 0, 0, 0, 0], ALLOW),
        (
            "a child",
            libc::SYS_clone,
            [libc::SIGCHLD as u64, 0, 0, 0, 0, 0],
            ALLOW,
        ),
        (
            "a user namespace",
            libc::SYS_clone,
            [new_user | libc::SIGCHLD as u64, 0, 0, 0, 0, 0],
            refused(libc::EPERM),
        ),
        (
            "files of its own",
            libc::SYS_unshare,
            [libc::CLONE_FILES as u64, 0, 0, 0, 0, 0],
            ALLOW,
        ),
        (
            "a time namespace",
            libc::SYS_unshare,
            [0x80, 0, 0, 0, 0, 0],
            refused(libc::EPERM),
        ),
        (
            "terminal size",
            libc::SYS_ioctl,
            [0, 0x5413, 0, 0, 0, 0],
            ALLOW,
        ),
        (
            "TIOCSTI",
            libc::SYS_ioctl,
            [0, 0x5412, 0, 0, 0, 0],
            refused(libc::EPERM),
        ),
        (
            "TIOCSTI with high bits",
            libc::SYS_ioctl,
            [0, 0xdead_0000_5412, 0, 0, 0, 0],
            refused(libc::EPERM),
        ),
        ("TCP", libc::SYS_socket, [2, 1, 0, 0, 0, 0], ALLOW),
        (
            "route netlink",
            libc::SYS_socket,
            [16, 3, 0, 0, 0, 0],
            ALLOW,
        ),
        (
            "audit netlink",
            libc::SYS_socket,
            [16, 3, 9, 0, 0, 0],
            refused(libc::EAFNOSUPPORT),
        ),
        (
            "vsock",
            libc::SYS_socket,
            [40, 1, 0, 0, 0, 0],
            refused(libc::EAFNOSUPPORT),
        ),
        (
            "packet",
            libc::SYS_socket,
            [17, 3, 0, 0, 0, 0],
            refused(libc::EAFNOSUPPORT),
        ),
        (
            "mode 755",
            libc::SYS_fchmodat,
            [0, 0, 0o755, 0, 0, 0],
            ALLOW,
        ),
        (
            "set-uid mode",
            libc::SYS_fchmodat,
            [0, 0, 0o4755, 0, 0, 0],
            refused(libc::EPERM),
        ),
        (
            "open for reading, junk in mode",
            libc::SYS_openat,
            [0, 0, 0, 0o4755, 0, 0],
            ALLOW,
        ),
        (
            "create set-uid",
            libc::SYS_openat,
            [0, 0, libc::O_CREAT as u64, 0o4755, 0, 0],
            refused(libc::EPERM),
        ),
        (
            "read the personality",
            libc::SYS_personality,
            [0xffff_ffff, 0, 0, 0, 0, 0],
            ALLOW,
        ),
        (
            "no address randomisation",
            libc::SYS_personality,
            [0x0004_0000, 0, 0, 0, 0, 0],
            refused(libc::EPERM),
        ),
        ("read", libc::SYS_read, [0; 6], ALLOW),
        ("execve", libc::SYS_execve, [0; 6], ALLOW),
        ("landlock", libc::SYS_landlock_restrict_self, [0; 6], ALLOW),
    ];
    for (what, number, arguments, expected) in cases {
        assert_eq!(ask(number, arguments), expected, "{what}");
    }
}

#[test]
fn foreign_architectures_and_x32_are_not_a_way_around() {
    let program = program().unwrap();
    let i386 = 0x4000_0003;
    assert_eq!(
        run(&program, &data(165, i386, [0; 6])),
        libc::SECCOMP_RET_KILL_PROCESS
    );
    if cfg!(target_arch = "x86_64") {
        assert_eq!(
            run(&program, &data(0x4000_0000 + 165, ARCH, [0; 6])),
            refused(libc::ENOSYS)
        );
    }
}

#[test]
fn table_lists_no_condition_twice_and_fits_the_kernel() {
    let mut seen = BTreeSet::new();
    for entry in entries() {
        assert!(
            seen.insert(format!("{} {:?}", entry.number, entry.when)),
            "{} is listed twice",
            entry.name
        );
        assert!(!entry.reason.is_empty());
    }
    // BPF_MAXINSNS of the kernel.
    assert!(program().unwrap().len() / 8 < 4096);
}
