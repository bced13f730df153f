//! The envelope of the JSON-RPC binding (A2A §9; JSON-RPC 2.0). A request is split without looking into its
//! parameters; a response is put together around a result that is already JSON, so that one serialized event serves every
//! subscriber. The id goes back exactly as it came, byte for byte. Methods and HTTP are the server's business.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::error::{A2aError, JsonRpcError};
use crate::types;

/// The id of a request as raw JSON: a string, an integer or `null`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Id(Box<str>);

impl Id {
    /// The id of an answer to a request whose id could not be read.
    pub fn null() -> Self {
        Self("null".into())
    }

    /// The JSON text.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// `None` when the JSON is no id: JSON-RPC allows a string, a number (A2A: without fraction) and `null`.
    fn from_json(json: &str) -> Option<Self> {
        /// A number with more digits is beyond a double, and readers that know no other numbers refuse the whole answer.
        const MAX_DIGITS: usize = 308;
        let digits = json.strip_prefix('-').unwrap_or(json);
        let integer = (1..=MAX_DIGITS).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        (json.starts_with('"') || json == "null" || integer).then(|| Self(json.into()))
    }
}

/// A request whose parameters are not read yet.
#[derive(Debug)]
pub struct Request<'a> {
    /// Its id.
    pub id: Id,
    /// Its method.
    pub method: Cow<'a, str>,
    params: Option<&'a RawValue>,
}

/// A body that is no request, and the id that the answer must carry.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejected {
    /// The id, if it could be read; else `null`.
    pub id: Id,
    /// [`A2aError::ParseError`] or [`A2aError::InvalidRequest`].
    pub error: A2aError,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "raw")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    params: Option<&'a RawValue>,
}

/// Tells `null` (some text) from an absent member (`None`).
fn raw<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Request<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// [`Rejected`] with -32700 when the body is not JSON, and with -32600 when it is JSON but not one request.
    pub fn parse(body: &'a [u8]) -> Result<Self, Rejected> {
        let reject = |id: Id, detail: &str| Rejected {
            id,
            error: A2aError::InvalidRequest {
                detail: detail.into(),
            },
        };
        // To the deserializer an array of members in the right order would be an envelope too.
        let object = body.trim_ascii_start().starts_with(b"{");
        let envelope: Envelope<'a> = match serde_json::from_slice(body) {
            Ok(envelope) if object => envelope,
            read => {
                let twice = read.is_err_and(|error: serde_json::Error| error.is_data());
                // Valid JSON of another shape is a wrong request; anything else is no JSON.
                return Err(match serde_json::from_slice::<IgnoredAny>(body) {
                    Ok(_) if body.trim_ascii_start().starts_with(b"[") => reject(
                        Id::null(),
                        "batches are not supported: send one request per call",
                    ),
                    Ok(_) if twice && object => {
                        reject(Id::null(), "a member of the request is there twice")
                    }
                    Ok(_) => reject(Id::null(), "a request is a JSON object"),
                    Err(syntax) => Rejected {
                        id: Id::null(),
                        error: A2aError::ParseError {
                            detail: syntax.to_string(),
                        },
                    },
                });
            }
        };
        let Some(id) = envelope.id else {
            return Err(reject(
                Id::null(),
                "a request needs an id: notifications are not supported",
            ));
        };
        let Some(id) = Id::from_json(id.get()) else {
            return Err(reject(
                Id::null(),
                "the id must be a string, an integer or null",
            ));
        };
        if envelope
            .jsonrpc
            .is_none_or(|version| version.get() != "\"2.0\"")
        {
            return Err(reject(id, "the member jsonrpc must be \"2.0\""));
        }
        let method = envelope
            .method
            .and_then(|method| serde_json::from_str::<Text<'a>>(method.get()).ok());
        match method {
            Some(Text(method)) if !method.is_empty() => {
                let params = envelope.params.filter(|params| params.get() != "null");
                Ok(Self { id, method, params })
            }
            _ => Err(reject(id, "the member method must be the name of a method")),
        }
    }

    /// Reads the parameters; absent ones are an empty object, so that [`types::Validate`] can say what is missing.
    ///
    /// # Errors
    /// [`A2aError::InvalidParams`].
    pub fn params<T: DeserializeOwned>(&self) -> Result<T, A2aError> {
        // `null` is unset, here as everywhere.
        let json = self.params.map_or("null", RawValue::get);
        let json = if json == "null" { "{}" } else { json };
        if !json.starts_with('{') {
            return Err(A2aError::invalid_param(
                "params",
                "expected an object with named parameters",
            ));
        }
        types::from_slice(json.as_bytes())
    }
}

