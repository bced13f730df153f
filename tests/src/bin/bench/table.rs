//! The table at the end: what was measured, what the target is, whether it is met.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

/// Lines in order.
#[derive(Debug, Default)]
pub(crate) struct Table {
    text: String,
}

impl Table {
    /// A number with an upper limit.
    pub(crate) fn limit(&mut self, what: &str, value: f64, unit: &str, limit: f64) {
        let verdict = if value <= limit { "met" } else { "MISSED" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            self.text,
            "{what:<46} {value:>9.2} {unit:<6} at most {limit} {unit}: {verdict}"
        );
    }

    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self.text.as_bytes())
    }
}
