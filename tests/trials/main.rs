//! Trials: the real binary under loads, kills and outages that a host has on its worst days.
//!
//! A writer numbers its lines and seals each with a checksum; an oracle reads what arrived and
//! says what is lost, doubled, out of order or damaged. `cargo test` runs a short form; with
//! `DRIFTLESS_TRIALS=long` the same trials run for as long and at the rates that the guarantees
//! are given for: one at a time, and with `DRIFTLESS_TRIALS_PROGRAM` naming an optimised build, since
//! the one that is built with the tests is too slow for them. `DRIFTLESS_TRIALS_KILLS` says another
//! number of kills.

#[cfg(test)]
mod access;
#[cfg(test)]
#[path = "../support/bucket.rs"]
mod bucket;
#[cfg(test)]
mod buffers;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod ending;
#[cfg(test)]
mod frozen;
#[cfg(test)]
mod full;
#[cfg(test)]
#[path = "../support/installed.rs"]
mod installed;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod kills_s3;
#[cfg(test)]
mod lines;
#[cfg(test)]
mod many;
#[cfg(test)]
mod network;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod outages;
#[cfg(test)]
#[path = "../support/network.rs"]
mod own_network;
#[cfg(test)]
#[path = "../support/process.rs"]
mod process;
#[cfg(test)]
mod programs;
#[cfg(test)]
mod receivers;
#[cfg(test)]
mod relay;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod remains;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod rotation;
#[cfg(test)]
#[path = "../support/skip.rs"]
mod skip;
#[cfg(test)]
mod writer;

/// What differs between the short form and the long one.
#[cfg(test)]
struct Scale {
    kills: usize,
    bytes_per_second: usize,
    /// Of a trial that has no other end.
    seconds: u64,
}

#[cfg(test)]
fn is_long() -> bool {
    std::env::var_os("DRIFTLESS_TRIALS").is_some_and(|form| form == "long")
}

#[cfg(test)]
fn scale() -> Scale {
    let scale = if is_long() {
        Scale { kills: 500, bytes_per_second: 20_000_000, seconds: 60 }
    } else {
        Scale { kills: 12, bytes_per_second: 1_000_000, seconds: 4 }
    };
    let kills = std::env::var("DRIFTLESS_TRIALS_KILLS").ok();
    Scale { kills: kills.map_or(scale.kills, |kills| kills.parse().unwrap()), ..scale }
}
