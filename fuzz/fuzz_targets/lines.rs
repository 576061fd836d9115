//! `driftless::hostile`, target `lines`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("lines"), |input: &[u8]| run("lines", input));
