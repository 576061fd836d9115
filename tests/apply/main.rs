//! Task files run against real directories: what a user writes, and what comes of it.

#[cfg(test)]
mod bench;
#[cfg(test)]
mod blocks;
#[cfg(test)]
mod check;
#[cfg(test)]
mod language;
#[cfg(test)]
mod loops;
#[cfg(test)]
mod notifications;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod plays;
#[cfg(test)]
mod roles;
#[cfg(test)]
mod tasks;
