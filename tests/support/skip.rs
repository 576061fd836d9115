//! Tests that a machine cannot run: they say so, and `.ci/run` counts them as skipped.

use std::io::Write;

/// Says that a test, or a part of one, is left out. Straight to where errors go, since cargo hides
/// what passing tests print.
pub(crate) fn skipped(why: &str) {
    writeln!(std::io::stderr(), "skipped: {why}").unwrap();
}
