//! The private half: an Ed25519 key that signs tokens, and its PKCS#8 PEM form (RFC 5958, RFC 7468) for keeping.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use super::{Claims, Jwk, Jwks};

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

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

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
    pub fn from_pem(pem: &str) -> Result<Self, SignerError> {
        let body = pem
            .split_once(BEGIN)
            .and_then(|(_, rest)| rest.split_once(END))
            .ok_or(SignerError::NotPem)?
            .0;
        let base64: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
        let der = Zeroizing::new(
            STANDARD
                .decode(base64.as_bytes())
                .map_err(|_| SignerError::NotPem)?,
        );
        Self::from_der(&der)
    }

    fn from_der(der: &[u8]) -> Result<Self, SignerError> {
        // RFC 7468 §2: lines of 64 characters.
        const LINE: usize = 64;
        let pair = Ed25519KeyPair::from_pkcs8(der).map_err(|_| SignerError::NotEd25519)?;
        let base64 = Zeroizing::new(STANDARD.encode(der));
        let mut pem = Zeroizing::new(format!("{BEGIN}\n"));
        let mut rest = base64.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(LINE));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str(END);
        pem.push('\n');
        Ok(Self {
            key: EncodingKey::from_ed_der(der),
            public: Jwk::ed25519(pair.public_key().as_ref()),
            pem: SecretString::from(pem.as_str()),
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
