//! Has a release's linker put together what is used together: see packaging/layout.py.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=packaging/layout.ld");
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, wanted: &str| env::var(name).is_ok_and(|found| found == wanted);
    // GNU's linker and LLVM's read such a script; others, which somebody may have chosen, may not.
    let chosen = env::var_os("RUSTC_LINKER").is_some()
        || env::var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("link"));
    let is_meant = is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") && !chosen;
    if is_meant && let Ok(root) = env::var("CARGO_MANIFEST_DIR") {
        println!("cargo:rustc-link-arg-bin=driftless=-T{root}/packaging/layout.ld");
    }
}
