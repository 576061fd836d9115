//! `driftless::hostile`, target `checkpoint`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("checkpoint"), |input: &[u8]| run("checkpoint", input));
