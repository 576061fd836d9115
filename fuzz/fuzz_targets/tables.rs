//! `driftless::hostile`, target `tables`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("tables"), |input: &[u8]| run("tables", input));
