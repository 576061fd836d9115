//! `driftless::hostile`, target `untold`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("untold"), |input: &[u8]| run("untold", input));
