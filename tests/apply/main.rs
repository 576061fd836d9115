//! Task files run against real directories: what a user writes, and what comes of it.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod alternatives;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod blocks;
#[cfg(test)]
#[path = "../support/booted.rs"]
mod booted;
#[cfg(test)]
mod check;
#[cfg(test)]
mod drop_ins;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod facts;
#[cfg(test)]
#[path = "../support/fetched.rs"]
mod fetched;
#[cfg(test)]
mod firewall;
#[cfg(test)]
mod hardening;
#[cfg(test)]
#[path = "../support/installed.rs"]
mod installed;
#[cfg(test)]
mod kernel;
#[cfg(test)]
mod language;
#[cfg(test)]
mod loops;
#[cfg(test)]
mod notifications;
#[cfg(test)]
mod packages;
#[cfg(test)]
mod packages_elsewhere;
#[cfg(test)]
mod packages_node_ruby;
#[cfg(test)]
mod packages_python;
#[cfg(test)]
mod packages_sources;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod plays;
#[cfg(test)]
mod roles;
#[cfg(test)]
mod services;
#[cfg(test)]
mod services_at_work;
#[cfg(test)]
#[path = "../support/skip.rs"]
mod skip;
#[cfg(test)]
mod system;
#[cfg(test)]
mod tasks;
#[cfg(test)]
mod tasks_access;
#[cfg(test)]
mod tasks_accounts;
#[cfg(test)]
mod tasks_archive;
#[cfg(test)]
mod tasks_edit;
#[cfg(test)]
mod tasks_look;
#[cfg(test)]
mod tasks_net;
#[cfg(test)]
#[path = "../support/throwaway.rs"]
mod throwaway;
