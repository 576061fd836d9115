//! `driftless::hostile`, target `keys`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("keys"), |input: &[u8]| run("keys", input));
