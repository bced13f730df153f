//! Verifying: a card is taken when one of its signatures is good, over bytes that hold everything which will be used of
//! it. Every way to fail has its own [`SignatureProblem`], so that whoever has to mend it knows what.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::canonical::complete_payload;
use super::keys::Algorithm;
use super::sign::signing_input;
use super::{CardKeys, Form, payload, strict};

/// More signatures than keys are ever changed at once, in every form; each costs a verification.
const MAX_SIGNATURES: usize = 32;
/// A protected header names an algorithm, a key and an address.
const MAX_HEADER_BYTES: usize = 8 * 1024;

/// Why one signature is not good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureProblem {
    /// It is not of the form that RFC 7515 describes.
    #[error("malformed: {detail}")]
    Malformed {
        /// What is wrong.
        detail: String,
    },
    /// Its algorithm is none that may sign cards.
    #[error("algorithm {alg:?} is not accepted (EdDSA, ES256 and RS256 are)")]
    Algorithm {
        /// The algorithm.
        alg: String,
    },
    /// No trusted key has its id.
    #[error("key {kid:?} is not among the trusted keys")]
    UnknownKey {
        /// The id.
        kid: String,
    },
    /// The key of that id is not for that algorithm.
    #[error("key {kid:?} is not for signatures with {alg}")]
    WrongKind {
        /// The key.
        kid: String,
        /// The algorithm.
        alg: String,
    },
    /// The key itself cannot be read.
    #[error("key {kid:?} of the trusted keys is damaged")]
    BadKey {
        /// The key.
        kid: String,
    },
    /// The key was taken back.
    #[error("key {kid:?} is revoked")]
    Revoked {
        /// The key.
        kid: String,
    },
    /// The key's time is over.
    #[error("key {kid:?} is expired")]
    Expired {
        /// The key.
        kid: String,
    },
    /// The key's time has not come.
    #[error("key {kid:?} is not valid yet")]
    NotYetValid {
        /// The key.
        kid: String,
    },
    /// The signature does not fit: the card was changed, or another key signed it.
    #[error(
        "the signature with key {kid:?} does not fit the card: it was changed after it was signed, or another key signed it"
    )]
    Mismatch {
        /// The key.
        kid: String,
    },
}

/// Why a card is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardProblem {
    /// It is not a card, or has a member twice.
    #[error("not a card that can be verified: {detail}")]
    Malformed {
        /// What is wrong.
        detail: String,
    },
    /// It has no signature.
    #[error("the card is not signed")]
    Unsigned,
    /// It has too many.
    #[error("the card has {count} signatures, more than {MAX_SIGNATURES}")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// None of its signatures is good.
    #[error("no signature of the card is good: {}", list(problems))]
    NoneGood {
        /// What is wrong with each, in their order.
        problems: Vec<SignatureProblem>,
    },
}

fn list(problems: &[SignatureProblem]) -> String {
    let numbered = problems.iter().enumerate();
    numbered
        .map(|(index, problem)| format!("signature {}: {problem}", index + 1))
        .collect::<Vec<_>>()
        .join("; ")
}

/// What is known of a card that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCard {
    /// The key that signed it.
    pub kid: String,
    /// With which algorithm.
    pub alg: String,
    /// What was signed.
    pub form: Form,
    /// Which of its signatures that was, from 0.
    pub index: usize,
}

/// Verifies a card as it came: its bytes, and not what some parser made of them. `forms` are those that are accepted;
/// see [`Form`].
///
/// # Errors
/// [`CardProblem`] says why the card is not taken.
pub fn verify(
    card: &[u8],
    keys: &CardKeys,
    forms: &[Form],
    now: Timestamp,
) -> Result<VerifiedCard, CardProblem> {
    let malformed = |detail: String| CardProblem::Malformed { detail };
    let document = strict::parse(card).map_err(|error| malformed(error.to_string()))?;
    let signatures = signatures(&document)?;
    let mut payloads = Vec::new();
    for form in forms {
        let bytes = payload(&document, *form).map_err(|error| malformed(error.to_string()))?;
        payloads.push((*form, bytes));
        if *form == Form::Standard {
            let bytes =
                complete_payload(&document).map_err(|error| malformed(error.to_string()))?;
            payloads.push((*form, bytes));
        }
    }
    payloads.dedup_by(|a, b| a.1 == b.1);
    let mut problems = Vec::new();
    for (index, signature) in signatures.iter().enumerate() {
        match check(signature, &payloads, keys, now) {
            Ok((kid, alg, form)) => {
                return Ok(VerifiedCard {
                    kid,
                    alg,
                    form,
                    index,
                });
            }
            Err(problem) => problems.push(problem),
        }
    }
    Err(CardProblem::NoneGood { problems })
}

