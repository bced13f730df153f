//! The fuzzing engine's way into [`fuzz::dialect`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::dialect(data));
