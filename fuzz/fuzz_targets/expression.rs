//! `driftless::hostile`, target `expression`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("expression"), |input: &[u8]| run("expression", input));
