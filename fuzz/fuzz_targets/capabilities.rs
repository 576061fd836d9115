//! `driftless::hostile`, target `capabilities`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("capabilities"), |input: &[u8]| run("capabilities", input));
