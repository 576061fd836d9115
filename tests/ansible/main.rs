//! Driftless held against Ansible: what Ansible's own tests demand, what its modules leave behind,
//! and what neither may do when it is killed.

#[cfg(test)]
#[path = "../support/booted.rs"]
mod booted;
#[cfg(test)]
#[path = "../support/fetched.rs"]
mod fetched;
#[cfg(test)]
#[path = "../support/installed.rs"]
mod installed;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod listed;
#[cfg(test)]
mod paired;
#[cfg(test)]
mod playbooks;
#[cfg(test)]
#[path = "../support/skip.rs"]
mod skip;
#[cfg(test)]
mod stand_in;
#[cfg(test)]
mod targets;
#[cfg(test)]
#[path = "../support/throwaway.rs"]
mod throwaway;
