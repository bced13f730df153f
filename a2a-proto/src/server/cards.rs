//! Discovery (A2A §8): the agent's card at both well-known paths, with validators, and the cached copy that every
//! operation asks about capabilities.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

use super::{Agent, Inner};
use crate::card::{self, ServedCard};
use crate::clock::Clock;
use crate::types::AgentCard;
use crate::version;

/// For how long operations go by a card that they have seen. Whoever asks for the card itself gets the present one.
const FRESH: Duration = Duration::from_secs(1);

pub(super) struct Cards {
    clock: Arc<dyn Clock>,
    max_age: Duration,
    cached: Mutex<Option<Cached>>,
}

struct Cached {
    card: Arc<AgentCard>,
    seen: Instant,
    hybrid: ServedCard,
    pure: ServedCard,
    legacy: ServedCard,
}

/// Which of the two documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// 1.0, with the members of 0.3 if the card declares an interface of it and the client does not say that it reads 1.0.
    Current,
    /// 0.1 and 0.2.
    Legacy,
}

impl Cards {
    pub(super) fn new(clock: Arc<dyn Clock>, max_age: Duration) -> Self {
        Self {
            clock,
            max_age,
            cached: Mutex::default(),
        }
    }

    /// Runs `look` on the cached card, asking the agent for the present one when the copy is older than `fresh`.
    fn with<T>(
        &self,
        fresh: Duration,
        ask: impl FnOnce() -> AgentCard,
        sign: impl Fn(&mut Value),
        look: impl FnOnce(&Cached) -> T,
    ) -> T {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = cached.as_mut().filter(|there| there.seen.elapsed() < fresh) {
            return look(there);
        }
        let card = ask();
        let present = match cached.take() {
            // Serialized once, as long as it stays the same.
            Some(there) if *there.card == card => Cached {
                seen: Instant::now(),
                ..there
            },
            _ => {
                let now = self.clock.now();
                // Each as it is served: a signature covers what a reader sees.
                let served = |mut document: Value| {
                    sign(&mut document);
                    ServedCard::new(&document, now, self.max_age)
                };
                Cached {
                    hybrid: served(card::hybrid(&card)),
                    pure: served(card::pure(&card)),
                    legacy: ServedCard::new(&card::legacy(&card), now, self.max_age),
                    seen: Instant::now(),
                    card: Arc::new(card),
                }
            }
        };
        look(cached.insert(present))
    }
}

impl<A: Agent, L> Inner<A, L> {
    /// The card that operations go by.
    pub(super) fn card(&self) -> Arc<AgentCard> {
        self.cards.with(
            FRESH,
            || self.agent.card(),
            |document| self.options.sign(document),
            |cached| Arc::clone(&cached.card),
        )
    }

    /// Answers a request for the card.
    pub(super) fn serve_card(&self, shape: Shape, request: &HeaderMap) -> Response {
        self.cards.with(
            Duration::ZERO,
            || self.agent.card(),
            |document| self.options.sign(document),
            |cached| {
                let served = match shape {
                    Shape::Current if reads_current(request) => &cached.pure,
                    Shape::Current => &cached.hybrid,
                    Shape::Legacy => &cached.legacy,
                };
                answer(served, request)
            },
        )
    }
}

/// Whether the client says that it reads 1.0, and so needs nothing else.
fn reads_current(request: &HeaderMap) -> bool {
    version::requested(request, None).is_some_and(|text| version::is_current(&text))
}

fn answer(served: &ServedCard, request: &HeaderMap) -> Response {
    let mut response = if served.is_current(request) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        Response::new(Body::from(served.body.clone()))
    };
    let headers = response.headers_mut();
    headers.extend(served.headers());
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(
        header::VARY,
        HeaderValue::from_static(version::VERSION_HEADER),
    );
    // The card is public; inspectors in a browser should be able to read it.
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    response
}
