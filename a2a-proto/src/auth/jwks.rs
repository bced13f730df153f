//! Public keys as a JSON Web Key Set (RFC 7517, RFC 8037). Keys of other kinds may stand in a set and are passed over.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// A set of public keys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Jwks {
    /// The keys.
    pub keys: Vec<Jwk>,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// The key type; `OKP` for Ed25519.
    pub kty: String,
    /// The curve.
    #[serde(default)]
    pub crv: String,
    /// The key itself, base64url.
    #[serde(default)]
    pub x: String,
    /// What tokens call it.
    #[serde(default)]
    pub kid: String,
    /// What it is for; `sig`.
    #[serde(default, rename = "use", skip_serializing_if = "String::is_empty")]
    pub usage: String,
    /// The algorithm; `EdDSA`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub alg: String,
}

impl Jwk {
    /// The JWK of an Ed25519 public key; its id is its thumbprint (RFC 7638), so the same key has the same id everywhere.
    pub(super) fn ed25519(public_key: &[u8]) -> Self {
        let x = URL_SAFE_NO_PAD.encode(public_key);
        // RFC 7638 §3.3: the required members, sorted, without spaces.
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
        Self {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            x,
            kid: URL_SAFE_NO_PAD.encode(digest),
            usage: "sig".to_owned(),
            alg: "EdDSA".to_owned(),
        }
    }

    pub(super) fn is_ed25519(&self) -> bool {
        self.kty == "OKP" && self.crv == "Ed25519" && matches!(self.usage.as_str(), "" | "sig")
    }
}
