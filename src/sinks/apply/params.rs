//! What parameters a module takes, and reading them: names, aliases, types, what goes together.
//!
//! Parameters are read twice. Before a run, as written, every complaint at once; values that hold
//! an expression are left for later, and what is not text is refused where text goes, since YAML
//! made something else of it than was meant. When the task runs, rendered; there an expression
//! may well have yielded a number, and it becomes text.

use crate::event::fault::{Diagnostic, nearest};
use crate::event::secret::{Masker, SHORTEST_SECRET, SecretText, Secrets};
use crate::event::tree::{Key, Node, Span, Value};
use crate::expr::filters::json_text;
use crate::expr::jinja::Engine;
use crate::expr::value::from_node;
use crate::host::machine::mode::Mode;
use crate::sinks::apply::expand::expand_path;
use indexmap::IndexMap;
use std::path::PathBuf;

/// What a parameter's value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// Text that is never shown.
    Secret,
    /// The bytes of a file: text, or a list or mapping that becomes JSON.
    Content,
    /// A user or group: a name or a number.
    Account,
    /// A path on the host.
    Path,
    /// A command with its arguments.
    CommandLine,
    /// A truth value.
    Bool,
    /// A whole number.
    Int,
    /// Permissions.
    Mode,
    /// A list of text; a single text is a list of one.
    Texts,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Anything.
    Any,
    /// An expression or a list of them, which the task itself evaluates.
    Conditions,
    /// Anything, left as it is written: it is about other tasks.
    Raw,
}

/// One parameter of a module.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// What it takes.
    pub kind: Kind,
    /// Whether it must be given.
    pub required: bool,
    /// What it is for.
    pub doc: &'static str,
}

impl Param {
    /// An optional parameter.
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, aliases: &[], kind, required: false, doc: "" }
    }

    /// The same under other names too.
    #[must_use]
    pub const fn or(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The same, with what the reference says of it.
    #[must_use]
    pub const fn says(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    /// The same, which must be given.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

/// All that can be said of a module's parameters.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its own parameters.
    pub params: &'static [Param],
    /// Those that it has in common with other modules.
    pub shared: &'static [&'static [Param]],
    /// Names that Ansible knows and this version does not.
    pub not_yet: &'static [&'static [&'static str]],
    /// Of each of these groups at most one may be given.
    pub exclusive: &'static [&'static [&'static str]],
    /// Of each of these groups at least one must be given.
    pub one_of: &'static [&'static [&'static str]],
    /// Pairs: where the first one is true, the value of the second is never shown.
    pub hides: &'static [(&'static str, &'static str)],
    /// What any other name is, where others are taken too: `a variable with its value`.
    pub others: Option<&'static str>,
    /// The parameter that plain text after the module's name means, with `key=value` words taken
    /// out; without one the text must be nothing but `key=value`.
    pub free_form: Option<&'static str>,
}

impl Spec {
    /// A module with these parameters and nothing else to say.
    pub const fn new(params: &'static [Param]) -> Self {
        Self {
            params,
            shared: &[],
            not_yet: &[],
            exclusive: &[],
            one_of: &[],
            hides: &[],
            others: None,
            free_form: None,
        }
    }

    /// All parameters.
    pub fn all(&self) -> impl Iterator<Item = &'static Param> {
        self.params.iter().chain(self.shared.iter().copied().flatten())
    }

    /// The parameter called `name`.
    pub fn find(&self, name: &str) -> Option<&'static Param> {
        self.all().find(|param| param.name == name || param.aliases.contains(&name))
    }
}

/// Whether expressions have been rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// As written.
    Written,
    /// Rendered.
    Rendered,
}

#[derive(Clone, Debug)]
enum Given {
    Text(String),
    Bool(bool),
    Int(i64),
    Mode(Mode),
    Texts(Vec<String>),
    Node(Node),
    /// Holds an expression that is not rendered yet.
    Later,
}

/// A module's parameters as given, of the right types.
#[derive(Clone, Debug)]
pub struct Params {
    /// With the place of each.
    given: IndexMap<&'static str, (Given, Option<Span>)>,
    /// Parameters beyond those named, where the module takes any.
    pub others: Vec<(Key, Node)>,
    /// Where they are written.
    pub span: Option<Span>,
}

