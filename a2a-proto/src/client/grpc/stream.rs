//! The events of an open gRPC stream, whichever version carries them. The number of an event is taken out of its metadata.

use a2a_pb_types::{v0_3, v1_0};
use tonic::{Status, Streaming};

use super::{ClientError, failed, read};
use crate::client::{Inner, StreamEvent};
use crate::sequence;
use crate::types::StreamResponse;

/// An open stream.
pub(in crate::client) enum Events {
    V1_0(Box<Streaming<v1_0::StreamResponse>>),
    V0_3(Box<Streaming<v0_3::StreamResponse>>),
}

impl Events {
    /// The next event; `None` when the agent ended the stream in order.
    pub(in crate::client) async fn next(
        &mut self,
        inner: &Inner,
    ) -> Result<Option<StreamEvent>, ClientError> {
        let event: Result<Option<Result<StreamResponse, ClientError>>, Status> = match self {
            Self::V1_0(stream) => stream.message().await.map(|pb| pb.map(read)),
            Self::V0_3(stream) => stream.message().await.map(|pb| pb.map(read)),
        };
        match event.map_err(|status| failed(inner, status))? {
            None => Ok(None),
            Some(event) => {
                let mut event = event?;
                let seq = sequence::take(&mut event);
                Ok(Some(StreamEvent { seq, event }))
            }
        }
    }
}
