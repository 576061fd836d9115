//! `driftless::hostile`, target `segment`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("segment"), |input: &[u8]| run("segment", input));
