//! What stands around the objects: the JSON-RPC envelope both ways, requests as query strings, and the headers that are
//! read before anything is known of the caller. The first byte of the input chooses.

use a2a_proto::jsonrpc::{Envelopes, Request, error_response, read_response};
use a2a_proto::types::{GetTaskRequest, ListTasksRequest, SendMessageRequest, Task, from_query};
use a2a_proto::{sse, version};
use http::{HeaderMap, HeaderValue};
use serde_json::Value;

/// Reads one body, query or header.
pub fn rpc(data: &[u8]) {
    match crate::choice(data) {
        Some((b'q', query)) => of_query(query),
        Some((b'h', value)) => header(value),
        Some((b'r', body)) => response(body),
        Some((_, body)) => request(body),
        None => {}
    }
}

fn request(body: &[u8]) {
    match Request::parse(body) {
        Ok(request) => {
            let _ = request.params::<SendMessageRequest>();
            let _ = request.params::<ListTasksRequest>();
            // The id goes back as it came, into JSON that reads.
            let answer = Envelopes::new(&request.id).around(b"{}");
            let answer = serde_json::from_slice::<Value>(&answer).ok();
            let id = serde_json::from_str::<Value>(request.id.as_json()).ok();
            assert!(id.is_some());
            assert_eq!(answer.as_ref().map(|it| &it["id"]), id.as_ref());
        }
        Err(rejected) => {
            let answer = error_response(&rejected.id, &rejected.error);
            let answer = serde_json::from_slice::<Value>(&answer).ok();
            let code = answer.as_ref().and_then(|it| it["error"]["code"].as_i64());
            assert!(matches!(code, Some(-32700 | -32600)), "{answer:?}");
        }
    }
}

fn response(body: &[u8]) {
    let _ = read_response::<Task>(body);
    let _ = read_response::<Value>(body);
}

fn of_query(query: &[u8]) {
    let pairs = || url::form_urlencoded::parse(query);
    let _ = from_query::<ListTasksRequest, _>(pairs());
    let _ = from_query::<GetTaskRequest, _>(pairs());
    if let Ok(query) = std::str::from_utf8(query) {
        let _ = version::requested(&HeaderMap::new(), Some(query));
    }
}

fn header(value: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(value) else {
        return;
    };
    let mut headers = HeaderMap::new();
    headers.append(sse::LAST_EVENT_ID, value.clone());
    headers.append(version::VERSION_HEADER, value.clone());
    headers.append(version::EXTENSIONS_HEADER, value);
    let _ = sse::last_event_id(&headers);
    let _ = version::requested(&headers, None);
    assert!(
        version::extensions(&headers)
            .iter()
            .all(|uri| !uri.is_empty())
    );
}
