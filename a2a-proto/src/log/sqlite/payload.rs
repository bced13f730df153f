//! The format of the table `events`. `id`: the task's key and the number of the first event in one number. `payload`:
//! a run of events, in one of two forms.
//!
//! The older form, of databases before version 3: every event as its length in bytes (u32, little endian) and its JSON.
//!
//! The present form: four bytes 0xff, which are no length, and a byte that says whether the run begins a task. If so the
//! [`Begin`] of the task follows, as three texts; a byte 0 or 1 before the client's says whether it has one. Then every
//! event: how many bytes it has in common with the beginning of the one before it, how many more there are, and these.
//! Numbers are LEB128, texts are a length and UTF-8.

use bytes::Bytes;

use crate::log::storage::{Prepared, TaskKey, TaskMeta};
use crate::log::{Alias, LoggedEvent};

/// How many bits of an id are the event's number; the log refuses numbers that need more.
const SEQ_BITS: u32 = 32;

/// What the present form begins with.
const MARK: [u8; 4] = [0xff; 4];

/// The byte after [`MARK`].
const GOES_ON: u8 = 0;
const BEGINS: u8 = 1;

/// What events have in common are the names and ids at their beginning. More would only be found in the output of a
/// program that repeats itself.
const COMMON: usize = 160;

/// What stands before the first event of a task: with the event itself it is all that the task's row is made of, so the
/// row can be written later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Begin {
    pub(super) owner: String,
    pub(super) alias: Option<Alias>,
}

/// The id of the row that begins with event `first` of the task `key`.
pub(super) fn row_id(key: TaskKey, first: u64) -> i64 {
    (key << SEQ_BITS) | first.cast_signed()
}

/// The number of the first event of a row.
pub(super) fn first_of(row_id: i64) -> u64 {
    row_id.cast_unsigned() & ((1 << SEQ_BITS) - 1)
}

/// The task of a row.
pub(super) fn key_of(row_id: i64) -> TaskKey {
    row_id >> SEQ_BITS
}

/// Writes `events` to `payload`, replacing what is there; `begin` is whose they are, when the first is the task itself.
pub(super) fn write(payload: &mut Vec<u8>, begin: Option<&TaskMeta>, events: &[Prepared]) {
    payload.clear();
    payload.extend_from_slice(&MARK);
    match begin {
        None => payload.push(GOES_ON),
        Some(meta) => {
            payload.push(BEGINS);
            write_text(payload, &meta.owner);
            payload.push(meta.alias.is_some().into());
            for text in meta.alias.iter().flat_map(|alias| [&alias.id, &alias.form]) {
                write_text(payload, text);
            }
        }
    }
    let mut before: &[u8] = &[];
    for event in events {
        let common = common(before, &event.json);
        let rest = event.json.get(common..).unwrap_or_default();
        write_number(payload, common);
        write_number(payload, rest.len());
        payload.extend_from_slice(rest);
        before = &event.json;
    }
}

/// How many bytes both begin with, up to [`COMMON`].
fn common(a: &[u8], b: &[u8]) -> usize {
    const WORD: usize = 8;
    let most = a.len().min(b.len()).min(COMMON);
    let (a, b) = (a.split_at(most).0, b.split_at(most).0);
    let (a_words, b_words) = (a.chunks_exact(WORD), b.chunks_exact(WORD));
    let same_words = a_words.zip(b_words).take_while(|(a, b)| a == b).count();
    let begin = same_words * WORD;
    let rest = a.iter().zip(b).skip(begin);
    begin + rest.take_while(|(a, b)| a == b).count()
}

fn write_text(payload: &mut Vec<u8>, text: &str) {
    write_number(payload, text.len());
    payload.extend_from_slice(text.as_bytes());
}

fn write_number(payload: &mut Vec<u8>, mut number: usize) {
    while let Some(more) = number.checked_shr(7).filter(|more| *more > 0) {
        payload.push(0x80 | low_bits(number));
        number = more;
    }
    payload.push(low_bits(number));
}

fn low_bits(number: usize) -> u8 {
    u8::try_from(number & 0x7f).unwrap_or_default()
}

/// Reads events with numbers from `first`, and what stands before the first one of a task; all events share one piece of
/// memory. `None` when the payload is damaged.
pub(super) fn read(
    payload: &[u8],
    first: u64,
    events: &mut Vec<LoggedEvent>,
) -> Option<Option<Begin>> {
    let Some(rest) = payload.strip_prefix(&MARK) else {
        read_old(Bytes::copy_from_slice(payload), first, events)?;
        return Some(None);
    };
    let mut reader = Reader(rest);
    let begin = match reader.byte()? {
        GOES_ON => None,
        BEGINS => Some(reader.begin()?),
        _ => return None,
    };
    // Once over the lengths, so that the second time there is room for everything.
    let (mut lengths, mut end) = (Reader(reader.0), 0_usize);
    while !lengths.0.is_empty() {
        let (common, rest) = lengths.event()?;
        end = end.checked_add(common)?.checked_add(rest.len())?;
    }
    let (mut json, mut ends) = (Vec::with_capacity(end), Vec::new());
    let mut before = 0..0_usize;
    while !reader.0.is_empty() {
        let (common, rest) = reader.event()?;
        let shared = before.start..before.start.checked_add(common)?;
        if shared.end > before.end {
            return None;
        }
        let begin = json.len();
        json.extend_from_within(shared);
        json.extend_from_slice(rest);
        before = begin..json.len();
        ends.push(json.len());
    }
    let json = Bytes::from(json);
    let begins = std::iter::once(0).chain(ends.iter().copied());
    events.extend(
        (first..)
            .zip(begins.zip(&ends))
            .map(|(seq, (begin, end))| LoggedEvent {
                seq,
                json: json.slice(begin..*end),
            }),
    );
    Some(begin)
}

