//! `debconf`: answers to what packages ask, before they ask it.

use super::{Failure, Module, Outcome, Task, TaskContext};
use crate::event::fault::Diagnostic;
use crate::event::tree::{Node, Value as Tree};
use crate::host::machine::Machine;
use crate::host::machine::command::{Command, Ran};
use crate::host::machine::path::Follow;
use crate::host::packages::debconf::{Files, Question, questions, templates};
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use minijinja::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(super) static MODULE: Module = Module {
    name: "debconf",
    summary: "Makes sure that debconf has an answer to what a package asks.",
    acts_unless: None,
    spec: Spec::new(&[
        Param::new("name", Kind::Text).or(&["pkg"]).required().says(
            "The package. Without a question the task only returns what this one has asked, as \
             `current`.",
        ),
        Param::new("question", Kind::Text)
            .or(&["selection", "setting"])
            .says("The question: `PACKAGE/WORD`."),
        Param::new("vtype", Kind::OneOf(TYPES)).says(
            "What kind of answer it takes. `seen` is no answer: it says whether one was given.",
        ),
        Param::new("value", Kind::Any)
            .or(&["answer"])
            .says("The answer; for a `multiselect` it may be a list."),
        Param::new("unseen", Kind::Bool).says("The package may ask all the same."),
    ]),
    check,
    build: |params| Box::new(Debconf { params }),
};

const TYPES: &[&str] = &[
    "boolean",
    "error",
    "multiselect",
    "note",
    "password",
    "seen",
    "select",
    "string",
    "text",
    "title",
];
const CONFIG: &str = "/etc/debconf.conf";
/// The properties of a question in a plan.
const VALUE: &str = "value";
const SEEN: &str = "seen";
const PASSWORD: &str = "password";
/// What is told of passwords.
const ANOTHER: &str = "another";
const GIVEN: &str = "the one that is given";
/// What debconf itself shows of one.
const OMITTED: &str = "(password omitted)";

fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = Vec::new();
    let mut complain =
        |name: &str, why: String| complaints.push(Diagnostic::new(why, params.place(name)));
    let parts = ["question", "vtype", "value"];
    if let Some(given) = parts.iter().find(|name| params.has(name)) {
        for missing in parts.iter().filter(|name| !params.has(name)) {
            complain(given, format!("`debconf` with `{given}` needs `{missing}`"));
        }
    }
    if params.text("vtype") == Some("error") {
        complain("vtype", "debconf takes no answers of the kind `error`".to_owned());
    }
    for name in ["name", "question"] {
        if let Some(text) = params.text(name).filter(|text| text.contains(char::is_whitespace)) {
            complain(name, format!("`{name}` is `{text}`, and one word is expected"));
        }
    }
    // What is wrong with a list is said when it runs, as Ansible says it.
    if let (Some(node), Some(vtype)) = (params.any("value"), params.text("vtype"))
        && node.as_list().is_none()
        && let Err(failure) = answer(node, vtype)
    {
        complain("value", failure.message);
    }
    complaints
}

/// The answer as debconf takes it.
fn answer(node: &Node, vtype: &str) -> Result<String, Failure> {
    let is_boolean = vtype == "boolean" || vtype == SEEN;
    let text = match (&node.value, vtype) {
        (Tree::Bool { value, .. }, _) if is_boolean => value.to_string(),
        (Tree::Bool { text, .. }, _) => {
            let why = format!("`value` takes text, and this is a truth value (`{text}`)");
            let hint = Some(format!("put it in quotes: \"{text}\""));
            return Err(Failure { hint, ..Failure::new(why) });
        }
        (Tree::List(items), "multiselect") => {
            let mut words: Vec<&str> = items.iter().filter_map(Node::as_str).collect();
            if words.len() < items.len() {
                let why = "Invalid value provided for 'multiselect': a list of text is expected";
                return Err(Failure::new(why));
            }
            words.sort_unstable();
            words.join(", ")
        }
        _ => match node.scalar_text() {
            Some(text) if is_boolean => text.to_lowercase(),
            Some(text) => text.to_owned(),
            None => {
                let kind = node.kind();
                return Err(Failure::new(format!("`value` takes text, and this is {kind}")));
            }
        },
    };
    // The line that debconf reads goes on behind a backslash.
    match text.contains(['\n', '\r']) || text.ends_with('\\') {
        true => Err(Failure::new("`value` is more than one line, which debconf does not take")),
        false => Ok(text),
    }
}

struct Debconf {
    params: Params,
}

/// What debconf knows of the questions of a package.
struct Known {
    /// Where answers are.
    path: PathBuf,
    all: BTreeMap<String, Question>,
    /// Answers of the package's own, also those that nobody has given.
    answers: BTreeMap<String, String>,
    /// Which of them are passwords.
    passwords: Vec<String>,
}

