//! `yaml_file`: one key of a YAML file. All else stays: comments, order and quotes.

use super::Module;
use super::keys::{self, yaml::FORMAT};

pub(super) static MODULE: Module = Module {
    name: "yaml_file",
    summary: "Makes sure that a key of a YAML file has a value, or is absent; all else stays.",
    acts_unless: None,
    spec: keys::SPEC,
    check: keys::check,
    build: |params| keys::task(params, &FORMAT),
};
