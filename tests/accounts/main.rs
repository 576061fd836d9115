//! What the program can say of the logs that it was given, held against what became of them.

#[cfg(test)]
mod bench;
#[cfg(test)]
mod ledger;
#[cfg(test)]
#[path = "../support/process.rs"]
mod process;
#[cfg(test)]
mod status;
#[cfg(test)]
#[path = "../support/web.rs"]
#[expect(dead_code, reason = "no test here has to take what is sent")]
mod web;
