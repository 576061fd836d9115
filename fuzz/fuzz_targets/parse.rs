//! `driftless::hostile`, target `parse`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("parse"), |input: &[u8]| run("parse", input));
