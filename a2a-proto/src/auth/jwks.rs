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
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Jwk {
    /// The key type; `OKP` for Ed25519, `EC` for P-256, `RSA`.
    pub kty: String,
    /// The curve.
    #[serde(default)]
    pub crv: String,
    /// The key itself, base64url; for `EC` the first coordinate of the point.
    #[serde(default)]
    pub x: String,
    /// The second coordinate of the point of an `EC` key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub y: String,
    /// The modulus of an `RSA` key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub n: String,
    /// The exponent of an `RSA` key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub e: String,
    /// What tokens call it.
    #[serde(default)]
    pub kid: String,
    /// What it is for; `sig`.
    #[serde(default, rename = "use", skip_serializing_if = "String::is_empty")]
    pub usage: String,
    /// The algorithm, such as `EdDSA`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub alg: String,
    /// From when on a signature of a card may count, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// Anything but `null` takes the key back for good (OpenID Federation 1.0 §8.7.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<serde_json::Value>,
}

impl Jwk {
    /// The JWK of an Ed25519 public key; its id is its thumbprint (RFC 7638), so the same key has the same id everywhere.
    pub(super) fn ed25519(public_key: &[u8]) -> Self {
        let x = URL_SAFE_NO_PAD.encode(public_key);
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        Self {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            x,
            kid: thumbprint(&canonical),
            alg: "EdDSA".to_owned(),
            ..Self::for_signatures()
        }
    }

    /// The JWK of a P-256 public key that comes as an uncompressed point (SEC 1 §2.3.3); `None` for anything else.
    pub(super) fn p256(point: &[u8]) -> Option<Self> {
        let (x, y) = point
            .strip_prefix(&[4])
            .filter(|rest| rest.len() == 64)?
            .split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        Some(Self {
            kty: "EC".to_owned(),
            crv: "P-256".to_owned(),
            x,
            y,
            kid: thumbprint(&canonical),
            alg: "ES256".to_owned(),
            ..Self::for_signatures()
        })
    }

    fn for_signatures() -> Self {
        Self {
            usage: "sig".to_owned(),
            ..Self::default()
        }
    }

    pub(super) fn is_ed25519(&self) -> bool {
        self.kty == "OKP" && self.crv == "Ed25519" && matches!(self.usage.as_str(), "" | "sig")
    }
}

/// RFC 7638: the digest of the required members, sorted, without spaces.
fn thumbprint(canonical: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
    URL_SAFE_NO_PAD.encode(digest)
}
