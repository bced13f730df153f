//! Who calls. Every operation is scoped to the [`Caller`] that the [`Authenticator`] finds in the request's headers;
//! how a caller is found is the binary's choice. What a caller may do is not decided here.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret as _, SecretString};

use super::answer::rest_error;
use crate::error::{A2aError, ErrorMap};

/// The name of the caller where nobody has to say who they are.
const ANYBODY: &str = "anybody";

/// The longest tenant in bytes. It is part of the key of every task, so it must not be a document.
const MAX_TENANT_BYTES: usize = 256;
/// Stands between the parts of an owner that names more than a subject.
const SEPARATOR: char = '\u{1f}';

/// Who sent a request, for which tenant, and which extensions it activated.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The name by which results are kept apart.
    pub subject: Arc<str>,
    /// The tenant that the request names, if it names one. Tasks of one tenant do not exist for another.
    pub tenant: Option<Arc<str>>,
    /// The extensions of the agent's card that the request activates (A2A §4.6), by URI.
    pub extensions: Arc<[String]>,
    /// What the client calls this request, to know it again when it is repeated: its `Idempotency-Key`.
    pub idempotency_key: Option<Arc<str>>,
}

impl Caller {
    /// A caller by name.
    pub fn new(subject: impl Into<Arc<str>>) -> Self {
        Self {
            subject: subject.into(),
            tenant: None,
            extensions: Arc::default(),
            idempotency_key: None,
        }
    }

    /// The same caller on behalf of `tenant`; an empty one is none.
    ///
    /// # Errors
    /// [`A2aError::InvalidParams`] when the tenant is too long or not printable.
    pub fn within(&self, tenant: &str) -> Result<Self, A2aError> {
        let wrong = |why: &str| Err(A2aError::invalid_param("tenant", why));
        if tenant.len() > MAX_TENANT_BYTES {
            return wrong(&format!("must not be longer than {MAX_TENANT_BYTES} bytes"));
        }
        if tenant.chars().any(char::is_control) {
            return wrong("must not contain control characters");
        }
        let mut caller = self.clone();
        if !tenant.is_empty() {
            caller.tenant = Some(tenant.into());
        }
        Ok(caller)
    }

    /// The same caller with activated extensions.
    #[must_use]
    pub fn with_extensions(mut self, extensions: impl Into<Arc<[String]>>) -> Self {
        self.extensions = extensions.into();
        self
    }

    /// The same caller with the key of its request, if the headers have one.
    #[must_use]
    pub(super) fn with_key(mut self, headers: &HeaderMap) -> Self {
        let key = headers
            .get("idempotency-key")
            .and_then(|it| it.to_str().ok());
        let key = key.map(str::trim).filter(|key| !key.is_empty());
        self.idempotency_key = key.map(Arc::from);
        self
    }

    /// The owner under whom the log keeps this caller's tasks: the subject, and the tenant where there is one. No two
    /// pairs of subject and tenant have the same owner: the length of the tenant stands in front.
    pub fn owner(&self) -> Arc<str> {
        match &self.tenant {
            None if !self.subject.contains(SEPARATOR) => Arc::clone(&self.subject),
            tenant => {
                let tenant = tenant.as_deref().unwrap_or_default();
                let (length, subject) = (tenant.len(), &self.subject);
                format!("{length}{SEPARATOR}{tenant}{subject}").into()
            }
        }
    }

    /// The caller that [`Caller::owner`] was made of.
    pub fn of_owner(owner: &str) -> Self {
        let parts = owner.split_once(SEPARATOR).and_then(|(length, rest)| {
            let (tenant, subject) = rest.split_at_checked(length.parse().ok()?)?;
            Some((Some(tenant).filter(|it| !it.is_empty()), subject))
        });
        let (tenant, subject) = parts.unwrap_or((None, owner));
        Self {
            tenant: tenant.map(Arc::from),
            ..Self::new(subject)
        }
    }
}

