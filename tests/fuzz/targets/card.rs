//! The fuzzing engine's way into [`fuzz::card`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::card(data));
