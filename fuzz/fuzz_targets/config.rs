//! `driftless::hostile`, target `config`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("config"), |input: &[u8]| run("config", input));