/// Why a request has no caller. The text says what to do and not which check failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is no `Authorization` header.
    #[error("send an Authorization header with a bearer token")]
    Missing,
    /// The header is not of the form `Bearer TOKEN`.
    #[error("the Authorization header must be: Bearer TOKEN")]
    Malformed,
    /// The token is not good.
    #[error("the bearer token is not valid here")]
    Rejected {
        /// Why, for the log only.
        internal: String,
    },
}

impl AuthError {
    /// The challenge for the `WWW-Authenticate` header (RFC 6750 §3).
    pub fn challenge(&self) -> &'static str {
        match self {
            Self::Missing => "Bearer",
            Self::Malformed => r#"Bearer error="invalid_request""#,
            Self::Rejected { .. } => r#"Bearer error="invalid_token""#,
        }
    }
}

/// Finds the caller of a request. Called for every request, so it must be quick and must not block.
pub trait Authenticator: Send + Sync + 'static {
    /// # Errors
    /// When the request has no acceptable credentials.
    fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, AuthError>;
}

impl From<AuthError> for A2aError {
    fn from(error: AuthError) -> Self {
        if let AuthError::Rejected { internal } = &error {
            tracing::info!(reason = internal.as_str(), "a token was rejected");
        }
        Self::Unauthenticated {
            detail: error.to_string(),
        }
    }
}

/// Finds the caller of a request and puts it into the request's extensions; without one the answer is 401. For the
/// routes that a binary serves beside the protocol's:
/// `router.layer(axum::middleware::from_fn_with_state(auth, require_caller))`.
pub async fn require_caller(
    State(auth): State<Arc<dyn Authenticator>>,
    mut request: Request,
    next: Next,
) -> Response {
    match auth.authenticate(request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => refuse(error, |error| rest_error(error, ErrorMap::default())),
    }
}

/// The answer to a request without a caller: the error in the words of its binding, and the challenge.
pub(super) fn refuse(error: AuthError, answer: impl FnOnce(&A2aError) -> Response) -> Response {
    let challenge = HeaderValue::from_static(error.challenge());
    let mut response = answer(&error.into());
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// Takes everybody for the same caller. Only for a listener that nobody else can reach, which the binary makes sure of.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnyCaller;

impl Authenticator for AnyCaller {
    fn authenticate(&self, _headers: &HeaderMap) -> Result<Caller, AuthError> {
        Ok(Caller::new(ANYBODY))
    }
}

/// One shared secret: who knows it is the one caller.
pub struct BearerToken {
    token: SecretString,
    caller: Caller,
}

impl BearerToken {
    /// Callers who send `token` are `caller`.
    pub fn new(token: SecretString, caller: Caller) -> Self {
        Self { token, caller }
    }
}

impl Authenticator for BearerToken {
    fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, AuthError> {
        if same(bearer(headers)?, self.token.expose_secret()) {
            Ok(self.caller.clone())
        } else {
            Err(AuthError::Rejected {
                internal: "not the shared token".to_owned(),
            })
        }
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerToken")
            .field("caller", &self.caller)
            .finish_non_exhaustive()
    }
}

/// The token of an `Authorization: Bearer TOKEN` header; the scheme in any case (RFC 9110 §11.1).
///
/// # Errors
/// When the header is missing, repeated or of another form.
pub fn bearer(headers: &HeaderMap) -> Result<&str, AuthError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(AuthError::Missing)?;
    if values.next().is_some() {
        return Err(AuthError::Malformed);
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .ok_or(AuthError::Malformed)?;
    let token = token.trim_start_matches(' ');
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(AuthError::Malformed);
    }
    Ok(token)
}

/// Compares without telling by its duration where the difference is; the length is no secret.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len()
        && a.bytes().zip(b.bytes()).fold(0, |difference, (a, b)| {
            std::hint::black_box(difference | (a ^ b))
        }) == 0
}
