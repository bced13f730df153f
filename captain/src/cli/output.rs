//! Writing to standard output and standard error. One place, so that a closed pipe or a full disk is an error with a
//! message and not a panic.

use std::io::{self, Write};

use daemon::cli::Failure;
use daemon::exit::Exit;

/// Writes a line to standard output.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    bytes(format!("{text}\n").as_bytes())
}

/// Writes to standard output.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|error| failed("standard output", &error))
}

/// Tells something beside the results, on standard error.
pub(crate) fn note(text: &str) {
    // With standard error closed there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// The exit code of a program whose reader has left, as the shell shows it for SIGPIPE. There is nothing to be told.
pub(crate) const READER_LEFT: Exit = Exit::Passed(128 + 13);

/// A failure to write to `what`.
pub(crate) fn failed(what: &str, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::new(READER_LEFT, format!("nobody reads {what} any more"));
    }
    Failure::new(Exit::Io, format!("cannot write to {what}: {error}"))
}

/// Rows in aligned columns, the last one ragged.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| console::measure_text_width(cell))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| super::text::pad(cell, width));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [
            vec!["a".to_owned(), "漢".to_owned(), "x y".to_owned()],
            vec!["bbb".to_owned(), String::new(), "z".to_owned()],
        ];
        assert_eq!(table(&rows), "a    漢  x y\nbbb      z\n");
    }
}
