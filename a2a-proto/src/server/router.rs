//! The outermost layer: one fallback that answers everything, the middleware around it, and what no binding owns:
//! health, unknown paths, callers without credentials.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::answer::{JSON, json, rest_error, rpc_error};
use super::auth::refuse;
use super::cards::Shape;
use super::route::{Miss, Route, route};
use super::{Agent, Inner, rest_v03};
use crate::error::{A2aError, ErrorMap};
use crate::jsonrpc::Id;
use crate::log::TaskLog;
use crate::version::{self, Absent, EXTENSIONS_HEADER, ProtocolVersion};

pub(super) fn router<A: Agent, L: TaskLog>(inner: Arc<Inner<A, L>>) -> Router {
    Router::new().fallback(answer::<A, L>).with_state(inner)
}

/// What stands around every answer, from the inside out. Plain calls and not layers of the router, each of which would
/// allocate twice per request.
async fn answer<A: Agent, L: TaskLog>(
    State(inner): State<Arc<Inner<A, L>>>,
    request: Request,
) -> Response {
    let broken = broken(request.headers());
    let answer = AssertUnwindSafe(serve(inner, request));
    // A panic of ours is one failed request, not a broken connection; around everything that could panic.
    let mut response = answer.catch_unwind().await.unwrap_or_else(|_| broken());
    // A browser must not take an answer for something else than it says; on every answer, so outermost.
    response.headers_mut().insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// How to say to this client that a handler panicked.
fn broken(headers: &HeaderMap) -> fn() -> Response {
    #[cfg(feature = "grpc")]
    if super::grpc::is_grpc(headers) {
        return super::grpc::broken;
    }
    let _ = headers;
    || {
        let error = A2aError::internal("a handler panicked");
        rest_error(&error, ErrorMap::default())
    }
}

async fn serve<A: Agent, L: TaskLog>(inner: Arc<Inner<A, L>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    #[cfg(feature = "grpc")]
    if super::grpc::is_grpc(&parts.headers) {
        return inner.grpc(&parts, body).await;
    }
    let route = match route(&parts.method, parts.uri.path()) {
        Ok(route) => route,
        Err(Miss::NotFound) => {
            let method = format!("{} {}", parts.method, parts.uri.path());
            return rest_error(
                &A2aError::MethodNotFound { method },
                inner.options.error_map,
            );
        }
        Err(Miss::Method(allowed)) => return method_not_allowed(&parts, allowed),
    };
    // Discovery and health come first: who asks for them has no credentials yet.
    match route {
        Route::Card => return inner.serve_card(Shape::Current, &parts.headers),
        Route::LegacyCard => return inner.serve_card(Shape::Legacy, &parts.headers),
        Route::Health => {
            return json(
                StatusCode::OK,
                JSON,
                Bytes::from_static(br#"{"status":"ok"}"#),
            );
        }
        Route::Ready => return inner.ready(),
        _ => {}
    }
    let refusal = |error: &A2aError| match route {
        Route::JsonRpc => rpc_error(&Id::null(), error),
        Route::RestV03(_) => rest_v03::error(error, inner.options.error_map),
        _ => rest_error(error, inner.options.error_map),
    };
    let caller = match inner.options.auth.authenticate(&parts.headers) {
        Ok(caller) => caller,
        Err(error) => {
            return refuse(error, refusal);
        }
    };
    tracing::debug!(
        caller = caller.subject.as_ref(),
        method = parts.method.as_str(),
        path = parts.uri.path(),
        "call"
    );
    let activated = declared(&inner, &parts.headers);
    let caller = caller
        .with_extensions(activated.clone())
        .with_key(&parts.headers);
    let mut response = match route {
        Route::JsonRpc => inner.json_rpc(caller, &parts, body).await,
        Route::Rest { tenant, call } => inner.rest(caller, &parts, body, &tenant, call).await,
        Route::RestV03(call) => inner.rest_v03(caller, &parts, body, call).await,
        Route::TaskOrSimple(id) => inner.task_or_simple(caller, &parts, id).await,
        Route::SimpleSend => inner.simple_send(caller, &parts, body).await,
        Route::SimpleTask(id) => inner.simple_task(caller, &parts, id).await,
        Route::Card | Route::LegacyCard | Route::Health | Route::Ready => inner.ready(),
    };
    if !activated.is_empty() {
        echo_extensions(&activated, response.headers_mut());
    }
    response
}

fn method_not_allowed(parts: &Parts, allowed: &'static str) -> Response {
    let method = format!("{} {}", parts.method, parts.uri.path());
    let mut response = rest_error(&A2aError::MethodNotFound { method }, ErrorMap::default());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

/// The extensions that the request activates and this agent has; others are ignored (A2A §3.2.6).
fn declared<A: Agent, L: TaskLog>(inner: &Inner<A, L>, headers: &HeaderMap) -> Vec<String> {
    let mut activated = version::extensions(headers);
    if !activated.is_empty() {
        let card = inner.card();
        let known = &card.capabilities.extensions;
        activated.retain(|uri| known.iter().any(|extension| extension.uri == *uri));
        activated.sort_unstable();
        activated.dedup();
    }
    activated
}

/// Says which extensions are active.
fn echo_extensions(activated: &[String], headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::from_str(&activated.join(", ")) {
        headers.insert(EXTENSIONS_HEADER, value);
    }
}

impl<A: Agent, L: TaskLog> Inner<A, L> {
    fn ready(&self) -> Response {
        if self.options.shutdown.is_cancelled() {
            let body = Bytes::from_static(br#"{"status":"stopping"}"#);
            return json(StatusCode::SERVICE_UNAVAILABLE, JSON, body);
        }
        json(
            StatusCode::OK,
            JSON,
            Bytes::from_static(br#"{"status":"ready"}"#),
        )
    }

    /// What every call must get right before anything else: the version, which must be that of the dialect it is
    /// `spoken` in, and required extensions.
    pub(super) fn negotiate(&self, parts: &Parts, spoken: ProtocolVersion) -> Result<(), A2aError> {
        let absent = if self.options.strict_version {
            Absent::Strict
        } else {
            Absent::Lenient
        };
        let requested = version::requested(&parts.headers, parts.uri.query());
        version::check(requested.as_deref(), absent, spoken)?;
        self.check_extensions(parts)
    }

    pub(super) fn check_extensions(&self, parts: &Parts) -> Result<(), A2aError> {
        version::check_extensions(&self.card(), &version::extensions(&parts.headers))
    }
}
