//! What `driftless apply --list-tasks` and `--list-tags` show.

use super::Exit;
use super::report::printable;
use super::shell::{Output, Shell};
use crate::sinks::apply::list::Listed;
use std::collections::BTreeSet;

/// The tasks, a line each, below the names of their plays.
pub(super) fn show_tasks(listed: &[Listed], output: Output, shell: &mut Shell) -> Exit {
    let mut text = String::new();
    let mut play: Option<&str> = None;
    for task in listed {
        if output == Output::Json {
            text.push_str(&serde_json::json!(task).to_string());
            text.push('\n');
            continue;
        }
        if play.replace(&task.play) != Some(&task.play) && !task.play.is_empty() {
            text.push_str(&format!("{}\n", printable(&task.play)));
        }
        let tags = match &task.tags[..] {
            [] => String::new(),
            tags => format!("  [{}]", tags.join(", ")),
        };
        text.push_str(&format!("  {}{}\n", printable(&task.task), printable(&tags)));
    }
    shell.print(&text)
}

/// All tags that some task has.
pub(super) fn show_tags(listed: &[Listed], output: Output, shell: &mut Shell) -> Exit {
    let tags: BTreeSet<&String> = listed.iter().flat_map(|task| &task.tags).collect();
    if output == Output::Json {
        return shell.print(&format!("{}\n", serde_json::json!(tags)));
    }
    let lines = tags.iter().map(|tag| format!("{}\n", printable(tag)));
    shell.print(&lines.collect::<String>())
}
