//! HTTP/2 used against its server: resets, streams, headers and small frames without end (RFC 9113 §10.5).

use crate::{
    raw::{
        CONTINUATION, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Http2, PING, RST_STREAM, SETTINGS,
        call, field, frame,
    },
    victim::{Victim, each},
};

const LIST: &str = "/lf.a2a.v1.A2AService/ListTasks";

/// Sends `pieces` while what comes back is read; whether the server ended it.
async fn flood(client: &mut Http2, pieces: impl Iterator<Item = Vec<u8>>) -> bool {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut read, mut write) = client.stream.split();
    let mut last = Vec::new();
    let reading = async {
        let mut buffer = vec![0; 1 << 16];
        loop {
            match read.read(&mut buffer).await {
                Ok(count) if count > 0 => last = buffer[..count].to_vec(),
                _ => return,
            }
        }
    };
    let sending = async {
        for piece in pieces {
            if write.write_all(&piece).await.is_err() {
                return true;
            }
        }
        false
    };
    let ended = tokio::time::timeout(crate::raw::OVER, async {
        tokio::select! {
            () = reading => true,
            refused = sending => refused,
        }
    });
    ended.await.expect("neither an end nor room to send")
}

#[tokio::test(flavor = "multi_thread")]
async fn rapid_reset_is_cut_off() {
    each(async |victim: Victim| {
        victim
            .during(async {
                let mut client = Http2::begin(&victim).await;
                let block = call(&victim, LIST, "application/grpc");
                let cut = flood(
                    &mut client,
                    (0..100_000_u32).map(|nth| {
                        let stream = 2 * nth + 1;
                        let mut bytes = frame(HEADERS, END_HEADERS, stream, &block);
                        bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
                        bytes
                    }),
                )
                .await;
                assert!(cut, "a hundred thousand resets are taken");
            })
            .await;
        victim
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_beyond_the_bound_are_refused() {
    each(async |victim: Victim| {
        victim
            .during(async {
                let mut client = Http2::begin(&victim).await;
                let block = call(&victim, LIST, "application/grpc");
                // Open, and their bodies never come.
                for nth in 0..2_000_u32 {
                    if client
                        .send(&frame(HEADERS, END_HEADERS, 2 * nth + 1, &block))
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
                // Refused one by one, or all of it.
                let refused = loop {
                    match client.next().await {
                        Some(got) if matches!(got.kind, RST_STREAM | GOAWAY) => break true,
                        Some(_) => {}
                        None => break true,
                    }
                };
                assert!(refused);
            })
            .await;
        victim
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_without_bound_are_cut_off() {
    each(async |victim: Victim| {
        victim
            .during(async {
                // CONTINUATION without end.
                let mut client = Http2::begin(&victim).await;
                let piece = field("x", &"y".repeat(10_000));
                let begin = std::iter::once(frame(HEADERS, 0, 1, &piece));
                let more = (0..10_000).map(|_| frame(CONTINUATION, 0, 1, &piece));
                assert!(
                    flood(&mut client, begin.chain(more)).await,
                    "100 MB of header fields are taken"
                );
                // Empty ones.
                let mut client = Http2::begin(&victim).await;
                let begin = std::iter::once(frame(HEADERS, 0, 1, &field("x", "y")));
                let more = (0..1_000_000).map(|_| frame(CONTINUATION, 0, 1, &[]));
                assert!(
                    flood(&mut client, begin.chain(more)).await,
                    "a million empty frames are taken"
                );
                // One frame that is larger than any may be.
                let mut client = Http2::begin(&victim).await;
                let huge = frame(HEADERS, END_HEADERS, 1, &vec![0; 1 << 20]);
                assert!(
                    flood(&mut client, std::iter::repeat_n(huge, 10)).await,
                    "a frame of 1 MiB is taken"
                );
                // Many small fields: each costs more than it has bytes (RFC 9113 §6.5.2).
                let mut client = Http2::begin(&victim).await;
                let many: Vec<u8> = (0..3_000).flat_map(|_| field("a", "")).collect();
                let mut block = call(&victim, LIST, "application/grpc");
                block.extend(many);
                client
                    .send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block))
                    .await
                    .unwrap();
                let answer = loop {
                    match client.next().await {
                        Some(got) if got.stream == 1 || got.kind == GOAWAY => break Some(got),
                        Some(_) => {}
                        None => break None,
                    }
                };
                let status = answer.map(|got| String::from_utf8_lossy(&got.payload).into_owned());
                assert!(!status.unwrap_or_default().contains("grpc-status\u{1}0"));
            })
            .await;
        victim
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_small_frames_hold_nobody_up() {
    each(async |victim: Victim| {
        victim
            .during(async {
                for small in [
                    frame(PING, 0, 0, &[7; 8]),
                    frame(SETTINGS, 0, 0, &[]),
                    // A window of nothing, again and again (RFC 9113 §6.9.1).
                    frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]),
                    // PRIORITY, which means nothing any more.
                    frame(2, 0, 1, &[0, 0, 0, 3, 1]),
                    // A type that there is not.
                    frame(0xbb, 0, 0, &[0; 8]),
                    frame(8, 0, 0, &1_u32.to_be_bytes()),
                ] {
                    let mut client = Http2::begin(&victim).await;
                    let thousand = small.repeat(1_000);
                    // Taken or cut off: either way others are served, which is seen beside this.
                    flood(&mut client, std::iter::repeat_n(thousand, 200)).await;
                }
                // The same with answers that nobody reads: the server must stop reading, not remember.
                let mut client = Http2::begin(&victim).await;
                let pings = frame(PING, 0, 0, &[7; 8]).repeat(1_000);
                for _ in 0..2_000 {
                    let sent = tokio::time::timeout(
                        std::time::Duration::from_millis(200),
                        client.send(&pings),
                    );
                    if !matches!(sent.await, Ok(Ok(()))) {
                        break;
                    }
                }
                victim.answers().await;
            })
            .await;
        victim
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_break_the_rules_end_the_connection() {
    each(async |victim: Victim| {
        for (what, bytes) in [
            ("data on a stream that is not open", frame(0, 0, 1, b"x")),
            (
                "headers on stream 0",
                frame(HEADERS, END_HEADERS, 0, &field("a", "b")),
            ),
            (
                "an even stream",
                frame(
                    HEADERS,
                    END_HEADERS,
                    2,
                    &call(&victim, LIST, "application/grpc"),
                ),
            ),
            ("settings of five bytes", frame(SETTINGS, 0, 0, &[0; 5])),
            ("a ping of seven bytes", frame(PING, 0, 0, &[0; 7])),
            (
                "a window that overflows",
                frame(8, 0, 0, &0x7fff_ffff_u32.to_be_bytes()).repeat(2),
            ),
            (
                "a reference beyond the table",
                frame(HEADERS, END_HEADERS, 1, &[0xff, 0xff, 0xff, 0x7f]),
            ),
            (
                "a promise of a client",
                frame(5, END_HEADERS, 1, &[0, 0, 0, 2]),
            ),
            ("rubbish", vec![0xff; 100]),
        ] {
            let mut client = Http2::begin(&victim).await;
            client.send(&bytes).await.unwrap();
            let frames = client.rest().await;
            let told = frames
                .iter()
                .any(|got| got.kind == GOAWAY || got.kind == RST_STREAM);
            assert!(told, "{what}: {frames:?}");
        }
        victim
    })
    .await;
}
