//! `driftless::hostile`, target `chain`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("chain"), |input: &[u8]| run("chain", input));
