//! One try to deliver one event: a POST and what became of it. It follows no redirect, takes no proxy from the
//! environment and connects only where [`super::resolve`] lets it. What it says about a failure holds no address and no
//! secret, since it goes to the log.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use url::Url;

use super::allow::AllowList;
use super::resolve::Forbidden;
use super::target;
use crate::types::TaskPushNotificationConfig;
use crate::version::ProtocolVersion;

/// How much of an answer is read so that the connection can be used again.
const MAX_ANSWER: usize = 64 * 1024;

/// Both names under which receivers look for the token.
const TOKEN_HEADERS: [HeaderName; 2] = [
    HeaderName::from_static("x-a2a-notification-token"),
    HeaderName::from_static("a2a-notification-token"),
];

/// Where and how the events of one configuration are posted.
pub(super) struct Receiver {
    url: Url,
    headers: HeaderMap,
}

/// What became of a try.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Posted {
    /// Any 2xx.
    Delivered,
    /// Anything else.
    Failed {
        why: String,
        /// When the receiver wants to be asked again.
        retry_after: Option<Duration>,
    },
}

impl Receiver {
    /// The receiver of a configuration that was stored. The list of the operator may have changed since.
    ///
    /// # Errors
    /// Why nothing is sent there.
    pub(super) fn new(
        config: &TaskPushNotificationConfig,
        protocol: ProtocolVersion,
        allow: &AllowList,
    ) -> Result<Self, String> {
        let url = target::check(&config.url, allow).map_err(|refusal| format!("url {refusal}"))?;
        let secret = |text: &str| {
            let mut value = HeaderValue::from_str(text).map_err(|error| error.to_string())?;
            // Neither printed nor kept by the compression of headers.
            value.set_sensitive(true);
            Ok::<_, String>(value)
        };
        let mut headers = HeaderMap::new();
        let media_type = match protocol {
            ProtocolVersion::V1_0 => "application/a2a+json",
            ProtocolVersion::V0_3 | ProtocolVersion::V0_1 | ProtocolVersion::Simple => {
                "application/json"
            }
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        if !config.token.is_empty() {
            let token = secret(&config.token)?;
            for name in TOKEN_HEADERS {
                headers.insert(name, token.clone());
            }
        }
        if let Some(authentication) = &config.authentication
            && !authentication.credentials.is_empty()
        {
            let text = format!("{} {}", authentication.scheme, authentication.credentials);
            headers.insert(header::AUTHORIZATION, secret(&text)?);
        }
        Ok(Self { url, headers })
    }

    /// The host, for the log; the rest of the address can be a secret.
    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Posts `body` once.
    pub(super) async fn post(
        &self,
        client: &reqwest::Client,
        body: Bytes,
        limit: Duration,
    ) -> Posted {
        let request = client
            .post(self.url.clone())
            .headers(self.headers.clone())
            .timeout(limit)
            .body(body);
        match request.send().await {
            Ok(mut answer) => {
                let posted = judge(answer.status(), answer.headers());
                let mut read = 0;
                // The answer says nothing more; it is read for the connection's sake only.
                while let Ok(Some(chunk)) = answer.chunk().await {
                    read += chunk.len();
                    if read > MAX_ANSWER {
                        break;
                    }
                }
                posted
            }
            Err(error) => Posted::Failed {
                why: why(&error, limit),
                retry_after: None,
            },
        }
    }
}

fn judge(status: StatusCode, headers: &HeaderMap) -> Posted {
    if status.is_success() {
        return Posted::Delivered;
    }
    if status.is_redirection() {
        return Posted::Failed {
            why: format!(
                "the receiver answered {}: redirects are not followed",
                status.as_u16()
            ),
            retry_after: None,
        };
    }
    let seconds = headers
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Posted::Failed {
        why: format!("the receiver answered {}", status.as_u16()),
        retry_after: seconds.map(Duration::from_secs),
    }
}

fn why(error: &reqwest::Error, limit: Duration) -> String {
    if let Some(forbidden) = sources(error).find_map(|source| source.downcast_ref::<Forbidden>()) {
        return forbidden.to_string();
    }
    if error.is_timeout() {
        return format!("no answer within {} ms", limit.as_millis());
    }
    let what = if error.is_connect() {
        "cannot connect to the receiver"
    } else {
        "the connection to the receiver broke"
    };
    // The outer errors name the address; the innermost says what happened.
    match sources(error).last() {
        Some(cause) => format!("{what}: {cause}"),
        None => what.to_owned(),
    }
}

fn sources(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let source = next?;
        next = source.source();
        Some(source)
    })
}
