//! Whether a client takes a card: its policy about signatures, and the key sets that it fetches for them. How a signature
//! is verified is in [`crate::auth`].

use std::sync::Arc;

use url::Url;

use super::discovery::fetch_json;
use super::{ClientError, ClientOptions};
use crate::auth::{CardKeys, CardProblem, Form, Jwks, named_key_sets, verify};
use crate::clock::{Clock, SystemClock};

/// What a client demands of the signatures of a card (A2A §8.4.3).
#[derive(Debug, Clone, Default)]
pub enum CardPolicy {
    /// Nothing.
    #[default]
    Off,
    /// A card that is signed must have a good signature.
    IfPresent(CardTrust),
    /// Every card must have a good signature.
    Required(CardTrust),
}

/// Whose signatures are good.
#[derive(Clone)]
pub struct CardTrust {
    /// The keys.
    pub keys: CardKeys,
    /// Addresses of further key sets, which signatures may name (`jku`); they are asked only over https, and only these.
    pub key_sets: Vec<Url>,
    /// What may be signed; [`Form::Reduced`] is not among the defaults.
    pub forms: Vec<Form>,
    /// Tells whether a key still counts.
    pub clock: Arc<dyn Clock>,
}

impl CardTrust {
    /// Trusts these keys.
    pub fn new(keys: Jwks) -> Self {
        Self {
            keys: CardKeys::new(keys),
            key_sets: Vec::new(),
            forms: vec![Form::Standard, Form::Verbatim],
            clock: Arc::new(SystemClock),
        }
    }
}

impl std::fmt::Debug for CardTrust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CardTrust")
            .field("keys", &self.keys)
            .field("key_sets", &self.key_sets)
            .field("forms", &self.forms)
            .finish_non_exhaustive()
    }
}

/// Lets a card pass, or says why not.
pub(super) async fn check(card: &[u8], options: &ClientOptions) -> Result<(), ClientError> {
    let (trust, required) = match &options.card_policy {
        CardPolicy::Off => return Ok(()),
        CardPolicy::IfPresent(trust) => (trust, false),
        CardPolicy::Required(trust) => (trust, true),
    };
    let mut keys = trust.keys.clone();
    for name in named_key_sets(card) {
        let Some(url) = allowed(&trust.key_sets, &name) else {
            continue;
        };
        let body = fetch_json(url, options, "for the keys of its card").await?;
        match serde_json::from_slice::<Jwks>(&body) {
            Ok(set) => keys.add(name, set),
            // Without these keys the signature has none, which is what will be said.
            Err(error) => tracing::warn!(%url, %error, "not a set of keys"),
        }
    }
    match verify(card, &keys, &trust.forms, trust.clock.now()) {
        Ok(verified) => {
            tracing::debug!(kid = verified.kid, "the card is signed");
            Ok(())
        }
        Err(CardProblem::Unsigned) if !required => Ok(()),
        Err(problem) => Err(problem.into()),
    }
}

/// The address of the list that is named, if it may be asked.
fn allowed<'a>(list: &'a [Url], name: &str) -> Option<&'a Url> {
    let named = Url::parse(name).ok()?;
    list.iter()
        .find(|url| **url == named && url.scheme() == "https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_sets_are_asked_only_over_https_and_only_where_allowed() {
        let list = [
            "https://keys.example/jwks.json",
            "http://keys.example/jwks.json",
        ];
        let list = list.map(|url| Url::parse(url).unwrap());
        let allowed = |name: &str| allowed(&list, name).is_some();
        assert!(allowed("https://keys.example/jwks.json"));
        assert!(allowed("https://KEYS.example:443/jwks.json"));
        for name in [
            "http://keys.example/jwks.json",
            "https://keys.example/jwks.json?x",
            "https://keys.example/",
            "https://keys.example@evil.example/jwks.json",
            "https://keys.example:444/jwks.json",
            "file:///jwks.json",
            "jwks.json",
            "",
        ] {
            assert!(!allowed(name), "{name}");
        }
    }
}
