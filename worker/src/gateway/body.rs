//! Bodies of the gateway's answers: a short JSON text, or what another server sends, passed on untouched and counted.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, SizeHint};

use super::Meter;
use super::audit::{Audit, Record};

/// Any body that the gateway answers with.
pub(super) type ResponseBody = BoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// The header that says, for programs, why the gateway refused.
pub(super) const DENIED: HeaderName = HeaderName::from_static("x-flotilla-denied");

/// Headers that belong to one connection and are never passed on (RFC 9110 §7.6.1).
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Removes the headers of this hop, those that `Connection` names included.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// An error in the shape that OpenAI's and Anthropic's clients both read, with the reason as a header too.
pub(super) fn refusal(
    status: StatusCode,
    reason: &'static str,
    message: &str,
) -> Response<ResponseBody> {
    let body = serde_json::json!({
        "type": "error",
        "error": { "type": reason, "code": reason, "message": message },
    });
    let mut response = Response::new(whole(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
        .headers_mut()
        .insert(DENIED, HeaderValue::from_static(reason));
    response
}

/// A body that is all there.
pub(super) fn whole(content: impl Into<Bytes>) -> ResponseBody {
    Full::new(content.into())
        .map_err(|never| match never {})
        .boxed()
}

/// A body from elsewhere that writes its audit line when it ends or is given up.
pub(super) struct Metered<B> {
    inner: B,
    received: u64,
    meter: Option<Arc<Meter>>,
    record: Option<Record>,
    audit: Audit,
}

impl<B> Metered<B> {
    pub(super) fn new(inner: B, record: Record, audit: Audit, meter: Option<Arc<Meter>>) -> Self {
        Self {
            inner,
            received: 0,
            meter,
            record: Some(record),
            audit,
        }
    }
}

impl<B> Body for Metered<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.received += frame.data_ref().map_or(0, |data| data.len() as u64);
            if let Some(meter) = &self.meter {
                meter.alive();
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> Drop for Metered<B> {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            self.audit.write(&record.received(self.received));
        }
    }
}
