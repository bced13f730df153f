//! The model reverse proxy: `/v1/…` from the sandbox goes to the provider, with the provider's key.
//!
//! Bodies stream through untouched in both directions. Whatever credentials the agent sent are dropped: it has only a
//! placeholder. A provider that cannot be reached is an answer that says what to do; the provider's own errors pass.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use a2a_proto::client::{HttpOptions, http_client};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;
use tracing::warn;

use super::Meter;
use super::audit::{Audit, Record};
use super::body::{Metered, ResponseBody, refusal, strip_hop_by_hop};
use crate::card::Provider;

/// Largest request that the agent may send to a model. A prompt of opencode is 31 KB; pictures and long histories are more.
const MAX_REQUEST: usize = 32 * 1024 * 1024;

/// How long the provider may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the agent may ask of a provider: the calls that make or count tokens, and the list of models.
const ALLOWED: [(Method, &str); 6] = [
    (Method::POST, "/chat/completions"),
    (Method::POST, "/responses"),
    (Method::POST, "/messages"),
    (Method::POST, "/messages/count_tokens"),
    (Method::POST, "/embeddings"),
    (Method::GET, "/models"),
];

/// The calls that count as steps of the agent.
const STEPS: [&str; 3] = ["/chat/completions", "/responses", "/messages"];

