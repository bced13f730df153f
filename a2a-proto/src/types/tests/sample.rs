//! Random objects from a seed: the property tests draw the seed, everything else follows from it.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::types::{Metadata, Part, PartContent};

/// How deep objects nest before lists and optional fields stay empty.
const DEPTH: u32 = 5;

/// A stream of random numbers (SplitMix64), and how deep we are.
pub(crate) struct Random {
    state: u64,
    depth: u32,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: seed,
            depth: 0,
        }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// A value one level down.
    pub(crate) fn inside<T: Sample>(&mut self) -> T {
        self.depth += 1;
        let value = T::sample(self);
        self.depth -= 1;
        value
    }

    fn length(&mut self) -> usize {
        if self.depth > DEPTH { 0 } else { self.below(3) }
    }
}

/// What can be made at random.
pub(crate) trait Sample {
    fn sample(random: &mut Random) -> Self;
}

impl Sample for String {
    fn sample(random: &mut Random) -> Self {
        const TEXTS: [&str; 8] = [
            "",
            "a",
            "null",
            "ROLE_USER",
            "ä \u{1f680} \u{0}",
            "line\nbreak\r\t",
            "\"quoted\\\"",
            "`p`: at line 1",
        ];
        TEXTS[random.below(TEXTS.len())].to_owned()
    }
}

impl Sample for bool {
    fn sample(random: &mut Random) -> Self {
        random.below(2) == 1
    }
}

impl Sample for i64 {
    fn sample(random: &mut Random) -> Self {
        [0, 1, -1, 50, Self::MIN, Self::MAX][random.below(6)]
    }
}

impl Sample for i32 {
    fn sample(random: &mut Random) -> Self {
        [0, 1, -1, 50, i32::MIN, i32::MAX][random.below(6)]
    }
}

impl Sample for Timestamp {
    fn sample(random: &mut Random) -> Self {
        // Years 0001 to 9999, whole milliseconds: what the wire can carry.
        let millisecond = random.below(250_000_000_000_000) as i64 - 60_000_000_000_000;
        Timestamp::from_millisecond(millisecond).unwrap()
    }
}

impl Sample for Bytes {
    fn sample(random: &mut Random) -> Self {
        (0..random.below(9))
            .map(|_| random.below(256) as u8)
            .collect()
    }
}

impl Sample for Value {
    fn sample(random: &mut Random) -> Self {
        // Never `null`: in an optional field that would be unset.
        [
            json!("x"),
            json!(7),
            json!(-1.5),
            json!(true),
            json!([null, {"a_b": 1}]),
            json!({"camelCase": {}}),
        ][random.below(6)]
        .clone()
    }
}

impl Sample for Metadata {
    fn sample(random: &mut Random) -> Self {
        (0..random.below(3))
            .map(|index| (format!("urn:x:{index}"), Value::sample(random)))
            .collect()
    }
}

impl<T: Sample> Sample for Option<T> {
    fn sample(random: &mut Random) -> Self {
        (random.length() > 0).then(|| T::sample(random))
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(random: &mut Random) -> Self {
        (0..random.length()).map(|_| T::sample(random)).collect()
    }
}

impl<T: Sample> Sample for BTreeMap<String, T> {
    fn sample(random: &mut Random) -> Self {
        (0..random.length())
            .map(|index| (format!("key_{index}"), T::sample(random)))
            .collect()
    }
}

impl Sample for Part {
    fn sample(random: &mut Random) -> Self {
        let content = match random.below(5) {
            0 => PartContent::Text(random.inside()),
            1 => PartContent::Raw(random.inside()),
            2 => PartContent::Url(random.inside()),
            3 => PartContent::Data(Value::Null),
            _ => PartContent::Data(random.inside()),
        };
        Self {
            content,
            metadata: random.inside(),
            filename: random.inside(),
            media_type: random.inside(),
        }
    }
}
