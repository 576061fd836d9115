//! `driftless::hostile`, target `stream`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("stream"), |input: &[u8]| run("stream", input));
