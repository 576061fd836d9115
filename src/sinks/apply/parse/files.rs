//! Where the files that tasks name are looked for, in Ansible's order, and which are refused.

use super::Parser;
use crate::event::fault::Diagnostic;
use crate::event::task::{Home, Named};
use crate::event::tree::{Node, Span};
use std::fs;
use std::path::{Path, PathBuf};

/// Endings that a name without one may have.
const ENDINGS: [&str; 4] = ["", ".yml", ".yaml", ".json"];

/// The directories in which a task of `home` looks for `files/`, `templates/` and relative
/// sources: its role's, that of its file, the play's, the config's.
pub(in crate::sinks::apply) fn search(home: &Home, base: &Path) -> Vec<PathBuf> {
    let role = home.role.as_ref().map(|role| role.path.clone());
    let mut places: Vec<PathBuf> = Vec::new();
    let parents = home.parents.iter().map(|role| role.path.clone());
    let of_play = Some(home.play.clone()).filter(|play| !play.as_os_str().is_empty());
    let own = role.into_iter().chain([home.directory.clone()]);
    for place in own.chain(parents).chain(of_play).chain([base.to_owned()]) {
        let place = std::path::absolute(&place).unwrap_or(place);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

impl Parser {
    /// The file of tasks called `name` by a task of `home`.
    pub(super) fn find_tasks(
        &self,
        name: &str,
        home: &Home,
        place: Option<&Span>,
    ) -> Result<PathBuf, Box<Diagnostic>> {
        let mut places = vec![home.directory.clone()];
        if let Some(role) = &home.role {
            places.extend([role.path.join("tasks"), role.path.clone()]);
        }
        for place in self.of_all(home) {
            places.extend([place.to_owned(), place.join("tasks")]);
        }
        self.find("file of tasks", name, &places, place)
    }

    /// The file of variables called `name` by a task or play of `home`.
    pub(in crate::sinks::apply) fn find_vars(
        &self,
        name: &str,
        home: &Home,
        place: Option<&Span>,
    ) -> Result<PathBuf, Box<Diagnostic>> {
        let mut places = Vec::new();
        let role = home.role.as_ref().map(|role| role.path.clone());
        let of_all = self.of_all(home).into_iter().map(Path::to_owned);
        for directory in role.into_iter().chain([home.directory.clone()]).chain(of_all) {
            places.extend([directory.join("vars"), directory]);
        }
        self.find("file of variables", name, &places, place)
    }

    /// The directory of the role called `name` by something of `home`.
    pub(super) fn find_role(
        &self,
        name: &str,
        home: &Home,
        place: Option<&Span>,
    ) -> Result<PathBuf, Box<Diagnostic>> {
        let mut places = vec![home.directory.join("roles")];
        places.extend(self.of_all(home).iter().map(|place| place.join("roles")));
        if let Some(role) = &home.role {
            places.push(role.path.join("roles"));
            places.extend(role.path.parent().map(Path::to_owned));
        }
        places.push(self.base.clone());
        self.find("role", name, &places, place)
    }

    /// Where everything of a play may find files: beside the play, and in the config directory.
    fn of_all<'a>(&'a self, home: &'a Home) -> Vec<&'a Path> {
        let mut places = vec![home.play.as_path(), self.base.as_path()];
        if home.play.as_os_str().is_empty() || home.play == self.base {
            places.remove(0);
        }
        places
    }

    /// The first of `places` that has `name`, which must lie in the config directory.
    fn find(
        &self,
        what: &str,
        name: &str,
        places: &[PathBuf],
        place: Option<&Span>,
    ) -> Result<PathBuf, Box<Diagnostic>> {
        let complain = |why: String| Diagnostic::new(why, place.cloned());
        let wanted = |path: &Path| if what == "role" { path.is_dir() } else { path.is_file() };
        let mut looked: Vec<String> = Vec::new();
        for directory in places {
            let path = directory.join(name);
            if wanted(&path) {
                if self.is_inside(&path) {
                    return Ok(path);
                }
                let why =
                    format!("`{name}` lies outside the config directory, as {}", path.display());
                return Err(Box::new(complain(why).hint("move it in: nothing else is read")));
            }
            let shown = path.parent().unwrap_or(&path).display().to_string();
            let shown = if shown.is_empty() { ".".to_owned() } else { shown };
            if !looked.contains(&shown) {
                looked.push(shown);
            }
        }
        let complaint = complain(format!("there is no {what} `{name}`"));
        Err(Box::new(complaint.hint(format!("looked for in {}", looked.join(", ")))))
    }

    /// Whether `path`, links resolved, is in the config directory.
    pub(in crate::sinks::apply) fn is_inside(&self, path: &Path) -> bool {
        let base = if self.base.as_os_str().is_empty() { Path::new(".") } else { &self.base };
        let resolved = (fs::canonicalize(base), fs::canonicalize(path));
        matches!(resolved, (Ok(base), Ok(path)) if path.starts_with(&base))
    }

    /// The content of a file that was found.
    pub(super) fn content(&mut self, path: &Path) -> Option<Node> {
        let read = if self.remembers { self.library.keep(path) } else { self.library.read(path) };
        match read {
            Ok(node) => Some(node),
            Err(complaints) => {
                self.complaints.extend(complaints);
                None
            }
        }
    }

    /// The file `name` of a role's folder, with or without an ending; `None` where it has none.
    pub(super) fn of_role(&self, folder: &Path, name: &str) -> Option<PathBuf> {
        let mut paths = ENDINGS.iter().map(|ending| folder.join(format!("{name}{ending}")));
        let path = paths.find(|path| path.is_file())?;
        self.is_inside(&path).then_some(path)
    }

    /// The variables in the file or the folder `name` of a role's folder.
    pub(super) fn vars_of_role(&mut self, folder: &Path, name: &str) -> Named {
        let mut vars = Named::new();
        let mut paths: Vec<PathBuf> = self.of_role(folder, name).into_iter().collect();
        if let Ok(entries) = fs::read_dir(folder.join(name)) {
            let inner = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file());
            paths.extend(inner.filter(|path| self.is_inside(path)));
            paths.sort();
        }
        for path in paths {
            if let Some(node) = self.content(&path) {
                vars.extend(self.mapping("variables", &node));
            }
        }
        vars
    }

    /// The entries of a mapping of `what`.
    pub(super) fn mapping(&mut self, what: &str, node: &Node) -> Named {
        match node.as_map() {
            Some(entries) => {
                entries.iter().map(|(key, node)| (key.name.to_string(), node.clone())).collect()
            }
            None => {
                if node.value != crate::event::tree::Value::Null {
                    let why = format!("{what} are a mapping, and this is {}", node.kind());
                    self.complain(why, node);
                }
                Named::new()
            }
        }
    }
}
