//! The accepting side: is this token from a key of the set, for this audience, and of now? Every way to fail is its
//! own [`TokenRejected`], for logs; a caller is told only that its token was not accepted.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

use super::{Claims, Jwk, Jwks};
use crate::clock::Clock;
#[cfg(feature = "server")]
use crate::server::{AuthError, Caller, bearer};

/// How far the clocks of two machines may be apart, in seconds.
const LEEWAY: i64 = 30;
/// A token of ours has about 500 bytes; nothing larger is looked at.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Why a token was not accepted. For logs: a caller must not learn which.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenRejected {
    /// It is not a JSON Web Token with our claims.
    #[error("not a well-formed token")]
    Malformed,
    /// It is signed with another algorithm than EdDSA.
    #[error("the token's algorithm is not EdDSA")]
    WrongAlgorithm,
    /// It names no key, or one that is not in the set.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the token's signature is wrong")]
    BadSignature,
    /// It is for somebody else.
    #[error("the token is for {aud}")]
    WrongAudience {
        /// For whom.
        aud: String,
    },
    /// It ended.
    #[error("the token ended {seconds_ago} s ago")]
    Expired {
        /// When.
        seconds_ago: i64,
    },
    /// It has not begun.
    #[error("the token begins in {in_seconds} s")]
    NotYetValid {
        /// When it does.
        in_seconds: i64,
    },
    /// It does not say for whom the caller acts.
    #[error("the token has no subject")]
    NoSubject,
}

/// Accepts the tokens of a key set for one audience.
pub struct JwtVerifier {
    keys: HashMap<String, DecodingKey>,
    audience: String,
    clock: Arc<dyn Clock>,
    signature_only: Validation,
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kids: Vec<_> = self.keys.keys().collect();
        f.debug_struct("JwtVerifier")
            .field("audience", &self.audience)
            .field("kids", &kids)
            .finish_non_exhaustive()
    }
}

impl JwtVerifier {
    /// A verifier for `audience`. Keys that are not Ed25519 keys, or have no id, are passed over.
    pub fn new(jwks: &Jwks, audience: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        // jsonwebtoken would read the system's clock: it checks the signature and the algorithm, we check the rest.
        let mut signature_only = Validation::new(Algorithm::EdDSA);
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_nbf = false;
        signature_only.validate_aud = false;
        let usable = |key: &&Jwk| key.is_ed25519() && !key.kid.is_empty();
        let keys = jwks.keys.iter().filter(usable).filter_map(|key| {
            let decoding_key = DecodingKey::from_ed_components(&key.x).ok()?;
            Some((key.kid.clone(), decoding_key))
        });
        Self {
            keys: keys.collect(),
            audience: audience.into(),
            clock,
            signature_only,
        }
    }

    /// The claims of a token that is good here and now.
    ///
    /// # Errors
    /// [`TokenRejected`] says why it is not.
    pub fn verify(&self, token: &str) -> Result<Claims, TokenRejected> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenRejected::Malformed);
        }
        // The algorithm `none` does not even parse: that is a wrong algorithm too, but not worth telling apart.
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenRejected::Malformed)?;
        if header.alg != Algorithm::EdDSA {
            return Err(TokenRejected::WrongAlgorithm);
        }
        let key = header
            .kid
            .and_then(|kid| self.keys.get(&kid))
            .ok_or(TokenRejected::UnknownKey)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.signature_only)
            .map_err(|error| match error.kind() {
                ErrorKind::InvalidSignature => TokenRejected::BadSignature,
                _ => TokenRejected::Malformed,
            })?
            .claims;
        self.check(claims)
    }

    fn check(&self, claims: Claims) -> Result<Claims, TokenRejected> {
        let now = self.clock.now().as_second();
        if claims.aud != self.audience {
            return Err(TokenRejected::WrongAudience { aud: claims.aud });
        }
        let seconds_ago = now.saturating_sub(claims.exp);
        if seconds_ago > LEEWAY {
            return Err(TokenRejected::Expired { seconds_ago });
        }
        let in_seconds = claims.nbf.max(claims.iat).saturating_sub(now);
        if in_seconds > LEEWAY {
            return Err(TokenRejected::NotYetValid { in_seconds });
        }
        if claims.sub.is_empty() {
            return Err(TokenRejected::NoSubject);
        }
        Ok(claims)
    }
}

#[cfg(feature = "server")]
impl crate::server::Authenticator for JwtVerifier {
    fn authenticate(&self, headers: &http::HeaderMap) -> Result<Caller, AuthError> {
        match self.verify(bearer(headers)?) {
            Ok(claims) => Ok(Caller::new(claims.sub)),
            Err(rejected) => Err(AuthError::Rejected {
                internal: rejected.to_string(),
            }),
        }
    }
}
