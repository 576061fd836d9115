//! `driftless::hostile`, target `signers`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("signers"), |input: &[u8]| run("signers", input));
