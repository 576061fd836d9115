//! `driftless::hostile`, target `pack`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("pack"), |input: &[u8]| run("pack", input));
