//! The private half: an Ed25519 key that signs tokens, and its PKCS#8 PEM form (RFC 5958, RFC 7468) for keeping.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::SecretString;

use super::{Claims, Jwk, Jwks, pem};

/// Why there is no key or no token.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The system gave no randomness.
    #[error("cannot make a signing key")]
    Generate,
    /// The text is not a PEM block `PRIVATE KEY`.
    #[error("not a PEM file with a PRIVATE KEY block")]
    NotPem,
    /// The key is not an Ed25519 key in PKCS#8 form.
    #[error("the private key is not an Ed25519 key in PKCS#8 form")]
    NotEd25519,
    /// The token could not be signed.
    #[error("cannot sign the token")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

/// An Ed25519 private key.
pub struct Signer {
    key: EncodingKey,
    public: Jwk,
    pem: SecretString,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("kid", &self.public.kid)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// A new random key.
    ///
    /// # Errors
    /// [`SignerError::Generate`].
    pub fn generate() -> Result<Self, SignerError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| SignerError::Generate)?;
        // Version 1, as openssl writes it.
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| SignerError::Generate)?;
        Self::from_der(der.as_ref())
    }

    /// A key that was kept.
    ///
    /// # Errors
    /// [`SignerError::NotPem`] or [`SignerError::NotEd25519`].
    pub fn from_pem(text: &str) -> Result<Self, SignerError> {
        Self::from_der(&pem::read(text).ok_or(SignerError::NotPem)?)
    }

    fn from_der(der: &[u8]) -> Result<Self, SignerError> {
        let pair = Ed25519KeyPair::from_pkcs8(der).map_err(|_| SignerError::NotEd25519)?;
        Ok(Self {
            key: EncodingKey::from_ed_der(der),
            public: Jwk::ed25519(pair.public_key().as_ref()),
            pem: pem::write(der),
        })
    }

    /// The key for keeping, PKCS#8 in PEM.
    pub fn to_pem(&self) -> SecretString {
        self.pem.clone()
    }

    /// What tokens of this key call it.
    pub fn kid(&self) -> &str {
        &self.public.kid
    }

    /// The public half.
    pub fn jwks(&self) -> Jwks {
        Jwks {
            keys: vec![self.public.clone()],
        }
    }

    /// A token.
    ///
    /// # Errors
    /// [`SignerError::Sign`].
    pub fn sign(&self, claims: &Claims) -> Result<SecretString, SignerError> {
        let header = Header {
            kid: Some(self.public.kid.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        let token = jsonwebtoken::encode(&header, claims, &self.key).map_err(SignerError::Sign)?;
        Ok(SecretString::from(token))
    }
}
