//! gRPC frames that lie, and what a client may not send.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_util::task::TaskTracker;

use crate::{
    raw::{
        DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Http2, OVER, RST_STREAM, call, connect,
        field, frame,
    },
    victim::{Victim, each},
};

const SEND: &str = "/lf.a2a.v1.A2AService/SendMessage";

/// How a call ended.
#[derive(Debug)]
struct End {
    status: StatusCode,
    /// `grpc-status`, from head or trailers; empty where the stream was reset.
    code: String,
}

/// Makes a call with this body, with a client that does what HTTP/2 wants.
async fn ends(victim: &Victim, path: &str, kind: &str, body: Vec<u8>) -> End {
    let (mut sender, connection) =
        handshake(TokioExecutor::new(), TokioIo::new(connect(victim).await))
            .await
            .unwrap();
    // It ends with the sender.
    TaskTracker::new().spawn(connection);
    let request = Request::post(format!("http://{}{path}", victim.address()))
        .header("content-type", kind)
        .header("te", "trailers")
        .header("authorization", victim.authorization())
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let answer = tokio::time::timeout(OVER, sender.send_request(request)).await;
    let (parts, body) = answer.expect("an answer").unwrap().into_parts();
    let body = tokio::time::timeout(OVER, body.collect())
        .await
        .expect("an end");
    let trailers = body
        .ok()
        .and_then(|body| body.trailers().cloned())
        .unwrap_or_default();
    let code = parts
        .headers
        .get("grpc-status")
        .or_else(|| trailers.get("grpc-status"));
    End {
        status: parts.status,
        code: code.map_or_else(String::new, |code| code.to_str().unwrap().to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_lie_about_their_length_are_refused() {
    each(async |victim: Victim| {
        let framed = |flag: u8, length: u32, bytes: &[u8]| {
            let mut body = vec![flag];
            body.extend(length.to_be_bytes());
            body.extend(bytes);
            body
        };
        victim
            .during(async {
                for (what, body) in [
                    ("nothing", Vec::new()),
                    ("half a head", vec![0, 0, 0]),
                    (
                        "longer than said",
                        framed(0, 2, b"\x0a\x00\x0a\x00\x0a\x00"),
                    ),
                    ("shorter than said", framed(0, 100, b"\x0a\x00")),
                    ("4 GiB said", framed(0, u32::MAX, b"\x0a\x00")),
                    ("100 MiB said", framed(0, 100 << 20, b"\x0a\x00")),
                    ("said to be compressed", framed(1, 2, b"\x0a\x00")),
                    ("a flag that there is not", framed(7, 2, b"\x0a\x00")),
                    ("rubbish", framed(0, 8, b"\xff\xff\xff\xff\xff\xff\xff\xff")),
                    ("a length inside that lies", framed(0, 3, b"\x0a\xff\x7f")),
                    ("a group that is not closed", framed(0, 2, b"\x0b\x0b")),
                    (
                        "two messages",
                        [framed(0, 2, b"\x0a\x00"), framed(0, 2, b"\x0a\x00")].concat(),
                    ),
                    ("no UTF-8", framed(0, 6, b"\x0a\x04\x0a\x02\xff\xfe")),
                ] {
                    let end = ends(&victim, SEND, "application/grpc", body).await;
                    // Invalid argument, resource exhausted, or internal, as the document on compression wants.
                    assert!(matches!(&*end.code, "3" | "8" | "13"), "{what}: {end:?}");
                }
                for kind in [
                    "application/grpc-web",
                    "application/grpc+json",
                    "application/grpc+thrift",
                ] {
                    let end = ends(&victim, SEND, kind, framed(0, 0, b"")).await;
                    assert_eq!(
                        end.status,
                        StatusCode::UNSUPPORTED_MEDIA_TYPE,
                        "{kind}: {end:?}"
                    );
                }
                for path in [
                    "/",
                    "/lf.a2a.v1.A2AService/",
                    "/lf.a2a.v1.A2AService/DoMagic",
                    "/x/y",
                    "//",
                ] {
                    let end = ends(&victim, path, "application/grpc", framed(0, 0, b"")).await;
                    assert_eq!(end.code, "12", "{path}: {end:?}");
                }
            })
            .await;
        victim
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nesting_inside_protobuf_has_a_bound() {
    each(async |victim: Victim| {
        // A list in a list in a list (google.protobuf.Value, ListValue), as a part's data.
        let wrap = |tag: u8, value: &[u8]| {
            let mut wrapped = vec![tag];
            prost::encoding::encode_varint(value.len() as u64, &mut wrapped);
            wrapped.extend(value);
            wrapped
        };
        let mut value = vec![0x08, 0x00];
        for _ in 0..10_000 {
            value = wrap(0x32, &wrap(0x0a, &value));
        }
        // Part.data, Message.parts, SendMessageRequest.message.
        let value = wrap(0x12, &wrap(0x2a, &wrap(0x22, &value)));
        let mut body = vec![0];
        body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(&value);
        let end = ends(&victim, SEND, "application/grpc", body).await;
        assert!(matches!(&*end.code, "3" | "8"), "{end:?}");
        victim
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hundred_megabytes_over_http2_are_refused() {
    each(async |victim: Victim| {
        victim
            .during(async {
                for (path, kind) in [(SEND, "application/grpc"), ("/message:send", "application/json")] {
                    let mut client = Http2::begin(&victim).await;
                    let mut bytes = frame(HEADERS, END_HEADERS, 1, &call(&victim, path, kind));
                    // As much as the window lets through, and then what it does not.
                    for _ in 0..(100 << 20) / 16_000 {
                        bytes.extend(frame(DATA, 0, 1, &[b' '; 16_000]));
                    }
                    let (mut read, mut write) = client.stream.split();
                    let sending = tokio::io::AsyncWriteExt::write_all(&mut write, &bytes);
                    let mut answer = Vec::new();
                    let reading = async {
                        while matches!(tokio::io::AsyncReadExt::read_buf(&mut read, &mut answer).await, Ok(count) if count > 0) {}
                    };
                    let (_, ()) = tokio::time::timeout(OVER, async { tokio::join!(sending, reading) })
                        .await
                        .expect("an end");
                }
            })
            .await;
        victim
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_cannot_become_other_metadata() {
    each(async |victim: Victim| {
        for value in ["a\r\nx-evil: 1", "a\nx-evil: 1", "a\0b"] {
            for name in [
                "a2a-extensions",
                "a2a-version",
                "grpc-timeout",
                "last-event-id",
            ] {
                let mut client = Http2::begin(&victim).await;
                let mut block = call(&victim, SEND, "application/grpc");
                block.extend(field(name, value));
                let mut bytes = frame(HEADERS, END_HEADERS, 1, &block);
                bytes.extend(frame(DATA, END_STREAM, 1, &[0, 0, 0, 0, 0]));
                client.send(&bytes).await.unwrap();
                let ended = loop {
                    match client.next().await {
                        Some(got) if got.kind == GOAWAY => break got,
                        Some(got)
                            if got.stream == 1
                                && (got.kind == RST_STREAM || got.kind == HEADERS) =>
                        {
                            break got;
                        }
                        Some(_) => {}
                        None => panic!("{name}: the connection ended without a word"),
                    }
                };
                let text = String::from_utf8_lossy(&ended.payload).into_owned();
                assert!(!text.contains("x-evil"), "{name}: {text}");
            }
        }
        victim
    })
    .await;
}
