//! Templates within templates: `include`, `import` and `extends` find them in the folder of the
//! template that names them and in `templates/`, and nowhere outside the tasks' own directory.

use super::filters::path::normal;
use super::host::{Host, Kind};
use super::lenient::{self, Backslash};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind};
use std::path::Path;
use std::sync::Arc;

/// The name of the template that is rendered.
pub(super) const MAIN: &str = "<template>";

/// Lets templates of `environment` use others that `host` has.
pub(super) fn allow(environment: &mut Environment<'_>, host: Arc<dyn Host>, syntax: SyntaxConfig) {
    environment.set_path_join_callback(|name, parent| {
        let folder = match parent {
            MAIN => "",
            parent => parent.rsplit_once('/').map_or("", |(folder, _)| folder),
        };
        match (folder.is_empty(), name.starts_with("./") || name.starts_with("../")) {
            (false, true) => format!("{folder}/{name}").into(),
            _ => name.into(),
        }
    });
    environment.set_loader(move |name| {
        let name = normal(name);
        if name.starts_with('/') || name == ".." || name.starts_with("../") {
            let why = format!("the template `{name}` is outside the directory of the tasks");
            return Err(Error::new(ErrorKind::InvalidOperation, why));
        }
        let told = |why: String| Error::new(ErrorKind::InvalidOperation, why);
        let places = host.places();
        let paths = places.iter().flat_map(|place| [place.join("templates"), place.clone()]);
        for path in paths.map(|path| path.join(&name)) {
            if host.look(&path, true).map_err(told)?.is_none_or(|seen| seen.kind != Kind::File) {
                continue;
            }
            refuse_outside(&*host, &path).map_err(told)?;
            let bytes = host.read(&path).map_err(told)?;
            let text = String::from_utf8(bytes);
            let text = text.map_err(|_| told(format!("{} is not UTF-8 text", path.display())))?;
            return Ok(Some(lenient::template(&text, &syntax, Backslash::Escapes).into_owned()));
        }
        Ok(None)
    });
}

/// A link must not lead outside either.
fn refuse_outside(host: &dyn Host, path: &Path) -> Result<(), String> {
    let (real, base) = (host.real_path(path)?, host.real_path(host.base())?);
    if real.starts_with(&base) {
        return Ok(());
    }
    Err(format!(
        "{} leads outside the directory of the tasks, to {}",
        path.display(),
        real.display()
    ))
}
