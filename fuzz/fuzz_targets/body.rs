//! `driftless::hostile`, target `body`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("body"), |input: &[u8]| run("body", input));
