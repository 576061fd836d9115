//! `driftless::hostile`, target `public_keys`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("public_keys"), |input: &[u8]| run("public_keys", input));
