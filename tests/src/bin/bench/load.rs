//! The load: streams and calls on several connections, counted.
//!
//! The same client drives our server and the bare one, so that what it costs is on both sides of the comparison. It counts
//! frames and never parses them; that every frame came is checked by the count.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use reqwest::{Client, StatusCode, Url, header};

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Frames or answers.
    pub(crate) count: u64,
    /// From the first request to the last answer.
    pub(crate) time: Duration,
}

impl Rate {
    /// Frames or answers in a second.
    pub(crate) fn per_second(self) -> f64 {
        f64::from(u32::try_from(self.count).unwrap_or(u32::MAX)) / self.time.as_secs_f64()
    }
}

/// Why a measurement is not one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("a request failed")]
    Request(#[from] reqwest::Error),
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("a stream had {got} frames instead of {expected}: events were lost")]
    Lost { got: u64, expected: u64 },
}

/// One request, made again and again.
#[derive(Clone, Debug)]
pub(crate) struct Shot {
    pub(crate) client: Client,
    pub(crate) url: Url,
    pub(crate) body: String,
    /// Frames of one answer; `None` for an answer that is no stream.
    pub(crate) frames: Option<u64>,
}

impl Shot {
    /// Makes the request on `connections` connections, `rounds` times on each, one after the other.
    pub(crate) async fn fire(&self, connections: usize, rounds: usize) -> Result<Rate, LoadError> {
        let start = Instant::now();
        let counts = try_join_all((0..connections).map(|_| self.repeat(rounds))).await?;
        Ok(Rate {
            count: counts.iter().sum(),
            time: start.elapsed(),
        })
    }

    async fn repeat(&self, rounds: usize) -> Result<u64, LoadError> {
        let mut count = 0;
        for _ in 0..rounds {
            count += self.once().await?;
        }
        Ok(count)
    }

    async fn once(&self) -> Result<u64, LoadError> {
        let accept = if self.frames.is_some() {
            "text/event-stream"
        } else {
            "application/json"
        };
        let request = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, accept)
            .header("A2A-Version", "1.0");
        let mut answer = request.body(self.body.clone()).send().await?;
        if answer.status() != StatusCode::OK {
            return Err(LoadError::Status(answer.status()));
        }
        let Some(expected) = self.frames else {
            answer.bytes().await?;
            return Ok(1);
        };
        let mut counter = FrameCounter::default();
        while let Some(bytes) = answer.chunk().await? {
            counter.add(&bytes);
        }
        if counter.frames == expected {
            Ok(expected)
        } else {
            Err(LoadError::Lost {
                got: counter.frames,
                expected,
            })
        }
    }
}

/// Counts `\n\n` across chunk borders.
#[derive(Debug, Default)]
pub(crate) struct FrameCounter {
    pub(crate) frames: u64,
    line_feed: bool,
}

impl FrameCounter {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let line_feed = byte == b'\n';
            if line_feed && self.line_feed {
                self.frames += 1;
                self.line_feed = false;
            } else {
                self.line_feed = line_feed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_over_chunk_borders() {
        let mut counter = FrameCounter::default();
        for chunk in ["data: a\n", "\ndata: b\n\nid: 3\ndata", ": c\n\n"] {
            counter.add(chunk.as_bytes());
        }
        assert_eq!(counter.frames, 3);
    }
}
