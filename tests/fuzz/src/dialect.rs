//! The dialects 0.3, 0.1 and simple: whatever reads as one of their objects becomes a canonical one or is refused with what is
//! wrong; what became one is said in the dialect again, and reading that leads to the same words. (Not always to the same
//! object: a role or a part of a millisecond that a dialect cannot say is lost, once.) The first byte chooses the object.

use std::fmt::Debug;

use a2a_proto::dialect::{simple, v01, v03};
use a2a_proto::error::A2aError;
use a2a_proto::types::{self, StreamResponse};
use a2a_proto::version::ProtocolVersion;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads one object.
pub fn dialect(data: &[u8]) {
    use v03::rest;
    let Some((choice, data)) = crate::choice(data) else {
        return;
    };
    match choice {
        b's' => check(data, v03::MessageSendParams::into_request, |it| it.into()),
        b't' => check(data, v03::Task::into_task, |it| it.into()),
        b'e' => check(data, v03::Event::into_response, |it| it.into()),
        b'p' => check(data, v03::TaskPushNotificationConfig::into_config, |it| {
            it.into()
        }),
        b'c' => check(
            data,
            |card: v03::AgentCard| Ok(card.into_card(ProtocolVersion::V0_3)),
            |it| it.into(),
        ),
        b'S' => check(data, rest::SendMessageRequest::into_request, |it| it.into()),
        b'T' => check(data, rest::Task::into_task, |it| it.into()),
        b'E' => check(data, rest::StreamResponse::into_response, |it| it.into()),
        b'A' => check(data, rest::SendMessageResponse::into_answer, |it| it.into()),
        b'P' => check(data, rest::TaskPushNotificationConfig::into_config, |it| {
            it.into()
        }),
        b'N' => {
            let create = read::<rest::CreateTaskPushNotificationConfigRequest>(data);
            let _ = create.map(|create| create.into_config("t".to_owned()));
        }
        b'1' => check(
            data,
            |params: v01::SendParams| params.into_request("m".to_owned()),
            |it| v01::SendParams::from_request(it, "t".to_owned()),
        ),
        b'2' => check(data, v01::Task::into_task, |it| v01::task(&it, &it.id)),
        b'3' => {
            let event = read::<v01::Event>(data);
            let _ = event.map(|event| event.into_response("c"));
        }
        b'z' => {
            let _ = simple::read_send(data, "m".to_owned());
        }
        _ => told(data),
    }
}

fn read<T: DeserializeOwned>(data: &[u8]) -> Option<T> {
    types::from_slice(data).ok()
}

/// There, back, and there again.
fn check<T, C>(data: &[u8], canonical: impl Fn(T) -> Result<C, A2aError>, said: impl Fn(C) -> T)
where
    T: Serialize + DeserializeOwned,
    C: Clone + Debug,
{
    let Some(object) = read::<T>(data) else {
        return;
    };
    let once = match canonical(object) {
        Ok(once) => once,
        Err(error) => {
            assert!(matches!(error, A2aError::InvalidParams { .. }), "{error:?}");
            return;
        }
    };
    let written = serde_json::to_vec(&said(once.clone())).unwrap_or_default();
    let twice = read::<T>(&written).map(canonical);
    let rewritten = match &twice {
        Some(Ok(twice)) => serde_json::to_vec(&said(twice.clone())).ok(),
        _ => None,
    };
    assert_eq!(
        rewritten.as_ref().map(|it| String::from_utf8_lossy(it)),
        Some(String::from_utf8_lossy(&written)),
        "{once:?} became {twice:?}"
    );
}

/// Events of 1.0, one per line, told to clients of 0.1 and of both forms of the simple dialect.
fn told(data: &[u8]) {
    let mut old = v01::EventStream::new("t");
    let mut forms =
        [simple::Form::Short, simple::Form::V01].map(|form| simple::SimpleStream::new("t", form));
    for line in data.split(|byte| *byte == b'\n') {
        let Some(event) = read::<StreamResponse>(line) else {
            continue;
        };
        for event in old.events(&event) {
            let written = serde_json::to_vec(&event).unwrap_or_default();
            assert!(read::<v01::Event>(&written).is_some());
        }
        for stream in &mut forms {
            for frame in stream.frames(&event) {
                assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&frame.data).is_ok());
            }
        }
    }
}
