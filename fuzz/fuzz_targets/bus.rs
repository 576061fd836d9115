//! `driftless::hostile`, target `bus`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("bus"), |input: &[u8]| run("bus", input));
