//! The way to a running agent: a socket in its data directory.

mod board;
mod client;
mod server;
mod socket;
mod sole;
pub(super) mod status;
mod tapping;
mod wire;

pub(super) use board::{Board, Load};
pub(super) use client::{At, Lost, Questions, complain};
pub(super) use server::{Control, Order};
pub(super) use sole::only_agent;
pub(super) use wire::{Ask, Reply};
