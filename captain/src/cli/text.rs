//! Text on its way to a terminal. What agents, tools and file names say is a stranger's text: control characters and
//! escape sequences in it could move the cursor, change the window's title or forge lines, so they never get through.

use console::measure_text_width;

/// One line of harmless text: escape sequences and control characters are gone, blanks are single.
pub(crate) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            // CSI sequences end with a byte from @ to ~ (ECMA-48 §5.4); of others only the introducer is dropped.
            if chars.next_if_eq(&'[').is_some() {
                while chars.next_if(|c| !('@'..='~').contains(c)).is_some() {}
                chars.next();
            }
        } else if c.is_whitespace() {
            if !clean.is_empty() && !clean.ends_with(' ') {
                clean.push(' ');
            }
        } else if !c.is_control() && !is_direction(c) {
            clean.push(c);
        }
    }
    clean.truncate(clean.trim_end().len());
    clean
}

/// Text of several lines without what could steer a terminal.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .filter(|&c| matches!(c, '\n' | '\t') || !(c.is_control() || is_direction(c)))
        .collect()
}

/// Marks that turn the direction of writing (Unicode UAX #9), with which a text can look like another one.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// At most `width` columns of `text`; what is cut off is shown by an ellipsis.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if measure_text_width(text) <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = measure_text_width(c.encode_utf8(&mut [0; 4]));
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        cut.push(c);
    }
    if width > 0 {
        cut.push('…');
    }
    cut
}

/// `text` with blanks up to `width` columns.
pub(crate) fn pad(text: &str, width: usize) -> String {
    format!(
        "{text}{}",
        " ".repeat(width.saturating_sub(measure_text_width(text)))
    )
}

/// A length of time as `m:ss` or `h:mm:ss`.
pub(crate) fn clock(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// A number with its noun.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// A size for people.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!(
        "{}.{} {}",
        tenths / 10,
        tenths % 10,
        UNITS.get(unit).copied().unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_steer_the_terminal() {
        for (text, expected) in [
            ("\u{1b}[2J\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}x", "]0;titlex"),
            ("a\r\nb\tc  d\n", "a b c d"),
            ("exe\u{202e}txt", "exetxt"),
            ("\u{1b}[", ""),
            ("\u{9b}31m", "31m"),
            ("  ", ""),
        ] {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }

    #[test]
    fn cutting_counts_columns() {
        for (text, width, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("漢字漢字", 5, "漢字…"),
            ("ab", 0, ""),
            ("ab", 1, "…"),
        ] {
            assert_eq!(cut(text, width), expected);
        }
        assert_eq!(pad("漢", 4), "漢  ");
    }

    #[test]
    fn times_and_sizes_are_short() {
        assert_eq!(
            [clock(-1), clock(7), clock(75), clock(3675)],
            ["0:00", "0:07", "1:15", "1:01:15"]
        );
        assert_eq!(
            [size(0), size(1023), size(1536), size(5 << 20)],
            ["0 B", "1023 B", "1.5 KiB", "5.0 MiB"]
        );
        assert_eq!([count(0, "file"), count(1, "file")], ["0 files", "1 file"]);
    }
}
