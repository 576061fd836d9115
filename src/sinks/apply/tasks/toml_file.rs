//! `toml_file`: one key of a TOML file. All else stays: comments, order and spelling.

use super::Module;
use super::keys::{self, toml::FORMAT};

pub(super) static MODULE: Module = Module {
    name: "toml_file",
    summary: "Makes sure that a key of a TOML file has a value, or is absent; all else stays.",
    acts_unless: None,
    spec: keys::SPEC,
    check: keys::check,
    build: |params| keys::task(params, &FORMAT),
};
