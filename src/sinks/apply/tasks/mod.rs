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

use super::params::{Params, Spec};
use super::parse::RoleFiles;
use crate::event::fault::Diagnostic;
use crate::event::task::{Home, Named, TaskSet};
use crate::event::tree::Node;
use crate::expr::collection;
use crate::expr::jinja::Problem;
use crate::expr::scope::Scope;
use crate::host::machine::Machine;
use crate::host::machine::command::Output;
use crate::host::machine::fault::Fault;
use indexmap::IndexMap;
use minijinja::Value;
use std::path::{Path, PathBuf};

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

/// One task type.
#[derive(Debug)]
pub struct Module {
    /// Its name in task files.
    pub name: &'static str,
    /// What it is for, in one line.
    pub summary: &'static str,
    /// For one that acts without looking first: the parameters each of which makes it look.
    pub acts_unless: Option<&'static [&'static str]>,
    /// Its parameters.
    pub spec: Spec,
    /// What else can be said against parameters as written.
    pub check: fn(&Params) -> Vec<Diagnostic>,
    /// The task with these parameters.
    pub build: fn(Params) -> Box<dyn Task>,
}

impl Module {
    /// Whether a task with these parameters does something each time, without looking whether that
    /// is needed.
    pub(super) fn acts(&self, args: &Node) -> bool {
        let looks = |looking: &[&str]| looking.iter().any(|name| args.get(name).is_some());
        self.acts_unless.is_some_and(|looking| !looks(looking))
    }

    /// The modules that may do its work: their `module_defaults` count for it too.
    pub(super) fn hands_on_to(&self) -> &'static [&'static str] {
        if self.name == service::MODULE.name { service::MANAGERS } else { &[] }
    }

    /// Whether it can run as another user: commands can, and what leaves the host alone.
    pub(super) fn runs_as(&self) -> bool {
        AS_ANOTHER_USER.contains(&self.name)
    }
}

/// Modules that run programs, or that change nothing.
const AS_ANOTHER_USER: &[&str] = &[
    "add_host",
    "assert",
    "command",
    "debug",
    "fail",
    "find",
    "getent",
    "group_by",
    "include_role",
    "include_tasks",
    "include_vars",
    "meta",
    "mount_facts",
    "package_facts",
    "pause",
    "ping",
    "raw",
    "script",
    "service_facts",
    "set_fact",
    "setup",
    "shell",
    "slurp",
    "stat",
    "validate_argument_spec",
    "wait_for",
];

/// Nothing more to check.
fn no_check(_: &Params) -> Vec<Diagnostic> {
    Vec::new()
}

/// Something that the host should be like.
pub trait Task {
    /// Brings it about, through `machine` alone. Whether that is done or foretold is the
    /// machine's business; whether anything changed shows in its journal.
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure>;
}

/// What a task may know beside its parameters.
#[derive(Debug)]
pub struct TaskContext<'a> {
    /// The config directory.
    pub base: &'a Path,
    /// Where `files/`, `templates/` and relative sources are looked for, the nearest first.
    pub search: &'a [PathBuf],
    /// What the task is part of.
    pub set: &'a TaskSet,
    /// Where the task lives.
    pub home: &'a Home,
    /// The names that its expressions may use.
    pub scope: &'a Scope,
    /// Variables for the programs that it runs.
    pub environment: &'a [(String, String)],
    /// Whether other tasks may read what this one returns: what takes time to find out, and nobody
    /// reads, need not be found out.
    pub is_read: bool,
}

impl TaskContext<'_> {
    /// Whether a condition among the parameters holds.
    fn holds(&self, condition: &Node) -> Result<bool, Failure> {
        Ok(self.scope.engine().holds(condition, self.scope)?)
    }
}

/// What a task found and did.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What `register` keeps, under Ansible's names, beside `changed` and `failed`.
    pub returned: IndexMap<String, Value>,
    /// One line or text for people.
    pub message: Option<String>,
    /// Why the task counts as failed although it ran to its end (`failed_when` may overrule).
    pub failed: Option<String>,
    /// A dry run cannot know what it would do and return.
    pub unknown: bool,
    /// Tasks to be run next.
    pub include: Option<Include>,
    /// Variables for the rest of the run, unrendered.
    pub vars: Named,
}

/// Tasks from elsewhere.
#[derive(Clone, Debug)]
pub enum Include {
    /// Those of a file.
    Tasks {
        /// Its name, as written.
        file: String,
        /// Keywords for all of them.
        apply: Option<Node>,
    },
    /// Those of a role.
    Role {
        /// Its name, as written.
        name: String,
        /// Which of its files.
        files: RoleFiles,
        /// Whether the rest of the play sees its variables too.
        public: bool,
        /// Keywords for all of them.
        apply: Option<Node>,
    },
}

impl Include {
    /// Keywords for all that is included.
    pub(super) fn apply(&self) -> Option<&Node> {
        match self {
            Self::Tasks { apply, .. } | Self::Role { apply, .. } => apply.as_ref(),
        }
    }
}

impl Outcome {
    /// Adds something for `register`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.returned.insert(name.to_owned(), value.into());
        self
    }
}

/// Why a task could not do its work.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What was found and what was expected.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
    /// It is not wrong, only unknown in a dry run: the number of the task that must run first.
    pub depends_on: Option<usize>,
    /// It only failed because a dry run must not write, so that it is unknown too.
    pub is_denial: bool,
    /// What the program said that did not do it.
    pub output: Option<Box<Output>>,
}

impl Failure {
    /// A complaint.
    pub fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { message, hint: None, depends_on: None, is_denial: false, output: None }
    }

    /// The same, with what a program said: `rc`, `stdout` and `stderr` of the result.
    pub(super) fn of_program(self, output: &Output) -> Self {
        Self { output: Some(Box::new(output.clone())), ..self }
    }

    /// The first of several complaints.
    pub(super) fn first(complaints: Vec<Diagnostic>) -> Self {
        match complaints.into_iter().next() {
            Some(complaint) => complaint.into(),
            None => Self::new("this is not understood"),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { hint: fault.hint, is_denial: fault.is_denial, ..Self::new(fault.message) }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let complaint = Self::from(problem.diagnostic());
        Self { depends_on: problem.depends_on, is_denial: problem.is_denial, ..complaint }
    }
}

impl From<Diagnostic> for Failure {
    fn from(complaint: Diagnostic) -> Self {
        let mut message = complaint.to_string();
        if let Some((place, what)) = &complaint.related {
            message.push_str(&format!(" ({place}: {what})"));
        }
        Self { hint: complaint.hint, ..Self::new(message) }
    }
}

/// The module that a task file calls `name`, its collection's prefix included or not.
pub fn find(name: &str) -> Option<&'static Module> {
    let name = match collection::short(name) {
        "gather_facts" => "setup",
        name => name,
    };
    MODULES.iter().find(|module| module.name == name).copied()
}
