//! `driftless::hostile`, target `journal`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("journal"), |input: &[u8]| run("journal", input));
