//! Bodies: too large, with too much in them, too deep, not text.

use crate::{
    raw::{exchange, head, post, status},
    victim::{Victim, each},
};

const MEGABYTE: usize = 1 << 20;

/// A message with these parts, as a request of the path's dialect.
fn request(path: &str, parts: &str, beside: &str) -> String {
    let message = format!(r#"{{"messageId":"m","role":"ROLE_USER","parts":{parts}}}"#);
    let params = format!(r#"{{"message":{message}{beside}}}"#);
    match path {
        "/" => format!(r#"{{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{params}}}"#),
        "/tasks/send" => {
            format!(r#"{{"id":"t","message":{{"role":"user","parts":{parts}}}{beside}}}"#)
        }
        "/jobs" => format!(r#"{{"goal":"x","plan":{parts}{beside}}}"#),
        _ => params,
    }
}

/// An error that says what is wrong, in the words of the binding. JSON-RPC tells its errors with status 200.
#[track_caller]
fn refused(path: &str, what: &str, answer: &str) {
    let told = match path {
        "/" => answer.contains(r#""error":{"#),
        _ => (400..500).contains(&status(answer)),
    };
    assert!(told, "{path}, {what}: {answer:.300}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hundred_megabytes_are_refused_with_and_without_a_length() {
    each(async |victim: Victim| {
        victim
            .during(async {
                for path in victim.paths() {
                    announced(&victim, path).await;
                    in_chunks(&victim, path).await;
                }
            })
            .await;
        victim
    })
    .await;
}

async fn announced(victim: &Victim, path: &str) {
    let head = head(victim, path, &format!("content-length: {}", 100 * MEGABYTE));
    let megabyte = vec![b' '; MEGABYTE];
    let pieces = std::iter::once(head.as_bytes()).chain(std::iter::repeat_n(&*megabyte, 100));
    let answer = exchange(victim, pieces).await;
    assert_eq!(status(&answer), 413, "{path}: {answer:.300}");
}

async fn in_chunks(victim: &Victim, path: &str) {
    let head = head(victim, path, "transfer-encoding: chunked");
    let mut chunk = format!("{MEGABYTE:x}\r\n").into_bytes();
    chunk.resize(chunk.len() + MEGABYTE, b' ');
    chunk.extend(b"\r\n");
    let pieces = std::iter::once(head.as_bytes()).chain(std::iter::repeat_n(&*chunk, 100));
    let answer = exchange(victim, pieces).await;
    assert_eq!(status(&answer), 413, "{path}: {answer:.300}");
}

#[tokio::test(flavor = "multi_thread")]
async fn million_parts_and_a_million_members_are_refused() {
    each(async |victim: Victim| {
        victim
            .during(async {
                for path in victim.paths() {
                    // Of the smallest kind, they would fit into a body; ordinary ones do not.
                    let many = format!("[{}7]", "7,".repeat(1_000_000));
                    let answer = exchange(
                        &victim,
                        [&*post(&victim, path, request(path, &many, "").as_bytes())],
                    )
                    .await;
                    refused(path, "a million numbers", &answer);
                    let empty = format!("[{}{{}}]", "{},".repeat(1_000_000));
                    let answer = exchange(
                        &victim,
                        [&*post(&victim, path, request(path, &empty, "").as_bytes())],
                    )
                    .await;
                    refused(path, "a million empty parts", &answer);
                    let whole = format!("[{}{{}}]", r#"{"text":""},"#.repeat(1_000_000));
                    let answer = exchange(
                        &victim,
                        [&*post(&victim, path, request(path, &whole, "").as_bytes())],
                    )
                    .await;
                    assert_eq!(status(&answer), 413, "{path}: {answer:.300}");
                }
            })
            .await;
        victim
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_nesting_is_refused_wherever_it_is() {
    each(async |victim: Victim| {
        victim
            .during(async {
                for path in victim.paths() {
                    for depth in [1_000, 1_000_000] {
                        let deep = [
                            format!("{}1{}", "[".repeat(depth), "]".repeat(depth)),
                            format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth)),
                        ];
                        for deep in deep {
                            let part = format!(r#"[{{"data":{deep}}}]"#);
                            // Wrong in itself: what is unknown may be passed over, however deep.
                            let text = "[{}]";
                            for body in [
                                request(path, &part, ""),
                                request(path, text, &format!(r#","metadata":{{"x":{deep}}}"#)),
                                request(path, text, &format!(r#","nobodyKnowsThis":{deep}"#)),
                                deep.clone(),
                                // Without an end.
                                deep[..deep.len() / 2].to_owned(),
                            ] {
                                if body.len() > 8 * MEGABYTE {
                                    continue;
                                }
                                let answer =
                                    exchange(&victim, [&*post(&victim, path, body.as_bytes())])
                                        .await;
                                refused(path, &format!("{depth} deep, {body:.60}"), &answer);
                            }
                        }
                    }
                }
            })
            .await;
        victim
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_are_refused() {
    each(async |victim: Victim| {
        for path in victim.paths() {
            for bytes in [
                &b"\xff\xfe\xc0\x80"[..],
                b"\xed\xa0\x80",
                b"\xf4\x90\x80\x80",
                b"\xe2\x82",
            ] {
                let mut body = request(path, r#"[{"text":"AAAA"}]"#, "").into_bytes();
                let at = body.windows(4).position(|it| it == b"AAAA").unwrap();
                body.splice(at..at + 4, bytes.iter().copied());
                let answer = exchange(&victim, [&*post(&victim, path, &body)]).await;
                refused(path, "no UTF-8 in a text", &answer);
                let answer = exchange(&victim, [&*post(&victim, path, bytes)]).await;
                refused(path, "no UTF-8 at all", &answer);
            }
            // Half of a pair of surrogates, escaped.
            let body = request(path, r#"[{"text":"\ud800"}]"#, "");
            let answer = exchange(&victim, [&*post(&victim, path, body.as_bytes())]).await;
            refused(path, "half a character", &answer);
        }
        victim
    })
    .await;
}