/// The addresses of key sets (`jku`) that the signatures of a card name. Which of them may be asked is the caller's
/// decision.
pub fn named_key_sets(card: &[u8]) -> Vec<String> {
    let Ok(document) = strict::parse(card) else {
        return Vec::new();
    };
    let signatures = signatures(&document).unwrap_or_default();
    let headers = signatures.iter().filter_map(|it| Header::read(it).ok());
    let mut urls: Vec<_> = headers.filter_map(|header| header.jku).collect();
    urls.sort_unstable();
    urls.dedup();
    urls
}

fn signatures(document: &Value) -> Result<&[Value], CardProblem> {
    let malformed = |detail: &str| CardProblem::Malformed {
        detail: detail.to_owned(),
    };
    let members = document
        .as_object()
        .ok_or_else(|| malformed("it is no object"))?;
    let signatures = match members.get("signatures") {
        None | Some(Value::Null) => return Err(CardProblem::Unsigned),
        Some(Value::Array(signatures)) => signatures,
        Some(_) => return Err(malformed("its signatures are no list")),
    };
    match signatures.len() {
        0 => Err(CardProblem::Unsigned),
        count if count > MAX_SIGNATURES => Err(CardProblem::TooMany { count }),
        _ => Ok(signatures),
    }
}

/// What a protected header says.
struct Header<'a> {
    protected: &'a str,
    algorithm: Algorithm,
    alg: String,
    kid: String,
    jku: Option<String>,
}

fn malformed(detail: &str) -> SignatureProblem {
    SignatureProblem::Malformed {
        detail: detail.to_owned(),
    }
}

impl<'a> Header<'a> {
    fn read(signature: &'a Value) -> Result<Self, SignatureProblem> {
        let protected = signature["protected"]
            .as_str()
            .filter(|it| it.len() <= MAX_HEADER_BYTES)
            .ok_or_else(|| malformed("it has no protected header"))?;
        let header = URL_SAFE_NO_PAD
            .decode(protected)
            .ok()
            .and_then(|json| strict::parse(&json).ok());
        let Some(Value::Object(header)) = header else {
            return Err(malformed("its protected header is not base64url of JSON"));
        };
        // RFC 7515 §4: both headers together have every name once.
        let empty = Map::new();
        let unprotected = match &signature["header"] {
            Value::Null => &empty,
            Value::Object(unprotected) => unprotected,
            _ => return Err(malformed("its header is no object")),
        };
        if let Some(name) = unprotected.keys().find(|name| header.contains_key(*name)) {
            let detail = format!("both its headers have {name:?}");
            return Err(malformed(&detail));
        }
        // RFC 7515 §4.1.11: what must be understood and is not ends it. We know no extension, b64 included.
        if header.contains_key("crit") || unprotected.contains_key("crit") {
            return Err(malformed(
                "it needs extensions of JWS that are not known here",
            ));
        }
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        let alg = text("alg").ok_or_else(|| malformed("its protected header has no alg"))?;
        let algorithm = Algorithm::from_name(alg).ok_or_else(|| SignatureProblem::Algorithm {
            alg: alg.chars().take(32).collect(),
        })?;
        let kid = text("kid")
            .filter(|kid| !kid.is_empty())
            .ok_or_else(|| malformed("its protected header has no kid"))?;
        Ok(Self {
            protected,
            algorithm,
            alg: alg.to_owned(),
            kid: kid.to_owned(),
            jku: text("jku").map(str::to_owned),
        })
    }
}

fn check(
    signature: &Value,
    payloads: &[(Form, Vec<u8>)],
    keys: &CardKeys,
    now: Timestamp,
) -> Result<(String, String, Form), SignatureProblem> {
    let header = Header::read(signature)?;
    let bytes = signature["signature"]
        .as_str()
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .ok_or_else(|| malformed("its signature is not base64url"))?;
    let mut problem = malformed("no form of a card is accepted");
    for (form, payload) in payloads {
        let message = signing_input(header.protected, payload);
        let (kid, jku) = (&header.kid, header.jku.as_deref());
        match keys.check(kid, jku, header.algorithm, &message, &bytes, now) {
            Ok(()) => return Ok((header.kid, header.alg, *form)),
            Err(found) => problem = found,
        }
    }
    Err(problem)
}
