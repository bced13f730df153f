//! One message in, one message or many out. A request is read whole and bounded before anything is decoded, so a
//! length that lies costs nothing; what follows the one message is refused. Answers go out through tonic's encoder.

use axum::body::Body;
use axum::response::Response;
use bytes::{Buf as _, Bytes};
use futures_util::{Stream, stream};
use http::request::Parts;
use http::{HeaderValue, header};
use tonic::Status;
use tonic::codec::{EncodeBody, SingleMessageCompressionOverride};
use tonic_prost::ProstEncoder;

use super::{MEDIA_TYPE, Refusal};
use crate::error::A2aError;
use crate::pb::{self, Proto};
use crate::server::answer::read_body;

/// A compression flag and a length stand before every message.
const HEAD: usize = 5;

/// Reads the one message of a request.
pub(super) async fn read<P, T>(parts: &Parts, body: Body, limit: usize) -> Result<T, Refusal>
where
    P: prost::Message + Default,
    T: Proto<P>,
{
    let body = read_body(&parts.headers, body, limit.saturating_add(HEAD)).await;
    let body = body.map_err(|error| match error {
        A2aError::TooLarge { .. } => too_large(limit),
        other => other,
    })?;
    let message = message(body, limit)?;
    let pb = P::decode(message).map_err(|error| invalid(&format!("not the message: {error}")))?;
    Ok(pb::read(pb)?)
}

/// Takes the message out of its frame.
pub(super) fn message(mut body: Bytes, limit: usize) -> Result<Bytes, Refusal> {
    if body.is_empty() {
        return Err(invalid("there is no message").into());
    }
    if body.len() < HEAD {
        return Err(invalid("the body ends within the head of a message").into());
    }
    match body.get_u8() {
        0 => {}
        // The document on compression wants this status.
        1 => {
            return Err(Status::internal(
                "the message says that it is compressed, but the call names no grpc-encoding",
            )
            .into());
        }
        flag => return Err(invalid(&format!("a compression flag is 0 or 1, not {flag}")).into()),
    }
    let length = body.get_u32() as usize;
    if length > limit {
        return Err(too_large(limit).into());
    }
    match body.len() {
        there if there < length => Err(invalid(&format!(
            "the message says that it has {length} bytes, but {there} came"
        ))
        .into()),
        there if there > length => {
            Err(invalid("more than one message came, and the method takes one").into())
        }
        _ => Ok(body),
    }
}

fn invalid(detail: &str) -> A2aError {
    A2aError::InvalidRequest {
        detail: detail.to_owned(),
    }
}

fn too_large(limit: usize) -> A2aError {
    A2aError::TooLarge {
        limit_bytes: limit as u64,
    }
}

/// An answer with one message, of at most `limit` bytes.
pub(super) fn reply<P: prost::Message + 'static>(pb: P, limit: usize) -> Result<Response, Refusal> {
    check_size(&pb, limit)?;
    Ok(replies(stream::iter([Ok(pb)])))
}

/// Refuses to send more than the client could be expected to take.
pub(super) fn check_size(pb: &impl prost::Message, limit: usize) -> Result<(), Status> {
    let bytes = pb.encoded_len();
    if bytes <= limit {
        return Ok(());
    }
    Err(Status::resource_exhausted(format!(
        "the answer has {bytes} bytes and the limit is {limit}: ask for less, or over another binding"
    )))
}

/// An answer of many messages.
pub(super) fn replies<P: prost::Message + 'static>(
    messages: impl Stream<Item = Result<P, Status>> + Send + 'static,
) -> Response {
    let body = EncodeBody::new_server(
        ProstEncoder::default(),
        messages,
        None,
        SingleMessageCompressionOverride::default(),
        Some(usize::MAX),
    );
    let mut response = Response::new(Body::new(body));
    let media_type = HeaderValue::from_static(MEDIA_TYPE);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, media_type);
    response
}
