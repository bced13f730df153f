//! Clients that take their time: heads and bodies byte by byte, sides that are closed early, answers that are not read.

use std::time::{Duration, Instant};

use e2e::wait::JOB;
use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    raw::{
        DATA, END_HEADERS, HEADERS, OVER, PREFACE, SETTINGS, call, connect, frame, head, post,
        rest, status,
    },
    victim::{Victim, each},
};

/// Between two bytes.
const PAUSE: Duration = Duration::from_millis(300);

/// Sends `begin` at once and then `slow` byte by byte, over and over; what came back when the server had enough of it.
async fn trickle(victim: &Victim, what: &str, begin: &[u8], slow: &[u8]) -> String {
    let (mut read, mut write) = connect(victim).await.into_split();
    let sending = async {
        write.write_all(begin).await.unwrap();
        for byte in slow.iter().cycle() {
            tokio::time::sleep(PAUSE).await;
            if write.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    };
    let mut answer = Vec::new();
    let reading = async {
        // Settings of HTTP/2 come at once and are no answer; headers on the stream are, and the connection may live on.
        let answered = |bytes: &[u8]| {
            bytes
                .windows(6)
                .any(|it| it[0] == HEADERS && it[2..] == [0, 0, 0, 1])
        };
        while !answered(&answer)
            && matches!(read.read_buf(&mut answer).await, Ok(count) if count > 0)
        {}
    };
    let began = Instant::now();
    let ended = tokio::time::timeout(OVER, async {
        tokio::select! {
            () = sending => {}
            () = reading => {}
        }
    });
    let text = |answer: &[u8]| String::from_utf8_lossy(answer).into_owned();
    assert!(
        ended.await.is_ok(),
        "{what}: no end after {:?}: {}",
        began.elapsed(),
        text(&answer)
    );
    text(&answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_and_bodies_byte_by_byte_are_cut_off() {
    async fn slow(victim: Victim) -> Victim {
        let settings = frame(SETTINGS, 0, 0, &[]);
        let begin = [PREFACE, &*settings].concat();
        let opened = |path, kind| {
            [
                &*begin,
                &*frame(HEADERS, END_HEADERS, 1, &call(&victim, path, kind)),
            ]
            .concat()
        };
        let grpc = opened("/lf.a2a.v1.A2AService/SendMessage", "application/grpc");
        let json = opened("/message:send", "application/json");
        let byte = frame(DATA, 0, 1, b" ");
        let unfinished = frame(HEADERS, 0, 1, &call(&victim, "/tasks", "application/json"));
        let mut cases: Vec<(&str, Vec<u8>, &[u8])> = vec![
            (
                "a head",
                b"GET /tasks HTTP/1.1\r\nhost: x\r\n".to_vec(),
                b"x: yyyyyyyyyyyyyyy\r\n",
            ),
            ("a first line", Vec::new(), b"GGGGGGGGGGGGGGG"),
            ("a preface", Vec::new(), PREFACE),
            (
                "empty frames",
                begin.clone(),
                &[0, 0, 0, 0xbb, 0, 0, 0, 0, 0],
            ),
            (
                "a frame without an end",
                begin.clone(),
                &[0, 0x3f, 0xff, 0, 0, 0, 0, 0, 1],
            ),
            (
                "headers that go on",
                [&*begin, &*unfinished].concat(),
                &[0, 0, 1, 9, 0, 0, 0, 0, 1, 0],
            ),
            ("a body over gRPC", grpc, &byte),
            ("a body over HTTP/2", json, &byte),
        ];
        for path in victim.paths() {
            cases.push((
                path,
                head(&victim, path, "content-length: 100000").into_bytes(),
                b" ",
            ));
            cases.push((
                path,
                head(&victim, path, "transfer-encoding: chunked").into_bytes(),
                b"1\r\n \r\n",
            ));
        }
        let all = cases
            .iter()
            .map(|(what, begin, slow)| trickle(&victim, what, begin, slow));
        victim.during(join_all(all)).await;
        victim
    }
    let (worker, captain) = tokio::join!(Victim::worker(), Victim::captain());
    let (worker, captain) = tokio::join!(slow(worker), slow(captain));
    worker.unharmed().await;
    captain.unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_closed_sockets_get_an_answer_or_an_end() {
    each(async |victim: Victim| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "none"}});
        let whole = post(&victim, "/", body.to_string().as_bytes());
        let stream = json!({"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hang"}]}});
        let mut pieces = vec![
            Vec::new(),
            b"GET /ta".to_vec(),
            whole[..whole.len() - 5].to_vec(),
            PREFACE.to_vec(),
            [PREFACE, &*frame(SETTINGS, 0, 0, &[])].concat(),
        ];
        if !victim.is_captain() {
            // A job would go on.
            pieces.push(post(&victim, "/message:stream", stream.to_string().as_bytes()));
        }
        for piece in pieces {
            let mut socket = connect(&victim).await;
            socket.write_all(&piece).await.unwrap();
            socket.shutdown().await.unwrap();
            let began = Instant::now();
            rest(&mut socket).await;
            assert!(began.elapsed() < Duration::from_secs(40), "{:?}", String::from_utf8_lossy(&piece));
        }
        let mut socket = connect(&victim).await;
        socket.write_all(&whole).await.unwrap();
        socket.shutdown().await.unwrap();
        let answer = rest(&mut socket).await;
        assert!(answer.is_empty() || answer.contains("-32001"), "{answer}");
        victim
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_readers_cost_the_others_nothing_and_get_everything_later() {
    const CHUNKS: usize = 20_000;
    let victim = Victim::worker().await;
    let message = |id: &str| json!({"message": {"messageId": id, "role": "ROLE_USER", "parts": [{"text": format!("spam {CHUNKS}")}]}});
    let mut stalled = connect(&victim).await;
    let request = post(
        &victim,
        "/message:stream",
        message("m").to_string().as_bytes(),
    );
    stalled.write_all(&request).await.unwrap();
    // The first bytes are read, so that it has begun; then nothing more.
    let mut begin = vec![0; 2000];
    stalled.read_exact(&mut begin).await.unwrap();
    let text = String::from_utf8_lossy(&begin).into_owned();
    let (_, id) = text.split_once(r#""id":""#).unwrap();
    let id = id.split('"').next().unwrap().to_owned();
    victim
        .during(async {
            // The turn goes on to its end all the same.
            let task = async || victim.api().get(&format!("/tasks/{id}?historyLength=0")).await;
            e2e::wait::until("the turn to end", JOB, task, |task| task["status"]["state"] == "TASK_STATE_COMPLETED").await;
            // Single answers that nobody reads.
            let ask = format!(
                "GET /tasks/{id}?historyLength=100000 HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n\r\n",
                victim.authorization()
            );
            let mut readers = Vec::new();
            for _ in 0..50 {
                let mut socket = connect(&victim).await;
                socket.write_all(ask.as_bytes()).await.unwrap();
                readers.push(socket);
            }
            // All of them have been asked for when the last one is answered.
            let mut last = connect(&victim).await;
            last.write_all(ask.replace("host: x", "host: x\r\nconnection: close").as_bytes()).await.unwrap();
            assert_eq!(status(&rest(&mut last).await), 200);
        })
        .await;
    let mut all = begin;
    let reading =
        async { while matches!(stalled.read_buf(&mut all).await, Ok(count) if count > 0) {} };
    tokio::time::timeout(OVER, reading)
        .await
        .expect("the stream ends");
    let text = String::from_utf8_lossy(&all).into_owned();
    assert!(
        text.contains(&format!("chunk {CHUNKS}")) && text.contains("TASK_STATE_COMPLETED"),
        "all of it came"
    );
    victim.unharmed().await;
}