fn read_old(mut payload: Bytes, first: u64, events: &mut Vec<LoggedEvent>) -> Option<()> {
    use bytes::Buf as _;
    let mut seq = first;
    while !payload.is_empty() {
        let length = usize::try_from(payload.try_get_u32_le().ok()?).ok()?;
        if payload.len() < length {
            return None;
        }
        events.push(LoggedEvent {
            seq,
            json: payload.split_to(length),
        });
        seq += 1;
    }
    Some(())
}

/// What is left of a payload.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn number(&mut self) -> Option<usize> {
        let mut number = 0_u64;
        // A length has at most five digits of seven bits, as the older form could have.
        for digit in 0..5 {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << (7 * digit);
            if byte & 0x80 == 0 {
                return usize::try_from(number).ok();
            }
        }
        None
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.number()?;
        String::from_utf8(self.bytes(length)?.to_vec()).ok()
    }

    fn begin(&mut self) -> Option<Begin> {
        let owner = self.text()?;
        let alias = match self.byte()? {
            0 => None,
            _ => Some(Alias {
                id: self.text()?,
                form: self.text()?,
            }),
        };
        Some(Begin { owner, alias })
    }

    /// The number of bytes in common with the event before, and the others.
    fn event(&mut self) -> Option<(usize, &'a [u8])> {
        let common = self.number()?;
        let length = self.number()?;
        Some((common, self.bytes(length)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::log::storage::Change;

    fn prepared(json: &[u8]) -> Prepared {
        Prepared {
            change: Change::Text {
                artifact_id: String::new(),
                text: String::new(),
            },
            json: Bytes::copy_from_slice(json),
        }
    }

    /// Texts that often have a beginning in common.
    fn event() -> impl Strategy<Value = Vec<u8>> {
        (0..400_usize, "[ab]{0,3}[a-z\u{e9}]{0,40}").prop_map(|(same, other)| {
            let mut json = vec![b'x'; same];
            json.extend_from_slice(other.as_bytes());
            json
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            texts in proptest::collection::vec(event(), 0..20),
            owner in ".{0,200}",
            alias in proptest::option::of((".{0,9}", ".{0,9}")),
            begins: bool,
            cut: prop::sample::Index,
        ) {
            let alias = alias.map(|(id, form)| Alias { id, form });
            let events: Vec<_> = texts.iter().map(|json| prepared(json)).collect();
            let mut payload = vec![7];
            let meta = TaskMeta { key: 1, id: "t".into(), owner: owner.as_str().into(), context_id: "c".into(), alias };
            write(&mut payload, begins.then_some(&meta), &events);
            let mut found = Vec::new();
            let begin = read(&payload, 5, &mut found).expect("a whole payload");
            prop_assert_eq!(begin, begins.then_some(Begin { owner, alias: meta.alias }));
            let expected: Vec<_> = (5..).zip(&texts).map(|(seq, json)| LoggedEvent { seq, json: json.clone().into() }).collect();
            prop_assert_eq!(&found, &expected);
            // What is cut short is never taken for other events.
            let mut some = Vec::new();
            payload.truncate(cut.index(payload.len()));
            if read(&payload, 5, &mut some).is_some() {
                prop_assert!(some.len() < found.len().max(1) && found.starts_with(&some));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64), marked: bool) {
            let payload = if marked { [&MARK[..], &bytes].concat() } else { bytes };
            let mut events = Vec::new();
            if read(&payload, 1, &mut events).is_some() {
                prop_assert!(events.iter().all(|event| event.json.len() <= payload.len() * payload.len()));
            }
        }
    }

    #[test]
    fn ids_and_names_are_stored_once_in_a_run() {
        let head = format!(
            r#"{{"artifactUpdate":{{"taskId":"{0}","contextId":"{0}","#,
            "i".repeat(36)
        );
        let texts: Vec<String> = (0..100).map(|n| format!("{head}{n:064}")).collect();
        let events: Vec<_> = texts.iter().map(|text| prepared(text.as_bytes())).collect();
        let mut payload = Vec::new();
        write(&mut payload, None, &events);
        assert!(payload.len() < head.len() + 100 * 70, "{}", payload.len());
    }
}
