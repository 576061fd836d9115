//! `driftless::hostile`, target `deliveries`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("deliveries"), |input: &[u8]| run("deliveries", input));
