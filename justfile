# The verbs of this project; `.ci/run` does what must hold on a bare machine.

# Format and lints
check:
    git ls-files '*.rs' | xargs rustfmt --check
    cargo clippy --all-targets -- -D warnings

# All tests
test:
    cargo test

# The reference and the book
docs:
    cargo run -- docs --out docs/src/reference
    mdbook build docs

# Timings of the hot paths
bench:
    cargo bench

# Anew which functions the release binary has at its front (needs valgrind, takes a quarter of an hour)
layout:
    packaging/layout.py

# The release binary: that its quick start works, and its size in bytes
release:
    cargo build --locked --release
    .ci/smoke target/release/driftless
    stat --format %s target/release/driftless

# The Debian package, in target/debian/ (needs cargo-deb)
deb: release
    rm -rf target/deb
    mkdir -p target/deb/man
    target/release/driftless man --out target/deb/man
    target/release/driftless completions bash >target/deb/driftless.bash
    target/release/driftless completions zsh >target/deb/_driftless
    target/release/driftless completions fish >target/deb/driftless.fish
    cargo deb --no-build