impl Params {
    /// Reads the mapping `args` for `module`; all complaints at once.
    pub fn read(
        module: &str,
        spec: &Spec,
        args: &Node,
        stage: Stage,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut params =
            Self { given: IndexMap::new(), others: Vec::new(), span: args.span.clone() };
        let mut complaints = Vec::new();
        for (key, node) in args.as_map().unwrap_or_default() {
            let Some(param) = spec.find(&key.name) else {
                if spec.others.is_some() {
                    params.others.push((key.clone(), node.clone()));
                } else {
                    complaints.push(unknown(module, spec, key));
                }
                continue;
            };
            // As in Ansible, a parameter without a value is not given.
            if node.value == Value::Null {
                continue;
            }
            match typed(param, node, stage) {
                Ok(given) => {
                    if params.given.insert(param.name, (given, node.span.clone())).is_some() {
                        let why = format!("`{}` is given twice", param.name);
                        complaints.push(Diagnostic::new(why, key.span.clone()));
                    }
                }
                Err(complaint) => {
                    complaints.push(*complaint);
                    // Given, if wrongly: no further complaint that it is missing.
                    params.given.insert(param.name, (Given::Later, None));
                }
            }
        }
        params.check_groups(module, spec, &mut complaints);
        if complaints.is_empty() { Ok(params) } else { Err(complaints) }
    }

    fn check_groups(&self, module: &str, spec: &Spec, complaints: &mut Vec<Diagnostic>) {
        let mut complain = |why| complaints.push(Diagnostic::new(why, self.span.clone()));
        for param in spec.all().filter(|param| param.required && !self.has(param.name)) {
            complain(format!("`{module}` needs `{}`", param.name));
        }
        for group in spec.exclusive {
            let given: Vec<_> = group.iter().filter(|name| self.has(name)).collect();
            if let [first, second, ..] = given[..] {
                complain(format!("`{module}` takes `{first}` or `{second}`, not both"));
            }
        }
        for group in spec.one_of.iter().filter(|group| !group.iter().any(|name| self.has(name))) {
            complain(format!("`{module}` needs one of `{}`", group.join("`, `")));
        }
    }

    /// The values that are never shown.
    pub(super) fn secrets(&self, spec: &Spec) -> Secrets {
        let hides = |name| {
            let mut pairs = spec.hides.iter();
            pairs.any(|(flag, hidden)| *hidden == name && self.flag(flag, false))
        };
        let all = spec.all().filter(|it| it.kind == Kind::Secret || hides(it.name));
        let given = all.filter_map(|param| Some((param.name.to_owned(), self.text(param.name)?)));
        // A shorter one would be found in innocent text.
        let long = given.filter(|(_, text)| text.len() >= SHORTEST_SECRET);
        long.map(|(name, text)| (name, SecretText::new(text.to_owned()))).collect()
    }

    /// Refuses a secret where other users of the host could read it. A command line is looked at as
    /// a whole, since its words may be parts of a secret.
    pub(super) fn refuse_secrets(&self, spec: &Spec, masker: &Masker) -> Result<(), Diagnostic> {
        for param in spec.all() {
            let (seen, hint) = match param.kind {
                Kind::Path => ("the names of files", "keep it in a file's content"),
                Kind::CommandLine => (
                    "the arguments of commands",
                    "let it read a file, its standard input or its environment",
                ),
                _ => continue,
            };
            if self.text(param.name).is_some_and(|text| masker.reveals(text)) {
                let why =
                    format!("`{}` holds a secret, and other users can read {seen}", param.name);
                return Err(Diagnostic::new(why, self.span.clone()).hint(hint));
            }
        }
        Ok(())
    }

    /// Whether `name` is given.
    pub fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    fn get(&self, name: &str) -> Option<&Given> {
        self.given.get(name).map(|(given, _)| given)
    }

    /// Where the value of `name` is written; else where all parameters are.
    pub fn place(&self, name: &str) -> Option<Span> {
        let place = self.given.get(name).and_then(|(_, place)| place.clone());
        place.or_else(|| self.span.clone())
    }

    /// A text, path, account or word.
    pub fn text(&self, name: &str) -> Option<&str> {
        if let Some(Given::Text(text)) = self.get(name) { Some(text) } else { None }
    }

