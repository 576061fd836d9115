//! `json_file`: one key of a JSON file. All else stays: order and indentation.

use super::Module;
use super::keys::{self, json::FORMAT};

pub(super) static MODULE: Module = Module {
    name: "json_file",
    summary: "Makes sure that a key of a JSON file has a value, or is absent; all else stays.",
    acts_unless: None,
    spec: keys::SPEC,
    check: keys::check,
    build: |params| keys::task(params, &FORMAT),
};