/// Credentials that must not pass from the sandbox.
const CREDENTIALS: [HeaderName; 5] = [
    header::AUTHORIZATION,
    header::COOKIE,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// The way to the provider.
#[derive(Debug)]
pub(super) struct Model {
    provider: Provider,
    base_url: Option<url::Url>,
    key: Option<SecretString>,
    proxy: Option<url::Url>,
    meter: Arc<Meter>,
    // Made at the first call: setting TLS up costs time and memory that an idle worker need not spend.
    client: OnceCell<reqwest::Client>,
}

impl Model {
    pub(super) fn new(
        provider: Provider,
        base_url: Option<url::Url>,
        key: Option<SecretString>,
        proxy: Option<url::Url>,
        meter: Arc<Meter>,
    ) -> Self {
        Self {
            provider,
            base_url,
            key,
            proxy,
            meter,
            client: OnceCell::new(),
        }
    }

    /// Answers one request for the model.
    pub(super) async fn forward(
        &self,
        request: Request<Incoming>,
        audit: &Audit,
    ) -> Response<ResponseBody> {
        let path = request
            .uri()
            .path()
            .strip_prefix("/v1")
            .unwrap_or_default()
            .to_owned();
        let host = self
            .base_url
            .as_ref()
            .and_then(url::Url::host_str)
            .unwrap_or_default();
        let record = Record::new("model", request.method(), host, request.uri().path())
            .sends(request.body().size_hint().lower());
        match self.send(request, &path).await {
            Ok(response) => {
                let status = response.status();
                if STEPS.contains(&path.as_str()) {
                    self.meter.answered(status);
                }
                let record = record.finished(status, "");
                let (mut parts, body) = Response::<reqwest::Body>::from(response).into_parts();
                strip_hop_by_hop(&mut parts.headers);
                let body = Metered::new(body, record, audit.clone(), Some(Arc::clone(&self.meter)));
                Response::from_parts(parts, body.map_err(Into::into).boxed())
            }
            Err(Failure {
                status,
                reason,
                message,
            }) => {
                audit.write(&record.finished(status, reason));
                refusal(status, reason, &message)
            }
        }
    }

    async fn send(
        &self,
        request: Request<Incoming>,
        path: &str,
    ) -> Result<reqwest::Response, Failure> {
        if !ALLOWED
            .iter()
            .any(|(method, allowed)| method == request.method() && *allowed == path)
        {
            return Err(Failure::new(
                StatusCode::FORBIDDEN,
                "path-not-allowed",
                format!(
                    "{} {path} is not among the calls that an agent may make to its model",
                    request.method()
                ),
            ));
        }
        let Some(base_url) = &self.base_url else {
            return Err(Failure::new(
                StatusCode::BAD_GATEWAY,
                "no-model",
                "this worker has no model: set base_url in the agent ID card".to_owned(),
            ));
        };
        if request.body().size_hint().lower() > MAX_REQUEST as u64 {
            return Err(too_large());
        }
        // An own base_url may be a server without keys; the public providers always want one.
        let public = self
            .provider
            .default_base_url()
            .is_some_and(|default| base_url.as_str().trim_end_matches('/') == default);
        if self.key.is_none() && self.provider.needs_key() && public {
            return Err(Failure::new(
                StatusCode::UNAUTHORIZED,
                "no-key",
                format!(
                    "no key for {}: set api_key_file in the agent ID card to a file that holds one",
                    base_url.host_str().unwrap_or_default()
                ),
            ));
        }
        if STEPS.contains(&path) {
            self.meter.call();
        }
        let client = self
            .client
            .get_or_try_init(|| async { self.make_client() })
            .await?;
        let (parts, body) = request.into_parts();
        let mut address = base_url.clone();
        address.set_path(&format!("{}{path}", base_url.path().trim_end_matches('/')));
        address.set_query(parts.uri.query());
        let body = Limited::new(body, MAX_REQUEST);
        let sent = client
            .request(parts.method, address)
            .headers(self.headers(parts.headers))
            .body(reqwest::Body::wrap(body))
            .send()
            .await;
        match sent {
            Ok(response) => {
                self.meter.reached();
                self.meter.alive();
                Ok(response)
            }
            Err(error) => Err(self.unreachable(&error, base_url)),
        }
    }

    fn headers(&self, mut headers: HeaderMap) -> HeaderMap {
        strip_hop_by_hop(&mut headers);
        headers.remove(header::HOST);
        // The body may be sent on in chunks of another size; the client library sets its own length.
        headers.remove(header::CONTENT_LENGTH);
        for name in &CREDENTIALS {
            headers.remove(name);
        }
        let Some(key) = &self.key else { return headers };
        let (name, value) = match self.provider {
            Provider::Anthropic => (
                HeaderName::from_static("x-api-key"),
                key.expose_secret().to_owned(),
            ),
            Provider::Openai | Provider::Ollama | Provider::Custom => (
                header::AUTHORIZATION,
                format!("Bearer {}", key.expose_secret()),
            ),
        };
        // The key was checked to be a header value when it was read.
        if let Ok(mut value) = HeaderValue::try_from(value) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        headers
    }

    fn make_client(&self) -> Result<reqwest::Client, Failure> {
        let options = HttpOptions {
            connect_timeout: CONNECT_TIMEOUT,
            // A reasoning model may be silent for minutes: the session's watchdogs decide when that is too long.
            timeout: None,
            proxy: self.proxy.clone(),
            ..HttpOptions::default()
        };
        http_client(&options).map_err(|error| {
            warn!(
                error = daemon::cli::chain(&error),
                "the HTTP client for the model cannot be made"
            );
            Failure::new(
                StatusCode::BAD_GATEWAY,
                "no-client",
                "the worker cannot make an HTTP client for the model; see its log".to_owned(),
            )
        })
    }

    fn unreachable(&self, error: &reqwest::Error, base_url: &url::Url) -> Failure {
        let cause = root_cause(error);
        if error.is_body() || cause.contains("length limit exceeded") {
            return too_large();
        }
        let place = base_url.origin().ascii_serialization();
        let message = format!(
            "the model at {place} cannot be reached ({cause}): start it, or correct base_url or proxy in the agent ID card"
        );
        self.meter.unreachable(message.clone());
        Failure::new(StatusCode::BAD_GATEWAY, "model-unreachable", message)
    }
}

#[derive(Debug)]
struct Failure {
    status: StatusCode,
    reason: &'static str,
    message: String,
}

impl Failure {
    fn new(status: StatusCode, reason: &'static str, message: String) -> Self {
        Self {
            status,
            reason,
            message,
        }
    }
}

fn too_large() -> Failure {
    Failure::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "request-too-large",
        "the request to the model is larger than 32 MiB".to_owned(),
    )
}

/// The innermost cause: "connection refused" rather than "error sending request".
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
