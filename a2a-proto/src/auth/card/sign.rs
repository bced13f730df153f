//! Signing: each key signs each form of the card that differs from the others.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{CardKey, Form, NotACard, payload};
use crate::auth::Jwks;
use crate::types::{AgentCard, AgentCardSignature};

/// Why a card was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// There is nothing to sign.
    #[error("cannot sign the document")]
    NotACard(#[from] NotACard),
    /// The system gave no randomness.
    #[error("cannot sign with key {kid}")]
    Key {
        /// The key.
        kid: String,
    },
}

/// Signs cards with one key, or with several while keys are changed.
pub struct CardSigner {
    keys: Vec<CardKey>,
    forms: Vec<Form>,
    jku: Option<String>,
}

impl fmt::Debug for CardSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CardSigner")
            .field("keys", &self.keys)
            .field("forms", &self.forms)
            .finish_non_exhaustive()
    }
}

impl CardSigner {
    /// Signs every form, so that each kind of verifier finds a signature that it can check.
    pub fn new(keys: Vec<CardKey>) -> Self {
        Self {
            keys,
            forms: vec![Form::Standard, Form::Verbatim, Form::Reduced],
            jku: None,
        }
    }

    /// Signs these forms only.
    #[must_use]
    pub fn with_forms(mut self, forms: impl IntoIterator<Item = Form>) -> Self {
        self.forms = forms.into_iter().collect();
        self
    }

    /// Says where the public keys are (`jku`).
    #[must_use]
    pub fn with_jku(mut self, jku: impl Into<String>) -> Self {
        self.jku = Some(jku.into());
        self
    }

    /// The public halves.
    pub fn jwks(&self) -> Jwks {
        Jwks {
            keys: self.keys.iter().flat_map(|key| key.jwks().keys).collect(),
        }
    }

    /// The signatures of a document as it will be served. Forms that have the same bytes are signed once.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn signatures(&self, document: &Value) -> Result<Vec<AgentCardSignature>, SignError> {
        let mut payloads = Vec::new();
        for form in &self.forms {
            let payload = payload(document, *form)?;
            if !payloads.contains(&payload) {
                payloads.push(payload);
            }
        }
        let pairs = payloads
            .iter()
            .flat_map(|payload| self.keys.iter().map(move |key| (payload, key)));
        pairs
            .map(|(payload, key)| self.signature(key, payload))
            .collect()
    }

    fn signature(&self, key: &CardKey, payload: &[u8]) -> Result<AgentCardSignature, SignError> {
        let mut header = json!({"alg": key.algorithm().name(), "kid": key.kid(), "typ": "JOSE"});
        if let Some(jku) = &self.jku {
            header["jku"] = json!(jku);
        }
        let protected = URL_SAFE_NO_PAD.encode(header.to_string());
        let message = signing_input(&protected, payload);
        let signature = key.sign(&message).ok_or_else(|| SignError::Key {
            kid: key.kid().to_owned(),
        })?;
        Ok(AgentCardSignature {
            protected,
            signature,
            header: None,
        })
    }

    /// Appends the signatures to a document.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign_document(&self, document: &mut Value) -> Result<(), SignError> {
        let made = self.signatures(document)?;
        let not_a_card = |detail: &str| NotACard {
            detail: detail.to_owned(),
        };
        let members = document
            .as_object_mut()
            .ok_or_else(|| not_a_card("it is no object"))?;
        let signatures = members
            .entry("signatures")
            .or_insert_with(|| Value::Array(Vec::new()))
            .as_array_mut()
            .ok_or_else(|| not_a_card("its signatures are no list"))?;
        for signature in made {
            signatures
                .push(serde_json::to_value(signature).map_err(|e| not_a_card(&e.to_string()))?);
        }
        Ok(())
    }

    /// Appends the signatures to a card that is sent as an object of 1.0 and nothing else.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign_card(&self, card: &mut AgentCard) -> Result<(), SignError> {
        let document = serde_json::to_value(&*card).unwrap_or_default();
        card.signatures.extend(self.signatures(&document)?);
        Ok(())
    }
}

/// What a signature is made of (RFC 7515 §5.1).
pub(super) fn signing_input(protected: &str, payload: &[u8]) -> Vec<u8> {
    format!("{protected}.{}", URL_SAFE_NO_PAD.encode(payload)).into_bytes()
}
