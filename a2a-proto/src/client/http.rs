//! The one place that builds HTTP clients. They have time-outs, follow no redirect (a token must not travel to where it
//! was not meant to go) and ignore the system's proxy settings.

#[cfg(feature = "server")]
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use url::Url;

use super::ClientError;

/// What an HTTP client is built from.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// How long a connection may take to stand.
    pub connect_timeout: Duration,
    /// How long a whole request may take, streams included; `None` for no limit, which streams need.
    pub timeout: Option<Duration>,
    /// An HTTP proxy on the way; `None` for a direct connection, whatever the environment says.
    pub proxy: Option<Url>,
    /// Who we say we are.
    pub user_agent: String,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            timeout: None,
            proxy: None,
            user_agent: concat!("flotilla/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// An HTTP client. It keeps connections: make one and share it.
///
/// On a machine without CA certificates it trusts none: `http` works, as between the processes of one machine, and
/// every `https` address is refused.
///
/// # Errors
/// [`ClientError::Build`] when TLS cannot be set up.
pub fn http_client(options: &HttpOptions) -> Result<reqwest::Client, ClientError> {
    build(|| builder(options))
}

fn build(
    builder: impl Fn() -> Result<reqwest::ClientBuilder, ClientError>,
) -> Result<reqwest::Client, ClientError> {
    builder()?.build().or_else(|error| {
        let client = builder()?.tls_certs_only([]).build();
        let client = client.map_err(|source| ClientError::Build { source })?;
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "no CA certificates: https addresses will be refused"
        );
        Ok(client)
    })
}

/// An HTTP client that connects only to the addresses that `resolver` answers; an address in a URL is taken as it is.
///
/// # Errors
/// Like [`http_client`].
#[cfg(feature = "server")]
pub(crate) fn http_client_resolving(
    options: &HttpOptions,
    resolver: &Arc<dyn reqwest::dns::Resolve>,
) -> Result<reqwest::Client, ClientError> {
    build(|| Ok(builder(options)?.dns_resolver(Arc::clone(resolver))))
}

fn builder(options: &HttpOptions) -> Result<reqwest::ClientBuilder, ClientError> {
    // Notices a peer that vanished without a word even where no other limit applies.
    const TCP_KEEPALIVE: Duration = Duration::from_secs(30);
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that builds HTTP clients"
    )]
    let builder = reqwest::Client::builder()
        .connect_timeout(options.connect_timeout)
        .user_agent(&options.user_agent)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        .tcp_keepalive(TCP_KEEPALIVE);
    let builder = match options.timeout {
        Some(timeout) => builder.timeout(timeout),
        None => builder,
    };
    match &options.proxy {
        Some(proxy) => reqwest::Proxy::all(proxy.clone())
            .map(|proxy| builder.proxy(proxy))
            .map_err(|source| ClientError::Build { source }),
        None => Ok(builder),
    }
}

/// Reads a body to its end, but not beyond `limit` bytes.
pub(super) async fn read_body(
    mut response: reqwest::Response,
    limit: usize,
) -> Result<Bytes, ClientError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|source| ClientError::Unreachable { source })?
    {
        if body.len() + chunk.len() > limit {
            return Err(ClientError::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
