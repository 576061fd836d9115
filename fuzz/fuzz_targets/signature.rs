//! `driftless::hostile`, target `signature`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("signature"), |input: &[u8]| run("signature", input));
