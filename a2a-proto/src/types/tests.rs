//! Tests of the JSON rules and of every object. The macros that declare objects also make them [`Sample`]s, so that a
//! new object or field is in the property tests without being listed by hand.

mod apply;
mod properties;
mod rules;
mod sample;
mod validation;

pub(crate) use sample::{Random, Sample};
