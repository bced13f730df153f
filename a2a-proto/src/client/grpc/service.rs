//! A guard between tonic and the agent: tonic takes it for granted that the details of a status are base64, and panics when
//! they are not. What an agent sends must never bring us down, so details that are not base64 are dropped here.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::transport::{Channel, Error};

const DETAILS: &str = "grpc-status-details-bin";
/// What tonic decodes with.
const DECODER: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A channel whose answers hold no surprise.
pub(super) struct Checked(Channel);

impl Checked {
    pub(super) fn new(channel: Channel) -> Self {
        Self(channel)
    }
}

impl GrpcService<Body> for Checked {
    type ResponseBody = Body;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        GrpcService::<Body>::poll_ready(&mut self.0, cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = GrpcService::<Body>::call(&mut self.0, request);
        Box::pin(async move {
            let mut response = answer.await?;
            check(response.headers_mut());
            Ok(response.map(|body| {
                Body::new(body.map_frame(|mut frame| {
                    if let Some(trailers) = frame.trailers_mut() {
                        check(trailers);
                    }
                    frame
                }))
            }))
        })
    }
}

fn check(headers: &mut HeaderMap) {
    let good = |value: &http::HeaderValue| DECODER.decode(value.as_bytes()).is_ok();
    if headers.get(DETAILS).is_some_and(|value| !good(value)) {
        headers.remove(DETAILS);
    }
}
