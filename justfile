# The verbs of this project; `.ci/run` does all of them on a bare machine.

# Format and lints
check:
    cargo fmt --check
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

# The release binary's size, in bytes
size:
    cargo build --release
    stat --format %s target/release/driftless