    /// A path.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    /// A truth value, or what it is when not given.
    pub fn flag(&self, name: &str, otherwise: bool) -> bool {
        if let Some(Given::Bool(value)) = self.get(name) { *value } else { otherwise }
    }

    /// A whole number.
    pub fn int(&self, name: &str) -> Option<i64> {
        if let Some(Given::Int(value)) = self.get(name) { Some(*value) } else { None }
    }

    /// Permissions.
    pub fn mode(&self, name: &str) -> Option<Mode> {
        if let Some(Given::Mode(mode)) = self.get(name) { Some(mode.clone()) } else { None }
    }

    /// A list of text.
    pub fn texts(&self, name: &str) -> Option<&[String]> {
        if let Some(Given::Texts(texts)) = self.get(name) { Some(texts) } else { None }
    }

    /// Whatever is given.
    pub fn any(&self, name: &str) -> Option<&Node> {
        if let Some(Given::Node(node)) = self.get(name) { Some(node) } else { None }
    }
}

fn unknown(module: &str, spec: &Spec, key: &Key) -> Diagnostic {
    let name = &*key.name;
    if spec.not_yet.iter().any(|names| names.contains(&name)) {
        let why = format!("the parameter `{name}` of `{module}` is not supported");
        let complaint = Diagnostic::new(why, key.span.clone());
        return match reason(name) {
            Some(reason) => complaint.hint(reason),
            None => complaint,
        };
    }
    let complaint =
        Diagnostic::new(format!("`{module}` has no parameter `{name}`"), key.span.clone());
    let names = spec.all().flat_map(|param| param.aliases.iter().copied().chain([param.name]));
    match nearest(name, names) {
        Some(near) => complaint.hint(format!("did you mean `{near}`?")),
        None => {
            let names: Vec<_> = spec.all().map(|param| param.name).collect();
            complaint.hint(format!("it has `{}`", names.join("`, `")))
        }
    }
}

/// Why a parameter of Ansible's is not taken, or what to do instead.
fn reason(name: &str) -> Option<&'static str> {
    Some(match name {
        "selevel" | "serole" | "setype" | "seuser" => {
            "labels of SELinux stay as they are; `restorecon` sets those of new files"
        }
        "attributes" | "attr" => "a `command` task with `chattr` sets them",
        "decrypt" => "there is no vault; keep secrets where `secrets.NAME` finds them",
        "ciphers" => "the ciphers are those of TLS 1.2 and 1.3 that are safe",
        "use_gssapi" => "there is no Kerberos; log in with `url_username` or with a header",
        "use_netrc" => "no .netrc is read; log in with `url_username`",
        _ => return None,
    })
}

