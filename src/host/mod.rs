//! What this machine is and how it is changed.

pub mod accounts;
pub mod acl;
pub mod audit;
pub mod bus;
pub mod capabilities;
pub mod clock;
pub mod core_dump;
pub mod facts;
pub mod machine;
pub mod mounts;
pub mod netlink;
pub mod open_files;
pub mod os_release;
pub mod packages;
pub mod proc;
pub mod process;
pub mod program;
pub mod roots;
pub mod run_lock;
pub mod sandbox;
pub mod socket;
pub mod state_file;
pub mod statfs;
mod sys;
pub mod sysfs;
pub mod udev;
pub mod xattr;
