//! `driftless::hostile`, target `rule_template`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("rule_template"), |input: &[u8]| run("rule_template", input));
