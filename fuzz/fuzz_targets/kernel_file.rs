//! `driftless::hostile`, target `kernel_file`.

#![no_main]

use driftless_fuzz::{run, sow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: sow("kernel_file"), |input: &[u8]| run("kernel_file", input));