/// What stands around the results of one request. Made once per request, used for its response or for every event of
/// its stream.
#[derive(Debug, Clone)]
pub struct Envelopes {
    head: Bytes,
}

impl Envelopes {
    /// The JSON after a result.
    pub const TAIL: &'static [u8] = b"}";

    /// For the request `id`.
    pub fn new(id: &Id) -> Self {
        Self {
            head: [
                br#"{"jsonrpc":"2.0","id":"#,
                id.as_json().as_bytes(),
                br#","result":"#,
            ]
            .concat()
            .into(),
        }
    }

    /// The JSON before a result.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// A response around a result that is JSON.
    pub fn around(&self, result: &[u8]) -> Bytes {
        let mut response =
            BytesMut::with_capacity(self.head.len() + result.len() + Self::TAIL.len());
        response.put_slice(&self.head);
        response.put_slice(result);
        response.put_slice(Self::TAIL);
        response.freeze()
    }
}

/// A response that carries a result which is JSON already.
pub fn response(id: &Id, result: &[u8]) -> Bytes {
    Envelopes::new(id).around(result)
}

/// A response that carries an error.
pub fn error_response(id: &Id, error: &A2aError) -> Bytes {
    error_object(id, &error.to_json_rpc())
}

/// A response that carries an error with a code of another version.
pub fn error_object(id: &Id, error: &JsonRpcError) -> Bytes {
    // Strings and numbers only: this always becomes JSON.
    let error = serde_json::to_vec(error).unwrap_or_default();
    [
        br#"{"jsonrpc":"2.0","id":"#,
        id.as_json().as_bytes(),
        br#","error":"#,
        &error,
        b"}",
    ]
    .concat()
    .into()
}

/// A request of ours.
///
/// # Errors
/// When `params` cannot be written as JSON.
pub fn request(id: u64, method: &str, params: &impl Serialize) -> Result<Bytes, serde_json::Error> {
    #[derive(Serialize)]
    struct Call<'a, P> {
        jsonrpc: &'a str,
        id: u64,
        method: &'a str,
        params: &'a P,
    }
    serde_json::to_vec(&Call {
        jsonrpc: "2.0",
        id,
        method,
        params,
    })
    .map(Bytes::from)
}

/// Reads the answer to a request of ours. An answer without a result (some peers leave `null` out) is read as `null`.
///
/// # Errors
/// The error that the peer sent, or [`A2aError::InvalidAgentResponse`].
pub fn read_response<T: DeserializeOwned>(body: &[u8]) -> Result<T, A2aError> {
    #[derive(Deserialize)]
    #[serde(bound = "T: DeserializeOwned")]
    struct Response<T> {
        #[serde(default = "Option::default")]
        result: Option<T>,
        #[serde(default)]
        error: Option<JsonRpcError>,
    }
    let invalid = |detail: String| A2aError::InvalidAgentResponse { detail };
    let response: Response<T> = types::from_slice(body).map_err(|error| {
        invalid(format!(
            "not the JSON-RPC response that was expected: {error}"
        ))
    })?;
    match (response.error, response.result) {
        (Some(error), _) => Err(A2aError::from_json_rpc(error)),
        (None, Some(result)) => Ok(result),
        (None, None) => serde_json::from_str("null")
            .map_err(|_| invalid("a JSON-RPC response without a result".into())),
    }
}

#[cfg(test)]
mod tests;
