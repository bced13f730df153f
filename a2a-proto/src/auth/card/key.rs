//! The private half: a key that signs cards, Ed25519 (`EdDSA`) or P-256 (`ES256`), and its PKCS#8 PEM form for keeping.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;

use crate::auth::{Jwk, Jwks, pem};

/// An algorithm that cards are signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardAlgorithm {
    /// Ed25519 (RFC 8037); the default: small, and the same card always has the same signature.
    EdDsa,
    /// ECDSA with P-256 and SHA-256 (RFC 7518 §3.4), which every verifier knows.
    Es256,
}

impl CardAlgorithm {
    /// The name in a protected header.
    pub fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CardKeyError {
    /// The system gave no randomness.
    #[error("cannot make a signing key")]
    Generate,
    /// The text is not a PEM block `PRIVATE KEY`.
    #[error("not a PEM file with a PRIVATE KEY block (PKCS#8)")]
    NotPem,
    /// The key is of another kind.
    #[error("the private key is neither Ed25519 nor P-256 in PKCS#8 form")]
    Unsupported,
}

enum Pair {
    EdDsa(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
}

/// A private key that signs cards.
pub struct CardKey {
    pair: Pair,
    public: Jwk,
    pem: SecretString,
}

impl fmt::Debug for CardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CardKey")
            .field("algorithm", &self.algorithm())
            .field("kid", &self.public.kid)
            .finish_non_exhaustive()
    }
}

impl CardKey {
    /// A new random key.
    ///
    /// # Errors
    /// [`CardKeyError::Generate`].
    pub fn generate(algorithm: CardAlgorithm) -> Result<Self, CardKeyError> {
        let failed = |_| CardKeyError::Generate;
        match algorithm {
            CardAlgorithm::EdDsa => {
                let pair = Ed25519KeyPair::generate().map_err(failed)?;
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
                Self::from_der(der.as_ref())
            }
            CardAlgorithm::Es256 => {
                let pair =
                    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
                let der = pair.to_pkcs8v1().map_err(failed)?;
                Self::from_der(der.as_ref())
            }
        }
    }

    /// A key that was kept, in PKCS#8 PEM. Its id is its thumbprint (RFC 7638).
    ///
    /// # Errors
    /// [`CardKeyError::NotPem`] or [`CardKeyError::Unsupported`].
    pub fn from_pem(text: &str) -> Result<Self, CardKeyError> {
        Self::from_der(&pem::read(text).ok_or(CardKeyError::NotPem)?)
    }

    fn from_der(der: &[u8]) -> Result<Self, CardKeyError> {
        let (pair, public) = if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
            let public = Jwk::ed25519(pair.public_key().as_ref());
            (Pair::EdDsa(pair), public)
        } else {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
                .map_err(|_| CardKeyError::Unsupported)?;
            let public = Jwk::p256(pair.public_key().as_ref()).ok_or(CardKeyError::Unsupported)?;
            (Pair::Es256(pair), public)
        };
        Ok(Self {
            pair,
            public,
            pem: pem::write(der),
        })
    }

    /// The same key under an id of one's own.
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<String>) -> Self {
        self.public.kid = kid.into();
        self
    }

    /// What signatures call it.
    pub fn kid(&self) -> &str {
        &self.public.kid
    }

    /// What it signs with.
    pub fn algorithm(&self) -> CardAlgorithm {
        match self.pair {
            Pair::EdDsa(_) => CardAlgorithm::EdDsa,
            Pair::Es256(_) => CardAlgorithm::Es256,
        }
    }

    /// The public half, for verifiers.
    pub fn jwks(&self) -> Jwks {
        Jwks {
            keys: vec![self.public.clone()],
        }
    }

    /// The key for keeping, PKCS#8 in PEM.
    pub fn to_pem(&self) -> SecretString {
        self.pem.clone()
    }

    /// The signature of `message`, base64url; `None` when the system gave no randomness.
    pub(super) fn sign(&self, message: &[u8]) -> Option<String> {
        let signature = match &self.pair {
            Pair::EdDsa(pair) => pair.sign(message),
            Pair::Es256(pair) => pair.sign(&SystemRandom::new(), message).ok()?,
        };
        Some(URL_SAFE_NO_PAD.encode(signature))
    }
}
