//! `driftless::hostile`, target `plugin`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("plugin"), |input: &[u8]| run("plugin", input));
