//! Compiles the table to one BPF program for `bwrap --seccomp`. seccompiler gives one refusal per program, so there is one
//! program per kind of refusal, chained: where one would allow, the next one goes on.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use super::{Entry, Refusal, When, entries};

/// Offsets in `struct seccomp_data` and instruction codes, see seccomp(2) and bpf in linux/filter.h.
const OFFSET_NUMBER: u32 = 0;
const LOAD_WORD: u16 = 0x20;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;
/// Numbers from here on are x32 calls, which would bypass a list of 64-bit numbers.
#[cfg(target_arch = "x86_64")]
const FIRST_X32_CALL: u32 = 0x4000_0000;

/// Why the filter cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    /// This processor is not supported.
    #[error("no system call filter for processor {arch}")]
    Architecture {
        /// Its name.
        arch: &'static str,
    },
    /// The table has an impossible entry.
    #[error("the entry for {call} cannot be compiled")]
    Entry {
        /// The system call.
        call: &'static str,
        /// What the compiler said.
        #[source]
        source: seccompiler::BackendError,
    },
    /// The program is impossible as a whole, for example too long.
    #[error("the filter cannot be compiled")]
    Compile(#[source] seccompiler::BackendError),
}

/// The filter as bytes: an array of `struct sock_filter` in native byte order, what `bwrap --seccomp` reads.
///
/// # Errors
/// The processor is not supported, or the table cannot be compiled.
pub fn program() -> Result<Vec<u8>, SeccompError> {
    let arch =
        TargetArch::try_from(std::env::consts::ARCH).map_err(|_| SeccompError::Architecture {
            arch: std::env::consts::ARCH,
        })?;
    let mut groups: BTreeMap<Refusal, BTreeMap<i64, Vec<SeccompRule>>> = BTreeMap::new();
    for entry in entries() {
        let rules = rules(&entry).map_err(|source| SeccompError::Entry {
            call: entry.name,
            source,
        })?;
        groups
            .entry(entry.refusal)
            .or_default()
            .entry(entry.number)
            .or_default()
            .extend(rules);
    }
    let mut programs = Vec::with_capacity(groups.len());
    for (refusal, rules) in groups {
        let filter = SeccompFilter::new(
            rules,
            SeccompAction::Allow,
            SeccompAction::Errno(errno(refusal)),
            arch,
        );
        programs.push(
            filter
                .and_then(BpfProgram::try_from)
                .map_err(SeccompError::Compile)?,
        );
    }
    let mut whole = foreign_calls();
    let last = programs.len().saturating_sub(1);
    for (index, mut part) in programs.into_iter().enumerate() {
        if index < last {
            continue_where_allowed(&mut part);
        }
        whole.append(&mut part);
    }
    Ok(whole.iter().flat_map(bytes).collect())
}

fn errno(refusal: Refusal) -> u32 {
    let number = match refusal {
        Refusal::Eperm => libc::EPERM,
        Refusal::Enosys => libc::ENOSYS,
        Refusal::Eafnosupport => libc::EAFNOSUPPORT,
    };
    number.unsigned_abs()
}

/// The rules of one entry; any of them refuses the call. An empty list refuses it always.
fn rules(entry: &Entry) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let low = SeccompCmpArgLen::Dword;
    let compare = |argument, operator, value: u32| {
        SeccompCondition::new(argument, low.clone(), operator, value.into())
    };
    let all_set =
        |argument, bits: u32| compare(argument, SeccompCmpOp::MaskedEq(bits.into()), bits);
    match entry.when {
        When::Always => Ok(Vec::new()),
        When::AnyBit { argument, bits } => each_bit(bits)
            .map(|bit| SeccompRule::new(vec![all_set(argument, bit)?]))
            .collect(),
        When::AnyBitWith {
            argument,
            bits,
            flags,
        } => each_bit(bits)
            .map(|bit| SeccompRule::new(vec![all_set(argument, bit)?, all_set(flags.0, flags.1)?]))
            .collect(),
        When::Equals { argument, value } => Ok(vec![SeccompRule::new(vec![compare(
            argument,
            SeccompCmpOp::Eq,
            value,
        )?])?]),
        When::NoneOf { argument, values } => {
            let conditions: Result<Vec<_>, _> = values
                .iter()
                .map(|&value| compare(argument, SeccompCmpOp::Ne, value))
                .collect();
            Ok(vec![SeccompRule::new(conditions?)?])
        }
        When::EqualsBut { equal, differ } => Ok(vec![SeccompRule::new(vec![
            compare(equal.0, SeccompCmpOp::Eq, equal.1)?,
            compare(differ.0, SeccompCmpOp::Ne, differ.1)?,
        ])?]),
    }
}

/// The single bits of a mask: a rule can demand that all bits of a mask are set, so "any bit" is one rule per bit.
fn each_bit(mask: u32) -> impl Iterator<Item = u32> {
    (0..u32::BITS)
        .map(|shift| 1 << shift)
        .filter(move |bit| mask & bit != 0)
}

/// Refuses the x32 variant of every call.
#[cfg(target_arch = "x86_64")]
fn foreign_calls() -> Vec<sock_filter> {
    vec![
        sock_filter {
            code: LOAD_WORD,
            jt: 0,
            jf: 0,
            k: OFFSET_NUMBER,
        },
        sock_filter {
            code: JUMP_IF_AT_LEAST,
            jt: 0,
            jf: 1,
            k: FIRST_X32_CALL,
        },
        sock_filter {
            code: RETURN,
            jt: 0,
            jf: 0,
            k: libc::SECCOMP_RET_ERRNO | errno(Refusal::Enosys),
        },
    ]
}

#[cfg(not(target_arch = "x86_64"))]
fn foreign_calls() -> Vec<sock_filter> {
    Vec::new()
}

/// Replaces "allow" by a jump behind the program, where the next one begins.
fn continue_where_allowed(part: &mut [sock_filter]) {
    let length = part.len();
    for (position, instruction) in part.iter_mut().enumerate() {
        if instruction.code == RETURN && instruction.k == libc::SECCOMP_RET_ALLOW {
            let distance = u32::try_from(length - position - 1).unwrap_or(u32::MAX);
            *instruction = sock_filter {
                code: JUMP,
                jt: 0,
                jf: 0,
                k: distance,
            };
        }
    }
}

fn bytes(instruction: &sock_filter) -> [u8; 8] {
    let [c0, c1] = instruction.code.to_ne_bytes();
    let [k0, k1, k2, k3] = instruction.k.to_ne_bytes();
    [c0, c1, instruction.jt, instruction.jf, k0, k1, k2, k3]
}

#[cfg(test)]
mod tests;
