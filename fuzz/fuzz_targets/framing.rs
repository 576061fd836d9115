//! `driftless::hostile`, target `framing`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("framing"), |input: &[u8]| run("framing", input));
