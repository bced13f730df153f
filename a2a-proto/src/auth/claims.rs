//! What a token says (RFC 7519 §4.1).

use serde::{Deserialize, Serialize};

/// The claims of a token. Times are seconds since 1970 (NumericDate).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Claims {
    /// Who made it: `captain:<id>`.
    pub iss: String,
    /// For whom the caller acts.
    pub sub: String,
    /// Who may accept it: `worker:<agent_id>`.
    pub aud: String,
    /// When it ends.
    pub exp: i64,
    /// When it was made.
    pub iat: i64,
    /// When it begins.
    #[serde(default)]
    pub nbf: i64,
    /// Unique id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub jti: String,
    /// What it allows, words separated by spaces (RFC 8693 §4.2); empty is everything.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
}
