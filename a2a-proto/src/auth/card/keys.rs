//! The public half: the keys that a verifier trusts, and which of them count now.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;

use super::verify::SignatureProblem;
use crate::auth::{Jwk, Jwks};

/// The keys that a verifier trusts: a set of its own, and sets that were fetched from addresses which it allows.
#[derive(Debug, Clone, Default)]
pub struct CardKeys {
    own: Jwks,
    fetched: BTreeMap<String, Jwks>,
}

impl CardKeys {
    /// Trusts the keys of this set. A key counts from its `nbf` to its `exp` (seconds since 1970), and not at all when
    /// it is `revoked`; a set with an old and a new key is how keys are changed.
    pub fn new(own: Jwks) -> Self {
        Self {
            own,
            fetched: BTreeMap::new(),
        }
    }

    /// Trusts this set, too, for signatures whose `jku` is `url`. The caller has made sure that it trusts the address.
    pub fn add(&mut self, url: impl Into<String>, keys: Jwks) {
        self.fetched.insert(url.into(), keys);
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.own.keys.is_empty() && self.fetched.values().all(|set| set.keys.is_empty())
    }

    /// Checks a signature with the key that its header names. Of several keys with one id, any may have made it.
    pub(super) fn check(
        &self,
        kid: &str,
        jku: Option<&str>,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
        now: Timestamp,
    ) -> Result<(), SignatureProblem> {
        let fetched = jku.and_then(|jku| self.fetched.get(jku));
        let sets = std::iter::once(&self.own).chain(fetched);
        let named = sets
            .flat_map(|set| &set.keys)
            .filter(|key| !key.kid.is_empty() && key.kid == kid);
        let mut problem = SignatureProblem::UnknownKey {
            kid: kid.to_owned(),
        };
        for key in named {
            match usable(key, algorithm, now)
                .and_then(|()| algorithm.verify(key, message, signature))
            {
                Ok(()) => return Ok(()),
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }
}

/// Whether the key may be used for this, now.
fn usable(key: &Jwk, algorithm: Algorithm, now: Timestamp) -> Result<(), SignatureProblem> {
    let kid = || key.kid.clone();
    let of_kind = match algorithm {
        Algorithm::EdDsa => key.kty == "OKP" && key.crv == "Ed25519",
        Algorithm::Es256 => key.kty == "EC" && key.crv == "P-256",
        Algorithm::Rs256 => key.kty == "RSA",
    };
    let for_this = algorithm.names().contains(&key.alg.as_str()) || key.alg.is_empty();
    if !of_kind || !for_this || !matches!(key.usage.as_str(), "" | "sig") {
        return Err(SignatureProblem::WrongKind {
            kid: kid(),
            alg: algorithm.names()[0].to_owned(),
        });
    }
    if key
        .revoked
        .as_ref()
        .is_some_and(|revoked| !revoked.is_null())
    {
        return Err(SignatureProblem::Revoked { kid: kid() });
    }
    let now = now.as_second();
    if key.exp.is_some_and(|end| now >= end) {
        return Err(SignatureProblem::Expired { kid: kid() });
    }
    if key.nbf.is_some_and(|begin| now < begin) {
        return Err(SignatureProblem::NotYetValid { kid: kid() });
    }
    Ok(())
}

/// The algorithms that are verified. `none` and the symmetric ones are not among them, and cannot be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    EdDsa,
    Es256,
    Rs256,
}

impl Algorithm {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::EdDsa, Self::Es256, Self::Rs256]
            .into_iter()
            .find(|algorithm| algorithm.names().contains(&name))
    }

    /// Its names, the one that we write first; RFC 9864 gives Ed25519 a name of its own.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::EdDsa => &["EdDSA", "Ed25519"],
            Self::Es256 => &["ES256"],
            Self::Rs256 => &["RS256"],
        }
    }

    fn verify(self, key: &Jwk, message: &[u8], signature: &[u8]) -> Result<(), SignatureProblem> {
        let part = |text: &str| {
            URL_SAFE_NO_PAD
                .decode(text)
                .map_err(|_| SignatureProblem::BadKey {
                    kid: key.kid.clone(),
                })
        };
        let verified = match self {
            Self::EdDsa => {
                UnparsedPublicKey::new(&ED25519, part(&key.x)?).verify(message, signature)
            }
            Self::Es256 => {
                // SEC 1 §2.3.3: an uncompressed point.
                let mut point = vec![4];
                point.extend(part(&key.x)?);
                point.extend(part(&key.y)?);
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            Self::Rs256 => RsaPublicKeyComponents {
                n: part(&key.n)?,
                e: part(&key.e)?,
            }
            .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
        };
        verified.map_err(|_| SignatureProblem::Mismatch {
            kid: key.kid.clone(),
        })
    }
}
