//! Signatures of agent cards (A2A §8.4): a detached JWS (RFC 7515) over the canonical form (RFC 8785) of the card without
//! its signatures. [`CardKey`] is a private key, [`CardSigner`] signs with one or several of them, [`CardKeys`] is what
//! a verifier trusts, [`verify`] says whether one signature is good. Nothing here fetches or keeps anything.
//!
//! What is signed. The protocol says which members of a card count: required ones always, optional ones when they are
//! set, all others unless they have their default. Readers differ in what they keep of a card, so a signer may sign
//! more than one [`Form`] of the same card; a verifier takes a card when one signature is good.

mod canonical;
mod key;
mod keys;
mod sign;
mod strict;
mod verify;

#[cfg(test)]
mod tests;

pub use canonical::{Form, NotACard, payload};
pub use key::{CardAlgorithm, CardKey, CardKeyError};
pub use keys::CardKeys;
pub use sign::{CardSigner, SignError};
pub use strict::parse as parse_strict;
pub use verify::{CardProblem, SignatureProblem, VerifiedCard, named_key_sets, verify};
