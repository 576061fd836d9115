//! Playbooks of Ansible's own targets that its scripts run one after the other, each as its script
//! does where that is about one host.

use crate::targets::copy;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// One run of one playbook.
#[derive(Debug)]
pub(super) struct Playbook {
    pub(super) target: &'static str,
    /// Its file, below the target.
    file: &'static str,
    /// What the script gives it, and `driftless apply` knows by the same name.
    pub(super) args: &'static [&'static str],
}

const fn book(target: &'static str, file: &'static str, args: &'static [&'static str]) -> Playbook {
    Playbook { target, file, args }
}

/// Those that Driftless can run. Of the others most are about many hosts, inventories, strategies,
/// collections, and what Ansible itself prints.
pub(super) const PLAYBOOKS: &[Playbook] = &[
    book("blocks", "43191-2.yml", &[]),
    book("blocks", "43191.yml", &[]),
    book("blocks", "72781.yml", &[]),
    book("blocks", "78612.yml", &[]),
    book("blocks", "79711.yml", &[]),
    book("blocks", "block_rescue_vars.yml", &[]),
    book("blocks", "finalized_task.yml", &[]),
    book("blocks", "inherit_notify.yml", &[]),
    book("blocks", "issue29047.yml", &[]),
    book("blocks", "issue71306.yml", &[]),
    book("blocks", "main.yml", &[]),
    book("blocks", "unsafe_failed_task.yml", &[]),
    book("check_mode", "check_mode-not-on-cli.yml", &[]),
    book("check_mode", "check_mode-on-cli.yml", &["--check"]),
    book("check_mode", "check_mode.yml", &["--check"]),
    book("conditionals", "play.yml", &[]),
    book("environment", "test_environment.yml", &[]),
    book("filter_core", "handle_undefined_type_errors.yml", &[]),
    book("handlers", "46447.yml", &[]),
    book("handlers", "52561.yml", &[]),
    book("handlers", "54991.yml", &[]),
    book("handlers", "79776.yml", &[]),
    book("handlers", "82241.yml", &[]),
    book("handlers", "from_handlers.yml", &["--tags", "scenario1"]),
    book("handlers", "handler_notify_earlier_handler.yml", &[]),
    book("handlers", "order.yml", &[]),
    book("handlers", "test_flush_in_rescue_always.yml", &[]),
    book("handlers", "test_fqcn_meta_flush_handlers.yml", &[]),
    book("handlers", "test_handlers.yml", &["--tags", "scenario1"]),
    book("handlers", "test_handlers_template_run_once.yml", &[]),
    book("handlers", "test_include_role_handler_once.yml", &[]),
    book("handlers", "test_include_tasks_in_include_role.yml", &[]),
    book("handlers", "test_listen_role_dedup.yml", &[]),
    book("handlers", "test_listening_handlers.yml", &[]),
    book("handlers", "test_multiple_handlers_with_recursive_notification.yml", &[]),
    book("handlers", "test_run_once.yml", &[]),
    book("handlers", "test_skip_flush.yml", &[]),
    book("ignore_errors", "test_ignore_errors.yml", &[]),
    book("import_tasks", "inherit_notify.yml", &[]),
    book("include_import", "apply/include_apply.yml", &["--tags", "foo"]),
    book("include_import", "apply/include_apply_65710.yml", &[]),
    book("include_import", "playbook/test_import_playbook.yml", &[]),
    book("include_import", "public_exposure/no_bleeding.yml", &[]),
    book("include_import", "public_exposure/no_overwrite_roles.yml", &[]),
    book("include_import", "public_exposure/playbook.yml", &[]),
    book("include_import", "role/test_include_role.yml", &[]),
    book("include_import", "run_once/playbook.yml", &[]),
    book("include_import", "tasks/test_import_tasks.yml", &[]),
    book(
        "include_import",
        "tasks/test_import_tasks_tags.yml",
        &["--tags", "tasks1,canary1,validate"],
    ),
    book("include_import", "tasks/test_include_tasks.yml", &[]),
    book(
        "include_import",
        "tasks/test_include_tasks_tags.yml",
        &["--tags", "tasks1,canary1,validate"],
    ),
    book("include_import", "test_grandparent_inheritance.yml", &[]),
    book("include_import", "test_loop_var_bleed.yaml", &[]),
    book("include_import", "test_nested_tasks.yml", &[]),
    book("include_import", "test_role_recursion.yml", &[]),
    book("include_import", "valid_include_keywords/playbook.yml", &[]),
    book("includes", "includes_loop_rescue.yml", &[]),
    book("includes", "inherit_notify.yml", &[]),
    book("includes", "test_includes.yml", &[]),
    book("includes", "test_includes4.yml", &[]),
    book("jinja2_native_types", "nested_undefined.yml", &[]),
    book("jinja2_native_types", "runtests.yml", &[]),
    book("jinja2_native_types", "test_hostvars.yml", &[]),
    book("jinja2_native_types", "test_preserving_quotes.yml", &[]),
    book("lookup_fileglob", "find_levels/play.yml", &["-e", "seed=in_role"]),
    book("lookup_fileglob", "find_levels/play.yml", &["-e", "seed=otherpath/in_role_subdir"]),
    book("lookup_fileglob", "find_levels/play.yml", &["-e", "seed=play_adj"]),
    book("lookup_fileglob", "find_levels/play.yml", &["-e", "seed=play_adj_subdir"]),
    book("lookup_fileglob", "find_levels/play.yml", &["-e", "seed=somepath/play_adj_subsubdir"]),
    book("lookup_fileglob", "issue72873/test.yml", &[]),
    book("lookup_fileglob", "non_existent/play.yml", &["-e", "seed=foo"]),
    book("lookup_ini", "test_case_sensitive.yml", &[]),
    book("lookup_ini", "test_errors.yml", &[]),
    book("lookup_ini", "test_lookup_properties.yml", &[]),
    book("loop_control", "break_when.yml", &[]),
    book("loop_control", "extended.yml", &[]),
    book("loop_control", "label.yml", &[]),
    book("meta_tasks", "test_end_play.yml", &[]),
    book("meta_tasks", "test_end_play_multiple_plays.yml", &[]),
    book("no_log", "no_log_local.yml", &[]),
    book("omit", "48673.yml", &[]),
    book("omit", "C75692.yml", &[]),
    book("path_lookups", "play.yml", &[]),
    book("play_iterator", "playbook.yml", &["--start-at-task", "task 2"]),
    book("playbook", "user.yml", &[]),
    book("playbook", "vars_files_string.yml", &[]),
    book("roles", "47023.yml", &[]),
    book("roles", "75240.yml", &[]),
    book("roles", "allowed_dupes.yml", &[]),
    book("roles", "data_integrity.yml", &[]),
    book("roles", "dupe_inheritance.yml", &[]),
    book("roles", "end_role.yml", &[]),
    book("roles", "no_dupes.yml", &[]),
    book("roles", "role_dep_chain.yml", &[]),
    book("roles", "test_subdirs.yml", &[]),
    book("roles", "vars_scope.yml", &[]),
    book("roles_arg_spec", "test_tags.yml", &["--tags", "bar"]),
    book("roles_var_inheritance", "play.yml", &[]),
    book("set_fact", "incremental.yml", &[]),
    book("set_fact", "set_fact.yml", &[]),
    book("set_fact", "set_fact_bool_conv_jinja2_native.yml", &[]),
    book("set_fact", "set_fact_empty_str_key.yml", &[]),
    book("strategy_linear", "task_templated_run_once.yml", &[]),
    book("tags", "ansible_run_tags.yml", &["-e", "expect=all"]),
    book("tags", "ansible_run_tags.yml", &["-e", "expect=list", "--tags", "tag1,tag3"]),
    book("tags", "ansible_run_tags.yml", &["-e", "expect=tagged", "--tags", "tagged"]),
    book("tags", "ansible_run_tags.yml", &["-e", "expect=untagged", "--tags", "untagged"]),
    book(
        "tags",
        "ansible_run_tags.yml",
        &["-e", "expect=untagged_list", "--tags", "untagged,tag3"],
    ),
    book("tags", "test_template_parent_tags.yml", &[]),
    book("tags", "test_template_play_tags.yml", &[]),
    book("tags", "test_template_role_tags.yml", &[]),
    book("template", "undefined_in_import.yml", &[]),
    book("template", "undefined_var_info.yml", &[]),
    book("template", "unused_vars_include.yml", &[]),
    book("templating_settings", "test_templating_settings.yml", &[]),
    book(
        "var_precedence",
        "test_var_precedence.yml",
        &["-e", "extra_var=extra_var", "-e", "extra_var_override=extra_var_override"],
    ),
    book("var_templating", "undall.yml", &[]),
    book("var_templating", "undefined.yml", &["-e", "{\"override_value\":\"overridden by -e\"}"]),
];

