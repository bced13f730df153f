//! The session's states and its watchdogs as tables: no agent, and time that the test counts.

use jiff::Timestamp;
use pretty_assertions::assert_eq;

use super::state::{Input, State, Stop};
use super::watchdog::{Reading, Watchdog};
use crate::card;

#[test]
fn a_session_moves_only_as_the_table_says() {
    let task = || "t".to_owned();
    let prompting = State::Prompting { task: task() };
    let cancelling = State::Cancelling {
        task: task(),
        why: Stop::Cancelled,
    };
    let dead = State::Dead {
        reason: "x".to_owned(),
    };
    let gone = Input::Gone {
        reason: "x".to_owned(),
    };
    let moves = [
        (State::Starting, Input::Started, Some(State::Idle)),
        (State::Starting, Input::TurnEnded, None),
        (State::Starting, gone.clone(), Some(dead.clone())),
        (
            State::Idle,
            Input::Prompted { task: task() },
            Some(prompting.clone()),
        ),
        (State::Idle, Input::StopAsked(Stop::Cancelled), None),
        (prompting.clone(), Input::Prompted { task: task() }, None),
        (prompting.clone(), Input::TurnEnded, Some(State::Idle)),
        (
            prompting,
            Input::StopAsked(Stop::Cancelled),
            Some(cancelling.clone()),
        ),
        (
            cancelling.clone(),
            Input::StopAsked(Stop::Shutdown),
            Some(cancelling.clone()),
        ),
        (cancelling.clone(), Input::TurnEnded, Some(State::Idle)),
        (cancelling, gone, Some(dead.clone())),
        (dead.clone(), Input::Prompted { task: task() }, None),
        (
            dead.clone(),
            Input::Gone {
                reason: "later".to_owned(),
            },
            Some(dead),
        ),
    ];
    for (state, input, expected) in moves {
        assert_eq!(
            state.clone().next(input.clone()).ok(),
            expected,
            "{state:?} {input:?}"
        );
    }
}

struct Fixture {
    watchdog: Watchdog,
    reading: Reading,
    start: Timestamp,
}

impl Fixture {
    fn new() -> Self {
        let limits = card::Watchdog {
            max_steps: 3,
            silence_seconds: 10,
            turn_seconds: 60,
        };
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let reading = Reading {
            model_calls: 7,
            signs_of_life: 70,
            ..Reading::default()
        };
        Self {
            watchdog: Watchdog::new(&limits, start, reading.clone()),
            reading,
            start,
        }
    }

    fn at(&self, seconds: i64) -> Timestamp {
        self.start + jiff::SignedDuration::from_secs(seconds)
    }

    fn check(&mut self, seconds: i64) -> Option<String> {
        let now = self.at(seconds);
        self.watchdog.check(now, &self.reading)
    }
}

#[test]
fn steps_are_model_calls_of_this_turn_or_tool_calls() {
    let mut fixture = Fixture::new();
    fixture.reading.model_calls = 10;
    assert_eq!(fixture.check(0), None);
    fixture.reading.model_calls = 11;
    assert!(
        fixture
            .check(0)
            .unwrap()
            .starts_with("stopped after 3 steps")
    );
    let mut fixture = Fixture::new();
    for _ in 0..4 {
        assert_eq!(fixture.check(0), None);
        let now = fixture.at(0);
        fixture.watchdog.update(now, true);
    }
    assert_eq!(fixture.watchdog.steps(&fixture.reading), 4);
    assert!(fixture.check(0).is_some());
}

#[test]
fn silence_is_ended_by_the_agent_and_by_the_model() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.check(9), None);
    let now = fixture.at(9);
    fixture.watchdog.update(now, false);
    assert_eq!(fixture.check(18), None);
    fixture.reading.signs_of_life += 1;
    assert_eq!(fixture.check(20), None);
    assert_eq!(fixture.check(29), None);
    assert!(
        fixture
            .check(30)
            .unwrap()
            .contains("10 seconds without a sign of life")
    );
}

#[test]
fn a_busy_turn_ends_too() {
    let mut fixture = Fixture::new();
    for second in 0..60 {
        fixture.reading.signs_of_life += 1;
        assert_eq!(fixture.check(second), None);
    }
    assert!(
        fixture
            .check(60)
            .unwrap()
            .starts_with("stopped after 60 seconds")
    );
}

#[test]
fn a_model_that_stays_away_ends_the_turn_with_the_gateways_words() {
    let mut fixture = Fixture::new();
    fixture.reading.unreachable_why = "the model is not there".to_owned();
    for count in 1..4 {
        fixture.reading.unreachable_in_a_row = count;
        assert_eq!(fixture.check(0), None);
    }
    fixture.reading.unreachable_in_a_row = 4;
    assert_eq!(fixture.check(0).as_deref(), Some("the model is not there"));
}
