//! Where bearer tokens come from. A source is asked for every request, so that short-lived tokens renew themselves.

use std::fmt;

use secrecy::SecretString;

/// A source of bearer tokens. Asking must be cheap: it happens on the way of every request.
pub trait TokenSource: fmt::Debug + Send + Sync + 'static {
    /// The token for a request that is sent now.
    ///
    /// # Errors
    /// [`TokenError`] when there is none; the request is not sent then.
    fn token(&self) -> Result<SecretString, TokenError>;
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[error("cannot get a bearer token")]
pub struct TokenError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl TokenError {
    /// For this reason.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

/// Always the same token.
#[derive(Debug, Clone)]
pub struct StaticToken(SecretString);

impl StaticToken {
    /// This one.
    pub fn new(token: SecretString) -> Self {
        Self(token)
    }
}

impl TokenSource for StaticToken {
    fn token(&self) -> Result<SecretString, TokenError> {
        Ok(self.0.clone())
    }
}
