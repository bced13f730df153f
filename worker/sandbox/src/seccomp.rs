//! The system call filter as data: everything is allowed but what is listed, and each entry says why. Here because the list is
//! what people audit. It must not break what coding agents run: git, shells, compilers, node, python, bun (tests run them).
//!
//! A deny list, since agents run arbitrary developer tools: it removes the kernel's attack surface that such tools do not need,
//! behind namespaces, empty capabilities and landlock. Refusals are `EPERM`, or `ENOSYS` where programs then fall back.

mod compile;
mod table;

pub use self::compile::{SeccompError, program};

/// What a refused call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Not permitted.
    Eperm,
    /// Not implemented: programs fall back to an older call whose arguments the filter can read.
    Enosys,
    /// Address family not supported, what programs expect from socket(2).
    Eafnosupport,
}

/// When an entry applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// When any of the bits is set in the low 32 bits of the argument.
    AnyBit {
        /// Index of the argument.
        argument: u8,
        /// The bits.
        bits: u32,
    },
    /// When any of the bits is set in one argument while all `flags` are set in another (index, flags).
    AnyBitWith {
        /// Index of the argument.
        argument: u8,
        /// The bits.
        bits: u32,
        /// Index of the other argument and what must be set there.
        flags: (u8, u32),
    },
    /// When the low 32 bits of the argument equal the value.
    Equals {
        /// Index of the argument.
        argument: u8,
        /// The value.
        value: u32,
    },
    /// When the low 32 bits of the argument are none of the values.
    NoneOf {
        /// Index of the argument.
        argument: u8,
        /// The allowed values.
        values: &'static [u32],
    },
    /// When one argument equals a value and another one does not equal another.
    EqualsBut {
        /// Index and value that must be equal.
        equal: (u8, u32),
        /// Index and value that must differ.
        differ: (u8, u32),
    },
}

/// One refused call.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Name of the call (syscalls(2)).
    pub name: &'static str,
    /// Its number on this architecture.
    pub number: i64,
    /// When it is refused.
    pub when: When,
    /// With what.
    pub refusal: Refusal,
    /// Why.
    pub reason: &'static str,
}

/// The whole list for this architecture.
pub fn entries() -> Vec<Entry> {
    table::entries()
}
