//! The captain's REST API from the outside: one call per method, one error type, and an event stream that resumes by
//! itself. It knows HTTP and the shape of answers, not what the commands do with them.

mod events;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use daemon::cli::Failure;
use daemon::exit::Exit;
use futures_util::{Stream, StreamExt};
use http::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

pub(crate) use events::Told;

/// Longest JSON answer, in bytes; a list of fifty thousand files fits.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Longest answer to a refused request that is read, in bytes.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

/// A captain that can be asked.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<SecretString>,
}

/// Why an answer did not come.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// It cannot be reached.
    #[error("cannot reach the captain at {url}: {problem}")]
    Unreachable {
        /// Where it was looked for.
        url: Url,
        /// Why not.
        problem: String,
    },
    /// It said no.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// What it said.
        message: String,
        /// What it advises.
        hint: Option<String>,
        /// Each problem on its own, where there are several.
        problems: Vec<String>,
    },
    /// It said something that cannot be understood.
    #[error("the answer of {url} is not understood: {problem}; is a captain listening there?")]
    Garbled {
        /// What was asked.
        url: Url,
        /// What is wrong with the answer.
        problem: String,
    },
    /// The connection ended before the answer.
    #[error("the connection to the captain broke off")]
    Broken(#[source] reqwest::Error),
    /// An event stream ended and could not be taken up again.
    #[error("lost the captain at {url} for {seconds} seconds")]
    Lost {
        /// Where it was.
        url: Url,
        /// How long it was tried.
        seconds: u64,
        /// What the last try met.
        #[source]
        source: Box<ClientError>,
    },
}

/// The body of an error answer.
#[derive(Debug, Deserialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Debug, Deserialize)]
struct ErrorDetail {
    message: String,
    #[serde(default)]
    hint: Option<String>,
    #[serde(default)]
    details: serde_json::Value,
}

impl Client {
    /// Asks the captain at `base`.
    pub(crate) fn new(http: reqwest::Client, base: Url, token: Option<SecretString>) -> Self {
        Self { http, base, token }
    }

    /// Reads a JSON object.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, ClientError> {
        self.json(Method::GET, path, None).await
    }

    /// Reads a JSON object, asked for with a query.
    pub(crate) async fn get_with<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        let mut url = self.url(path);
        url.query_pairs_mut().extend_pairs(query);
        let response = self.answer(self.http.get(url)).await?;
        let bytes = read(response, MAX_ANSWER_BYTES).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.garbled(path, &error))
    }

    /// Sends a JSON object and reads one.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.garbled(path, &error))?;
        self.json(Method::POST, path, Some(body)).await
    }

    /// Removes something.
    pub(crate) async fn delete(&self, path: &[&str]) -> Result<(), ClientError> {
        self.send(Method::DELETE, path, None).await.map(drop)
    }

    /// Reads something large, piece by piece.
    pub(crate) async fn download(
        &self,
        path: &[&str],
    ) -> Result<impl Stream<Item = Result<Bytes, ClientError>> + use<>, ClientError> {
        let response = self.send(Method::GET, path, None).await?;
        Ok(response
            .bytes_stream()
            .map(|piece| piece.map_err(ClientError::Broken)))
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<Vec<u8>>,
    ) -> Result<T, ClientError> {
        let response = self.send(method, path, body).await?;
        let bytes = read(response, MAX_ANSWER_BYTES).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.garbled(path, &error))
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        body: Option<Vec<u8>>,
    ) -> Result<reqwest::Response, ClientError> {
        let mut request = self.http.request(method, self.url(path));
        if let Some(body) = body {
            request = request
                .header(http::header::CONTENT_TYPE, "application/json")
                .body(body);
        }
        self.answer(request).await
    }

    /// Sends with the token; an answer other than a success is an error.
    async fn answer(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, ClientError> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        };
        let unreachable = |error: reqwest::Error| ClientError::Unreachable {
            url: self.base.clone(),
            problem: innermost(&error),
        };
        let response = request.send().await.map_err(unreachable)?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refused(response).await)
    }

    /// The address of `path`, each part escaped.
    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(path);
        }
        url
    }

    fn garbled(&self, path: &[&str], error: &serde_json::Error) -> ClientError {
        ClientError::Garbled {
            url: self.url(path),
            problem: error.to_string(),
        }
    }
}

async fn refused(response: reqwest::Response) -> ClientError {
    let status = response.status();
    let bytes = read(response, MAX_REFUSAL_BYTES).await.unwrap_or_default();
    match serde_json::from_slice::<ErrorBody>(&bytes) {
        Ok(ErrorBody { error }) => {
            let problems = problems(&error.details);
            ClientError::Refused {
                status,
                message: error.message,
                hint: error.hint,
                problems,
            }
        }
        Err(_) => {
            let message = format!("the captain answered {status}");
            ClientError::Refused {
                status,
                message,
                hint: None,
                problems: Vec::new(),
            }
        }
    }
}

/// The last cause: the layers of an HTTP client above it say nothing that a person could use.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// The details of a refusal, each in one line.
fn problems(details: &serde_json::Value) -> Vec<String> {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Object(map) => {
            let of = |key: &str| {
                map.get(key)
                    .and_then(serde_json::Value::as_str)
                    .unwrap_or_default()
            };
            match (of("field"), of("problem")) {
                ("", problem) => problem.to_owned(),
                (field, problem) => format!("{field}: {problem}"),
            }
        }
        other => other.to_string(),
    };
    details
        .as_array()
        .map(|list| list.iter().map(text).collect())
        .unwrap_or_default()
}

/// The whole body, if it is not longer than `limit`.
async fn read(response: reqwest::Response, limit: usize) -> Result<Vec<u8>, ClientError> {
    let url = response.url().clone();
    let mut bytes = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece.map_err(ClientError::Broken)?);
        if bytes.len() > limit {
            return Err(ClientError::Garbled {
                url,
                problem: format!("it has more than {limit} bytes"),
            });
        }
    }
    Ok(bytes)
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Refused {
                status,
                message,
                hint,
                problems,
            } => {
                let exit = match *status {
                    StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::NotPermitted,
                    StatusCode::INSUFFICIENT_STORAGE => Exit::Io,
                    StatusCode::TOO_MANY_REQUESTS
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::BAD_GATEWAY => Exit::Unavailable,
                    status if status.is_server_error() => Exit::Internal,
                    _ => Exit::BadInput,
                };
                let mut text = message.clone();
                // One problem is the message itself.
                if problems.len() > 1 {
                    for problem in problems {
                        text.push_str("\n  - ");
                        text.push_str(problem);
                    }
                }
                let failure = Self::new(exit, text);
                match hint {
                    Some(hint) => failure.with_hint(hint),
                    None => failure,
                }
            }
            ClientError::Unreachable { .. } | ClientError::Lost { .. } | ClientError::Broken(_) => {
                Self::from_error(Exit::Unavailable, &error)
                    .with_hint("start one with `captain serve`, or name another with --url")
            }
            ClientError::Garbled { .. } => Self::from_error(Exit::Unavailable, &error),
        }
    }
}
