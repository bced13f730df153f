//! The table at the end: what was measured, what the target is, whether it is met.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

/// One comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) bare: f64,
    pub(crate) ours: f64,
}

/// Lines in order.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Row>,
    text: String,
}

impl Table {
    pub(crate) fn new() -> Self {
        let text = format!(
            "{:<46} {:>12} {:>12} {:>9}  target\n",
            "", "bare", "ours", ""
        );
        Self {
            rows: Vec::new(),
            text,
        }
    }

    /// Both sides of a comparison, and how much of the bare rate is ours; the target is a percentage.
    pub(crate) fn compare(&mut self, what: &str, unit: &str, row: &Row, target: Option<f64>) {
        let percent = 100.0 * row.ours / row.bare;
        let verdict = target.map_or(String::new(), |target| {
            format!("at least {target:.0} %: {}", met(percent >= target))
        });
        let what = format!("{what} ({unit})");
        self.line(
            &what,
            &format!("{:.0}", row.bare),
            &format!("{:.0}", row.ours),
            &format!("{percent:.1} %"),
            &verdict,
        );
        self.rows.push(*row);
    }

    /// How much more an event of row `long` costs than one of row `short`.
    pub(crate) fn flat(&mut self, what: &str, short: usize, long: usize) {
        if let (Some(short), Some(long)) = (self.rows.get(short), self.rows.get(long)) {
            let factor = short.ours / long.ours;
            let verdict = format!("at most 1.25 times: {}", met(factor <= 1.25));
            self.line(what, "", "", &format!("x {factor:.2}"), &verdict);
        }
    }

    /// A number with an upper limit.
    pub(crate) fn limit(&mut self, what: &str, value: f64, unit: &str, limit: f64) {
        let verdict = format!("at most {limit} {unit}: {}", met(value <= limit));
        self.line(what, "", &format!("{value:.2} {unit}"), "", &verdict);
    }

    fn line(&mut self, what: &str, bare: &str, ours: &str, share: &str, verdict: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            self.text,
            "{what:<46} {bare:>12} {ours:>12} {share:>9}  {verdict}"
        );
    }

    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self.text.as_bytes())
    }
}

fn met(holds: bool) -> &'static str {
    if holds { "met" } else { "MISSED" }
}