/// The hosts of targets whose plays are for some of an inventory of their own.
const HOSTS: [(&str, &str); 1] = [("handlers", "A")];

/// What belongs to a target and that Ansible finds beside its inventory or by its settings.
const BESIDE: [&str; 3] = ["group_vars", "host_vars", "roles"];

/// Folders that mean something in a config of ours; a target that has one is put into a folder.
const OURS: [&str; 3] = ["apply", "tests", "vars"];

impl Playbook {
    /// Makes a config of it, which is the target itself where that can be.
    pub(super) fn prepare(&self, targets: &Path, config: &Path) {
        let target = targets.join(self.target);
        let is_apart = OURS.iter().any(|name| target.join(name).is_dir());
        let here = if is_apart { config.join(self.target) } else { config.to_owned() };
        copy(&target.join("."), &here);
        for name in BESIDE {
            // A target may itself be called so.
            if is_apart && target.join(name).is_dir() && self.target != name {
                symlink(Path::new(self.target).join(name), config.join(name)).unwrap();
            }
        }
        let host = HOSTS.iter().find(|(target, _)| *target == self.target);
        let host = host.map_or("testhost", |(_, host)| host);
        let agent = format!("data_dir: /srv/data\nhost: {host}\n");
        fs::write(config.join("agent.yml"), agent).unwrap();
        let file = here.join(self.file);
        let file = file.strip_prefix(config).unwrap().display();
        fs::write(config.join("apply.yml"), format!("- import_playbook: {file}\n")).unwrap();
    }

    /// A file of the config as it is listed: below the target.
    pub(super) fn listed(&self, file: &Path) -> PathBuf {
        match file.strip_prefix(self.target) {
            Ok(_) => file.to_owned(),
            Err(_) => Path::new(self.target).join(file),
        }
    }
}
