//! The fuzzing engine's way into [`fuzz::grpc`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::grpc(data));
