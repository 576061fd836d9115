//! What a task set holds, without running it.

use super::keywords::Keywords;
use super::selection::Selection;
use crate::event::task::{Step, Task, TaskSet};
use crate::expr::jinja::Engine;

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
pub fn list(set: &TaskSet, engine: &Engine, selection: &Selection) -> Vec<Listed> {
    let mut all = Vec::new();
    for play in &set.plays {
        let mut list = Lister { play: &play.name, engine, selection, all: &mut all };
        list.steps(&play.steps);
    }
    all
}

struct Lister<'a> {
    play: &'a str,
    engine: &'a Engine,
    selection: &'a Selection,
    all: &'a mut Vec<Listed>,
}

impl Lister<'_> {
    fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Task(task) => self.task(task),
                Step::Block(block) => {
                    self.steps(&block.tasks);
                    self.steps(&block.rescue);
                    self.steps(&block.always);
                }
            }
        }
    }

    fn task(&mut self, task: &Task) {
        let tags = Keywords::read(&task.keywords, self.engine, &mut Vec::new()).tags;
        if task.span.is_none() || !self.selection.includes(&tags) {
            return;
        }
        self.all.push(Listed {
            play: self.play.to_owned(),
            task: task.full_name().unwrap_or_else(|| task.name.clone()),
            module: task.module.clone(),
            tags,
            place: task.span.as_ref().map(ToString::to_string),
        });
    }
}
