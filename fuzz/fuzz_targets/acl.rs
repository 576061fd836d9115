//! `driftless::hostile`, target `acl`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("acl"), |input: &[u8]| run("acl", input));
