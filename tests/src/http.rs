//! HTTP calls with a token.
//!
//! Here because every test makes them, always with a deadline, and shows the body of an unexpected answer.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

/// Longest silence of one call. Streams are read with their own deadlines.
const CALL: Duration = Duration::from_secs(30);

/// A server and the token it wants.
#[derive(Clone, Debug)]
pub struct Api {
    url: String,
    token: Option<String>,
    client: Client,
}

impl Api {
    /// A server at `url`; the token is sent when there is one.
    ///
    /// # Panics
    /// When TLS cannot be initialised.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the test's client must not share the defaults of the product's client"
    )]
    pub fn new(url: &str, token: Option<&str>) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            token: token.map(str::to_owned),
            client: Client::builder()
                .no_proxy()
                .read_timeout(CALL)
                .build()
                .expect("a client can be made"),
        }
    }

    /// The same server with another token.
    #[must_use]
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self {
            token: token.map(str::to_owned),
            ..self.clone()
        }
    }

    /// The server's address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A request to be completed by the caller.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// `GET`, whatever the answer.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn get_raw(&self, path: &str) -> Response {
        answer(self.request(Method::GET, path)).await
    }

    /// `GET` of JSON.
    ///
    /// # Panics
    /// When the answer is no success.
    pub async fn get(&self, path: &str) -> Value {
        json(self.get_raw(path).await, StatusCode::OK).await
    }

    /// `POST` of JSON, whatever the answer.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn post_raw(&self, path: &str, body: &Value) -> Response {
        answer(self.request(Method::POST, path).json(body)).await
    }
}

/// Sends a request.
///
/// # Panics
/// When there is no answer.
pub async fn answer(request: RequestBuilder) -> Response {
    request
        .send()
        .await
        .unwrap_or_else(|error| panic!("no answer: {error:?}"))
}

/// The JSON of an answer that must have `status`.
///
/// # Panics
/// When it has another, or no JSON.
pub async fn json(response: Response, status: StatusCode) -> Value {
    let (got, url) = (response.status(), response.url().clone());
    let text = response
        .text()
        .await
        .unwrap_or_else(|error| panic!("{url}: the answer broke off: {error:?}"));
    assert_eq!(got, status, "{url} answered {text}");
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{url} answered no JSON ({error}): {text}"))
}
