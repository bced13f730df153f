//! HTTP calls with a token.
//!
//! Here because every test makes them, always with a deadline, and shows the body of an unexpected answer.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

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

    /// The token that is sent.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
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

/// The status of the answer to a large `POST`, which may come, and end the connection, before the body was read. A client that
/// writes first and reads later may then see a broken pipe instead; this one does both at once.
///
/// # Panics
/// When no answer comes.
pub async fn upload(api: &Api, path: &str, body: &str) -> StatusCode {
    let address = api.url().trim_start_matches("http://");
    let stream = TcpStream::connect(address)
        .await
        .expect("the server listens");
    let (mut read, mut write) = stream.into_split();
    let token = api.token.as_deref().unwrap_or_default();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = async {
        let mut text = Vec::new();
        while !text.windows(2).any(|w| w == b"\r\n")
            && read.read_buf(&mut text).await.is_ok_and(|n| n > 0)
        {}
        String::from_utf8_lossy(&text).into_owned()
    };
    // Writing fails when the server closes; the answer tells why.
    let both = async { tokio::join!(write.write_all(request.as_bytes()), answer) };
    let (_, text) = tokio::time::timeout(CALL, both)
        .await
        .expect("an answer comes");
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
    status.unwrap_or_else(|| panic!("no answer to a large body: {text:?}"))
}