impl Task for Debconf {
    fn converge(&self, machine: &mut Machine, cx: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let package = params.text("name").unwrap_or_default();
        let known = Known::read(machine, package, params.text("question"))?;
        let (Some(question), Some(vtype), Some(value)) =
            (params.text("question"), params.text("vtype"), params.any("value"))
        else {
            let shown = known.answers.iter().map(|(question, answer)| {
                let is_password = known.passwords.contains(question);
                (question.as_str(), if is_password { OMITTED } else { answer })
            });
            return Ok(Outcome::default().with("current", Value::from_pairs(shown)));
        };
        let wanted = answer(value, vtype)?;
        let shown = if vtype == PASSWORD { OMITTED } else { &wanted };
        let before = known.answers.get(question).map(String::as_str);
        let before_shown = before.map(|before| if vtype == PASSWORD { OMITTED } else { before });
        let pair = |value: &str| Value::from_pairs([(question, value)]);
        let outcome = Outcome::default()
            .with("current", pair(shown))
            .with("previous", pair(before_shown.unwrap_or_default()));
        let has_order = value.as_list().is_none();
        let is_same = |found: &str| is_same(found, &wanted, vtype, has_order);
        if known.has(machine, question, vtype, &is_same) {
            return Ok(outcome);
        }
        if vtype == SEEN && !known.is_asked(machine, question) {
            return Err(Failure::new(format!("Cannot find a question for {question}")));
        }
        let mut argv = vec!["debconf-set-selections".to_owned()];
        if params.flag("unseen", false) {
            argv.push("-u".to_owned());
        }
        let command = Command {
            argv,
            environment: cx.environment.to_vec(),
            stdin: Some(format!("{package} {question} {vtype} {wanted}\n").into_bytes()),
            ..Command::default()
        };
        if let Ran::Done(output) = machine.run(&command)? {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let after = Known::read(machine, package, Some(question))?;
            if !output.is_success() || !after.has(machine, question, vtype, &is_same) {
                let why = format!("debconf does not take the answer to {question}: {said}");
                return Err(Failure::new(why));
            }
        }
        let of = property(question);
        let found = known.all.get(question);
        let is_seen = found.is_some_and(|it| it.is_seen);
        let (name, was, is) = match vtype {
            SEEN => (SEEN, Some(is_seen.to_string()), wanted),
            PASSWORD => (PASSWORD, before.map(|_| ANOTHER.to_owned()), GIVEN.to_owned()),
            _ => (VALUE, before.map(str::to_owned), wanted),
        };
        machine.note_property(&known.path, &of, name, [was, Some(is)])?;
        if vtype != SEEN && !is_seen && !params.flag("unseen", false) {
            let sides = [found.map(|_| "false".to_owned()), Some("true".to_owned())];
            machine.note_property(&known.path, &of, SEEN, sides)?;
        }
        Ok(outcome)
    }
}

fn property(question: &str) -> String {
    format!("question {question}")
}

impl Known {
    /// What it knows for `package`; where one question is `asked` for, only of that one what its
    /// template says.
    fn read(machine: &Machine, package: &str, asked: Option<&str>) -> Result<Self, Failure> {
        let read = |path: &Path| -> Result<String, Failure> {
            Ok(match machine.stat(path, Follow::Yes)? {
                Some(_) => String::from_utf8_lossy(&machine.read(path)?).into_owned(),
                None => String::new(),
            })
        };
        let config = Path::new(CONFIG);
        if machine.stat(config, Follow::Yes)?.is_none() {
            return Err(Failure::new(format!("there is no {CONFIG}, so that debconf is not here")));
        }
        let files = Files::read(&read(config)?)
            .map_err(|why| Failure::new(format!("{CONFIG} cannot be used: {why}")))?;
        let mut all = BTreeMap::new();
        for path in &files.questions {
            all.extend(questions(&read(path)?).map(|question| (question.name.clone(), question)));
        }
        let owned = |question: &&Question| question.owners.iter().any(|owner| owner == package);
        let own: Vec<&Question> = all.values().filter(owned).collect();
        let mut known = BTreeMap::new();
        let needed: Vec<&str> = own
            .iter()
            .filter(|it| asked.is_none_or(|name| it.name == name && it.value.is_none()))
            .map(|it| it.template.as_str())
            .collect();
        // That file is large.
        for path in files.templates.iter().filter(|_| !needed.is_empty()) {
            known.extend(templates(&read(path)?, |name| needed.contains(&name)));
        }
        let mut answers = BTreeMap::new();
        let mut passwords = Vec::new();
        for question in own {
            let template = known.get(&question.template).cloned().unwrap_or_default();
            if template.kind == PASSWORD {
                passwords.push(question.name.clone());
            }
            let answer = question.value.clone().unwrap_or(template.default);
            answers.insert(question.name.clone(), answer);
        }
        let path = files.questions.first().cloned().unwrap_or_else(|| CONFIG.into());
        Ok(Self { path, all, answers, passwords })
    }

    /// Whether it is as wanted, or foretold to be.
    fn has(
        &self,
        machine: &Machine,
        question: &str,
        vtype: &str,
        is_same: &dyn Fn(&str) -> bool,
    ) -> bool {
        let of = property(question);
        let foretold = |name| machine.foretold_property(&of, name).map(Option::as_deref);
        match vtype {
            SEEN => match (foretold(SEEN), self.all.get(question)) {
                (Some(foretold), _) => foretold.is_some_and(is_same),
                (None, Some(question)) => is_same(&question.is_seen.to_string()),
                (None, None) => false,
            },
            PASSWORD => match foretold(PASSWORD) {
                Some(_) => true,
                None => self.answers.get(question).is_some_and(|answer| is_same(answer)),
            },
            _ => {
                let found = self.answers.get(question).map(String::as_str);
                let found = foretold(VALUE).unwrap_or(found);
                found.is_some_and(is_same)
            }
        }
    }

    fn is_asked(&self, machine: &Machine, question: &str) -> bool {
        let of = property(question);
        let is_foretold = |name| machine.foretold_property(&of, name).is_some();
        self.all.contains_key(question) || is_foretold(VALUE) || is_foretold(PASSWORD)
    }
}

/// Whether two answers of a kind are the same.
fn is_same(found: &str, wanted: &str, vtype: &str, has_order: bool) -> bool {
    let words = |text: &str| {
        let mut words: Vec<String> = text.split(',').map(|word| word.trim().to_owned()).collect();
        words.sort_unstable();
        words
    };
    match vtype {
        "boolean" => found.to_lowercase() == wanted,
        "multiselect" if !has_order => words(found) == words(wanted),
        _ => found == wanted,
    }
}