fn typed(param: &Param, node: &Node, stage: Stage) -> Result<Given, Box<Diagnostic>> {
    if matches!(param.kind, Kind::Any | Kind::Conditions | Kind::Raw) {
        return Ok(Given::Node(node.clone()));
    }
    if stage == Stage::Written && Engine::holds_expression(node) {
        return Ok(Given::Later);
    }
    let wrong = |expected: &str| {
        let found = match node.scalar_text() {
            Some(text) => format!("{} (`{text}`)", node.kind()),
            None => node.kind().to_owned(),
        };
        let why = format!("`{}` takes {expected}, and this is {found}", param.name);
        Box::new(Diagnostic::new(why, node.span.clone()))
    };
    match param.kind {
        Kind::Text | Kind::Path | Kind::CommandLine => {
            let number = (param.kind != Kind::Path).then(|| plain_number(node)).flatten();
            let text = text(node, stage).or(number).ok_or_else(|| {
                let complaint = wrong("text");
                match node.scalar_text() {
                    Some(text) => Box::new(complaint.hint(format!("put it in quotes: \"{text}\""))),
                    None => complaint,
                }
            })?;
            if param.kind == Kind::Path && text.is_empty() {
                let why = format!("`{}` is empty", param.name);
                return Err(Box::new(Diagnostic::new(why, node.span.clone())));
            }
            let text = if param.kind == Kind::Path { expand_path(&text) } else { text };
            Ok(Given::Text(text))
        }
        Kind::Secret => text(node, stage).map(Given::Text).ok_or_else(|| {
            let why = format!("`{}` takes text, and this is {}", param.name, node.kind());
            Box::new(Diagnostic::new(why, node.span.clone()).hint("put it in quotes"))
        }),
        Kind::Content => match (&node.value, text(node, stage)) {
            (_, Some(text)) => Ok(Given::Text(text)),
            (Value::List(_) | Value::Map(_), _) if stage == Stage::Rendered => {
                Ok(Given::Text(json_text(&from_node(node))))
            }
            _ => Err(Box::new(wrong("text").hint("put it in quotes"))),
        },
        Kind::Account => match &node.value {
            Value::Int { text, .. } | Value::String(text) if !text.is_empty() => {
                Ok(Given::Text(text.to_string()))
            }
            _ => Err(wrong("a name or a number")),
        },
        Kind::Bool => truth(node).map(Given::Bool).ok_or_else(|| wrong("true or false")),
        Kind::Int => match &node.value {
            Value::Int { value, .. } => Ok(Given::Int(*value)),
            _ => match node.as_str().and_then(|text| text.trim().parse().ok()) {
                Some(value) => Ok(Given::Int(value)),
                None => Err(wrong("a whole number")),
            },
        },
        Kind::Mode => mode(node).map(Given::Mode).map_err(Box::new),
        Kind::Texts => match &node.value {
            Value::List(items) => {
                let texts = items.iter().map(|item| item.scalar_text().map(str::to_owned));
                let texts: Option<Vec<_>> = texts.collect();
                texts.map(Given::Texts).ok_or_else(|| wrong("a list of text"))
            }
            _ => match node.scalar_text() {
                Some(text) => Ok(Given::Texts(vec![text.to_owned()])),
                None => Err(wrong("a list of text")),
            },
        },
        Kind::OneOf(words) => match node.scalar_text() {
            Some(text) if words.contains(&text) => Ok(Given::Text(text.to_owned())),
            found => {
                // As Ansible, which takes a truth value for the one word that says the same.
                if let Some(word) = truth_word(node, words) {
                    return Ok(Given::Text(word.to_owned()));
                }
                let complaint = wrong(&format!("one of `{}`", words.join("`, `")));
                Err(match found.and_then(|text| nearest(text, words.iter().copied())) {
                    Some(near) => Box::new(complaint.hint(format!("did you mean `{near}`?"))),
                    None => complaint,
                })
            }
        },
        Kind::Any | Kind::Conditions | Kind::Raw => Ok(Given::Node(node.clone())),
    }
}

fn text(node: &Node, stage: Stage) -> Option<String> {
    match stage {
        Stage::Written => node.as_str().map(str::to_owned),
        Stage::Rendered => node.scalar_text().map(str::to_owned),
    }
}

/// A whole number that can only be meant as it is written: not one in another base, with a leading
/// zero or with a sign that YAML drops.
fn plain_number(node: &Node) -> Option<String> {
    match &node.value {
        Value::Int { value, text } if value.to_string() == **text => Some(text.to_string()),
        _ => None,
    }
}

/// Ansible's words for true and false.
pub(super) fn truth(node: &Node) -> Option<bool> {
    if let Value::Bool { value, .. } = &node.value {
        return Some(*value);
    }
    truth_of(node.scalar_text()?)
}

/// The one of `words` that says what the truth value `node` says.
fn truth_word<'w>(node: &Node, words: &[&'w str]) -> Option<&'w str> {
    let Value::Bool { value, .. } = &node.value else { return None };
    let mut same = words.iter().filter(|word| truth_of(word) == Some(*value));
    let word = same.next()?;
    same.next().is_none().then_some(*word)
}

fn truth_of(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" | "y" | "t" => Some(true),
        "no" | "false" | "off" | "0" | "n" | "f" => Some(false),
        _ => None,
    }
}

fn mode(node: &Node) -> Result<Mode, Diagnostic> {
    let complain = |why: String| Diagnostic::new(why, node.span.clone());
    match &node.value {
        Value::Int { text, .. } if !text.starts_with('0') => {
            Err(complain(format!("the mode {text} is a decimal number, which is rarely meant"))
                .hint(format!("write it as text with a leading zero: \"0{text}\"")))
        }
        Value::Int { text, .. } | Value::String(text) | Value::Unsafe(text) => Mode::parse(text)
            .map_err(|why| complain(why).hint("write it as \"0644\" or \"u=rw,g=r,o=\"")),
        _ => Err(complain(format!("`mode` takes text like \"0644\", and this is {}", node.kind()))),
    }
}
