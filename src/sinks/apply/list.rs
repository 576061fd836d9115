//! What a task set holds, without running it.

use super::keywords::Keywords;
use super::selection::Selection;
use crate::event::task::{TaskSet, each_task};
use std::collections::BTreeSet;

/// One task of a list.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// The play that it belongs to.
    pub play: String,
    /// Its name, with the expressions in it.
    pub task: String,
    /// What it uses.
    pub module: String,
    /// Its tags, with those of the blocks and roles around it.
    pub tags: Vec<String>,
    /// `file:line:column`.
    pub place: Option<String>,
}

/// The tasks of `set` that `selection` names, in order. What an include will bring is not known yet.
pub fn list(set: &TaskSet, selection: &Selection) -> Vec<Listed> {
    let mut all = Vec::new();
    for play in &set.plays {
        each_task(&play.steps, &mut |task| {
            let tags = Keywords::read(&task.keywords, None, &mut Vec::new()).tags;
            if task.span.is_none() || !selection.includes(&tags) {
                return;
            }
            all.push(Listed {
                play: play.name.clone(),
                task: task.full_name().unwrap_or_else(|| task.name.clone()),
                module: task.module.clone(),
                tags,
                place: task.span.as_ref().map(ToString::to_string),
            });
        });
    }
    all
}

/// All tags that some task of `set` has.
pub fn tags(set: &TaskSet) -> BTreeSet<String> {
    let everything = Selection { tags: vec!["all".into(), "never".into()], ..Selection::default() };
    list(set, &everything).into_iter().flat_map(|task| task.tags).collect()
}
