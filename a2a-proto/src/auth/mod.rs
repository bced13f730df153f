//! Tokens between a captain and its workers: JSON Web Tokens (RFC 7519) signed with Ed25519 (RFC 8037) and nothing else.
//! [`Signer`] holds a private key and makes tokens, [`Jwks`] is the public half as a key set (RFC 7517), [`JwtVerifier`]
//! accepts tokens of that set for one audience. And signatures of agent cards: [`CardSigner`] and [`verify`]. Where keys are
//! kept, and for whom tokens are made, is decided elsewhere.

mod card;
mod claims;
mod jwks;
mod pem;
mod signer;
mod verifier;

#[cfg(test)]
mod tests;

pub use card::{
    CardAlgorithm, CardKey, CardKeyError, CardKeys, CardProblem, CardSigner, Form, NotACard,
    SignError, SignatureProblem, VerifiedCard, named_key_sets, parse_strict, payload, verify,
};
pub use claims::Claims;
pub use jwks::{Jwk, Jwks};
pub use signer::{Signer, SignerError};
pub use verifier::{JwtVerifier, TokenRejected};
