//! The task types: the table of contents. One file each; a new one is its file and one line.

mod accounts;
mod acl;
mod add_host;
mod alternatives;
mod apk;
mod apt;
mod apt_key;
mod apt_repository;
mod archive;
mod assemble;
mod assert;
mod authorized_key;
mod blockinfile;
mod capabilities;
mod chattr;
mod command;
mod copy;
mod cron;
mod deb822_repository;
mod debconf;
mod debug;
mod dnf;
mod dpkg_selections;
mod edit;
mod facts;
mod fail;
mod fetch;
mod file;
mod file_attributes;
mod filesystem;
mod find;
mod gem;
mod get_url;
mod getent;
mod git;
mod group;
mod group_by;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod hostname;
mod hosts;
mod include_role;
mod include_tasks;
mod include_vars;
mod ini_file;
mod interface;
mod iptables;
mod journald;
mod json_file;
mod keys;
mod known_hosts;
mod lineinfile;
mod locale_gen;
mod logrotate;
mod managers;
mod meta;
mod modprobe;
mod mount;
mod mount_facts;
mod multipart;
mod nftables;
mod npm;
mod openrc;
mod pack;
mod package;
mod package_facts;
mod pacman;
mod pam_limits;
mod paths;
mod pattern;
mod pause;
mod ping;
mod pip;
mod process;
mod raw;
mod reboot;
mod replace;
mod rpm;
mod rsyslog;
mod script;
mod seboolean;
mod sefcontext;
mod selinux;
mod service;
mod service_facts;
mod session;
mod set_fact;
mod setup;
mod shell;
mod shutdown;
mod slurp;
mod stat;
mod sudoers;
mod swapfile;
mod sysctl;
mod system;
mod systemd;
mod sysvinit;
mod task;
mod tempfile;
mod template;
mod timezone;
mod toml_file;
mod ufw;
mod unarchive;
mod unpack;
mod uri;
mod user;
mod validate_argument_spec;
mod values;
mod wait_for;
mod web;
mod xattr;
mod yaml_file;
mod zypper;

use super::params::Params;
use crate::event::fault::Diagnostic;
use crate::expr::collection;
pub use task::{Failure, Include, Module, Outcome, Task, TaskContext};

/// The parameter that tells `meta` what to do.
pub(super) use group_by::RESULT as ADDED_GROUP;
pub(super) use meta::ACTION as META_ACTION;

/// Any bytes in place of a file with keys.
#[cfg(any(test, fuzzing))]
pub(crate) use keys::yaml::hostile as keys_hostile;

/// All modules.
pub static MODULES: &[&Module] = &[
    &acl::MODULE,
    &add_host::MODULE,
    &alternatives::MODULE,
    &apk::MODULE,
    &apt::MODULE,
    &apt_key::MODULE,
    &apt_repository::MODULE,
    &archive::MODULE,
    &assemble::MODULE,
    &assert::MODULE,
    &authorized_key::MODULE,
    &blockinfile::MODULE,
    &capabilities::MODULE,
    &chattr::MODULE,
    &command::MODULE,
    &copy::MODULE,
    &cron::MODULE,
    &deb822_repository::MODULE,
    &debconf::MODULE,
    &debug::MODULE,
    &dnf::MODULE,
    &dnf::YUM,
    &dpkg_selections::MODULE,
    &fail::MODULE,
    &fetch::MODULE,
    &file::MODULE,
    &filesystem::MODULE,
    &find::MODULE,
    &gem::MODULE,
    &get_url::MODULE,
    &getent::MODULE,
    &git::MODULE,
    &group::MODULE,
    &group_by::MODULE,
    &hostname::MODULE,
    &hosts::MODULE,
    &include_role::IMPORT,
    &include_role::MODULE,
    &include_tasks::IMPORT,
    &include_tasks::MODULE,
    &include_vars::MODULE,
    &ini_file::MODULE,
    &interface::MODULE,
    &iptables::MODULE,
    &journald::MODULE,
    &json_file::MODULE,
    &known_hosts::MODULE,
    &lineinfile::MODULE,
    &locale_gen::MODULE,
    &logrotate::MODULE,
    &meta::MODULE,
    &modprobe::MODULE,
    &mount::MODULE,
    &mount_facts::MODULE,
    &nftables::MODULE,
    &npm::MODULE,
    &openrc::MODULE,
    &package::MODULE,
    &package_facts::MODULE,
    &pacman::MODULE,
    &pam_limits::MODULE,
    &pause::MODULE,
    &ping::MODULE,
    &pip::MODULE,
    &process::MODULE,
    &raw::MODULE,
    &reboot::MODULE,
    &replace::MODULE,
    &rsyslog::MODULE,
    &script::MODULE,
    &seboolean::MODULE,
    &sefcontext::MODULE,
    &selinux::MODULE,
    &service::MODULE,
    &service_facts::MODULE,
    &set_fact::MODULE,
    &setup::MODULE,
    &shell::MODULE,
    &shutdown::MODULE,
    &slurp::MODULE,
    &stat::MODULE,
    &sudoers::MODULE,
    &swapfile::MODULE,
    &sysctl::MODULE,
    &systemd::MODULE,
    &systemd::SERVICE,
    &sysvinit::MODULE,
    &tempfile::MODULE,
    &template::MODULE,
    &timezone::MODULE,
    &toml_file::MODULE,
    &ufw::MODULE,
    &unarchive::MODULE,
    &uri::MODULE,
    &user::MODULE,
    &validate_argument_spec::MODULE,
    &wait_for::MODULE,
    &xattr::MODULE,
    &yaml_file::MODULE,
    &zypper::MODULE,
];

/// Modules that task files use and this version has not.
pub const NOT_YET: &[&str] = &["async_status", "expect"];

/// Nothing more to check.
fn no_check(_: &Params) -> Vec<Diagnostic> {
    Vec::new()
}

/// The module that a task file calls `name`, its collection's prefix included or not.
pub fn find(name: &str) -> Option<&'static Module> {
    let name = match collection::short(name) {
        "gather_facts" => "setup",
        name => name,
    };
    MODULES.iter().find(|module| module.name == name).copied()
}
