//! `driftless::hostile`, target `promql`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("promql"), |input: &[u8]| run("promql", input));
