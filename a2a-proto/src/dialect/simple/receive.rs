//! Reading a `POST /tasks/send`: the parameters of v0.1, read in the most generous way, and how the client speaks.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Form;
use crate::dialect::v01::SendParams;
use crate::error::A2aError;
use crate::types::{self, SendMessageRequest};

/// What a `POST /tasks/send` asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedSend {
    /// The task's id, made by the client.
    pub client_id: String,
    /// How the client speaks.
    pub form: Form,
    /// The request; it names no task.
    pub request: SendMessageRequest,
}

/// Reads the body of `POST /tasks/send`, bare or inside a JSON-RPC envelope (as early clients send it), and checks it.
/// `message_id` becomes the id of the message, which this dialect does not have.
///
/// # Errors
/// [`A2aError::ParseError`] or [`A2aError::InvalidParams`].
pub fn read_send(body: &[u8], message_id: String) -> Result<ReceivedSend, A2aError> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        params: &'a RawValue,
        #[serde(rename = "jsonrpc")]
        _jsonrpc: &'a str,
    }
    let params: SendParams = match serde_json::from_slice::<Envelope<'_>>(body) {
        Ok(envelope) => types::from_slice(envelope.params.get().as_bytes())?,
        Err(_) => types::from_slice(body)?,
    };
    Ok(ReceivedSend {
        client_id: params.id.clone(),
        form: Form::of(&params.message.parts),
        request: params.into_request(message_id)?,
    })
}
