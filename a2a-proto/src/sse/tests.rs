//! The decoder against the standard's examples, against every way of cutting a stream, and against another decoder.

use eventsource_stream::Eventsource;
use futures_util::{StreamExt, stream};
use http::HeaderValue;
use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;

fn decode(chunks: &[&[u8]]) -> Vec<(Option<String>, String, String)> {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.feed(chunk);
        while let Some(event) = decoder.next_event().unwrap() {
            events.push((
                event.id,
                event.event,
                String::from_utf8(event.data.to_vec()).unwrap(),
            ));
        }
    }
    events
}

fn event(id: Option<&str>, name: &str, data: &str) -> (Option<String>, String, String) {
    (id.map(str::to_owned), name.to_owned(), data.to_owned())
}

#[test]
fn fields_comments_and_line_ends_follow_the_standard() {
    for (text, expected) in [
        ("data: a\n\n", vec![event(None, "", "a")]),
        (
            "data:a\r\rdata:  b\r\r",
            vec![event(None, "", "a"), event(None, "", " b")],
        ),
        ("data: a\r\ndata: b\r\n\r\n", vec![event(None, "", "a\nb")]),
        (
            "\u{feff}id: 7\nevent: x\ndata\ndata\n\n",
            vec![event(Some("7"), "x", "\n")],
        ),
        (": keep-alive\n\n", vec![]),
        ("event: lost\n\ndata: a\n\n", vec![event(None, "", "a")]),
        ("data: cut", vec![]),
        ("data: cut\n", vec![]),
        (
            "retry: 5\nunknown: x\nid: a\0b\ndata:\n\n",
            vec![event(None, "", "")],
        ),
    ] {
        assert_eq!(decode(&[text.as_bytes()]), expected, "{text:?}");
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(decode(&bytes), expected, "byte by byte: {text:?}");
    }
}

#[test]
fn an_event_above_the_limit_is_refused_however_it_comes() {
    for text in ["data: 0123456789", "data: 01234\ndata: 56789\n\n"] {
        let mut decoder = Decoder::with_limit(8);
        let refused = text.as_bytes().chunks(3).any(|chunk| {
            decoder.feed(chunk);
            decoder.next_event().is_err()
        });
        assert!(refused, "{text:?}");
    }
}

#[test]
fn data_with_line_breaks_cannot_forge_a_frame() {
    let mut frames = Frames::default();
    frames.push(Some(1), Some("error"), &[b"a\n\nid: 9\r\ndata: x"]);
    assert_eq!(
        decode(&[&frames.take()]),
        vec![event(Some("1"), "error", "a\n\nid: 9\n\ndata: x")]
    );
}

#[test]
fn frames_are_coalesced() {
    let mut frames = Frames::default();
    frames.push(Some(1), None, &[b"{\"a\":", b"1}"]);
    frames.push_keep_alive();
    frames.push(None, Some("task.status"), &[b"{}"]);
    assert_eq!(
        frames.take(),
        "id: 1\ndata: {\"a\":1}\n\n: keep-alive\n\nevent: task.status\ndata: {}\n\n".as_bytes()
    );
    assert!(frames.is_empty());
}

#[test]
fn last_event_id_is_a_number_or_refused() {
    let read = |text: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(LAST_EVENT_ID, HeaderValue::from_str(text).unwrap());
        last_event_id(&headers).map_err(|error| error.code())
    };
    assert_eq!(last_event_id(&HeaderMap::new()), Ok(None));
    assert_eq!(read(" "), Ok(None));
    assert_eq!(read("0"), Ok(Some(0)));
    assert_eq!(read("18446744073709551615"), Ok(Some(u64::MAX)));
    for bad in ["18446744073709551616", "-1", "+1", "sse-1", "1.0"] {
        assert_eq!(read(bad), Err(-32602), "{bad}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_by_us_and_by_others(
        events in prop::collection::vec((any::<u64>(), "[a-z.]{1,12}", "[^\r\n\u{feff}]{1,40}"), 1..8),
        cut in 1_usize..40,
    ) {
        let mut frames = Frames::default();
        for (id, name, data) in &events {
            frames.push(Some(*id), Some(name), &[data.as_bytes()]);
        }
        let bytes = frames.take();
        let chunks: Vec<&[u8]> = bytes.chunks(cut).collect();
        let ours = decode(&chunks);
        let expected: Vec<_> = events.iter().map(|(id, name, data)| event(Some(&id.to_string()), name, data)).collect();
        prop_assert_eq!(&ours, &expected);

        let theirs = stream::iter(chunks.into_iter().map(Ok::<_, std::convert::Infallible>)).eventsource();
        let theirs: Vec<_> = futures_util::FutureExt::now_or_never(theirs.collect::<Vec<_>>()).unwrap();
        let theirs: Vec<_> =
            theirs.into_iter().map(Result::unwrap).map(|e| event(Some(&e.id), &e.event, &e.data)).collect();
        prop_assert_eq!(&theirs, &expected);
    }

    #[test]
    fn no_bytes_make_the_decoder_fail(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 1_usize..20) {
        let mut decoder = Decoder::default();
        for chunk in bytes.chunks(cut) {
            decoder.feed(chunk);
            while decoder.next_event().unwrap().is_some() {}
        }
    }
}

#[test]
fn own_json_is_framed_like_any_other() {
    for id in [0, 7, 10, 1_234_567_890, u64::MAX] {
        let (mut slow, mut fast) = (Frames::default(), Frames::default());
        slow.push(Some(id), None, &[b"{\"a\":", b"1}"]);
        fast.push_json(id, &[b"{\"a\":", b"1}"]);
        let frame = slow.take();
        assert_eq!(frame, fast.take());
        assert_eq!(frame, format!("id: {id}\ndata: {{\"a\":1}}\n\n").as_bytes());
    }
}
