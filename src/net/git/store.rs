//! The store: a bare repository of the agent's own, into which is fetched.

use super::failure::{Failure, Reason, tame};
use super::line::{Line, SCHEME};
use super::settings::{Reference, Settings};
use super::{address::Address, checkout};
use super::{signature, ssh};
use git2::{
    AutotagOption, Commit, ErrorClass, ErrorCode, FetchOptions, ObjectType, Oid, RemoteCallbacks,
    Repository, RepositoryInitOptions,
};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Where the newest state of what is followed stands in the store.
const TIP: &str = "refs/driftless/tip";
/// What keeps the history known between two looks.
const HAD: &str = "refs/driftless/had";
/// All branches and tags, for a commit that has no name.
const ALL: &str = "refs/driftless/all";

/// As much of the history as there is, for libgit2.
const WHOLE: i32 = i32::MAX;

/// A store.
pub struct Store {
    repository: Repository,
}

/// The newest state of what is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    commit: Oid,
    /// The tag that leads there, where it is an object of its own.
    tag: Option<Oid>,
}

impl Tip {
    /// The commit's full name.
    pub fn name(&self) -> String {
        self.commit.to_string()
    }

    /// The name of the tag's object.
    pub fn tag(&self) -> Option<String> {
        self.tag.map(|tag| tag.to_string())
    }
}

/// What a commit says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Who wrote it.
    pub author: String,
    /// Its first line.
    pub subject: String,
}

impl Store {
    /// Opens the store at `path`, which nobody else uses, or makes it. One that is damaged is made
    /// anew: all that it held can be fetched again.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let disk = |message: String| Failure::new(Reason::Disk, message);
        Line::prepare().map_err(disk)?;
        sweep(path);
        if let Ok(repository) = Repository::open_bare(path)
            && repository.odb().is_ok()
        {
            return Ok(Self { repository });
        }
        Self::remake(path)
    }

    /// Throws the store at `path` away and makes an empty one.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn remake(path: &Path) -> Result<Self, Failure> {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::disk(path, &error));
            }
            _ => {}
        }
        let mut options = RepositoryInitOptions::new();
        options.bare(true).external_template(false).mkpath(true);
        let made = Repository::init_opts(path, &options).and_then(|repository| {
            // What the store says it has must be there after a crash too.
            repository.config()?.set_bool("core.fsyncObjectFiles", true)?;
            Ok(Self { repository })
        });
        made.map_err(|error| of_store(&error))
    }

    /// Fetches what is followed, up to its newest state.
    ///
    /// # Errors
    /// Where the repository cannot be asked by the deadline, does not have it, or the disk is full.
    pub fn fetch(&self, settings: &Settings, deadline: Instant) -> Result<Tip, Failure> {
        if let Reference::Commit(name) = settings.reference()
            && let Some(tip) = self.known(name)
        {
            return Ok(tip);
        }
        let depth = settings.depth.map_or(0, |depth| i32::from(depth.get()));
        self.fetch_to(settings, depth, deadline)
    }

    /// Fetches the history that `fetch` left out.
    ///
    /// # Errors
    /// As for [`Self::fetch`].
    pub fn deepen(&self, settings: &Settings, deadline: Instant) -> Result<(), Failure> {
        self.fetch_to(settings, WHOLE, deadline).map(drop)
    }

    /// Whether a part of the history is left out.
    pub fn is_shallow(&self) -> bool {
        self.repository.is_shallow()
    }

    /// The commit of this name, to which that tag led, where both are still here.
    ///
    /// # Errors
    /// Where they are not.
    pub fn kept(&self, commit: &str, tag: Option<&str>) -> Result<Tip, Failure> {
        let gone = || Failure::new(Reason::Store, format!("the commit {commit} is not kept"));
        let tip = self.known(commit).ok_or_else(gone)?;
        let tag = tag.map(|tag| Oid::from_str(tag).map_err(|_| gone())).transpose()?;
        Ok(Tip { tag, ..tip })
    }

    fn known(&self, name: &str) -> Option<Tip> {
        let commit = self.repository.find_commit(Oid::from_str(name).ok()?).ok()?;
        Some(Tip { commit: commit.id(), tag: None })
    }

    fn fetch_to(&self, settings: &Settings, depth: i32, deadline: Instant) -> Result<Tip, Failure> {
        self.put_aside().map_err(|error| of_store(&error))?;
        let specs = match settings.reference() {
            Reference::Main => vec![format!("+HEAD:{TIP}")],
            Reference::Branch(name) => vec![format!("+refs/heads/{name}:{TIP}")],
            Reference::Tag(name) => vec![format!("+refs/tags/{name}:{TIP}")],
            Reference::Commit(_) => {
                ["heads", "tags"].map(|kind| format!("+refs/{kind}/*:{ALL}/{kind}/*")).to_vec()
            }
        };
        if let Address::Local(path) = &settings.url
            && let Err(error) = path.read_dir()
        {
            let message = format!("there is no repository at `{}`: {error}", path.display());
            return Err(Failure::new(Reason::Fetch, message));
        }
        let line = Line::to(settings, deadline).map_err(|why| Failure::new(Reason::Fetch, why))?;
        if let Some(line) = line {
            line.use_next();
        }
        let url = match &settings.url {
            Address::Local(path) => path.display().to_string(),
            _ => format!("{SCHEME}://remote"),
        };
        let mut callbacks = RemoteCallbacks::new();
        callbacks.transfer_progress(|_| Instant::now() < deadline);
        let mut options = FetchOptions::new();
        options
            .remote_callbacks(callbacks)
            .download_tags(AutotagOption::None)
            .update_fetchhead(false)
            .depth(depth);
        let fetched = self
            .repository
            .remote_anonymous(&url)
            .and_then(|mut remote| remote.fetch(&specs, Some(&mut options), None));
        fetched.map_err(|error| match error.code() {
            ErrorCode::User => Failure::new(Reason::Fetch, "no answer in time"),
            _ => of_fetch(settings, &error),
        })?;
        self.tip(settings)
    }

    /// Forgets the tip, so that one that is gone over there is not found here, but none of its
    /// history, so that it is not fetched again.
    fn put_aside(&self) -> Result<(), git2::Error> {
        match self.repository.find_reference(TIP) {
            Ok(mut tip) => {
                if let Some(id) = tip.target() {
                    self.repository.reference(HAD, id, true, "")?;
                }
                tip.delete()
            }
            Err(error) if error.code() == ErrorCode::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn tip(&self, settings: &Settings) -> Result<Tip, Failure> {
        let missing = |what: String| {
            Failure::new(Reason::Fetch, format!("the repository {} has no {what}", settings.url))
        };
        let what = match settings.reference() {
            Reference::Main => "main branch".to_owned(),
            Reference::Branch(name) => format!("branch `{name}`"),
            Reference::Tag(name) => format!("tag `{name}`"),
            Reference::Commit(name) => {
                let why = || missing(format!("branch or tag that leads to the commit `{name}`"));
                return self.known(name).ok_or_else(why);
            }
        };
        let found = self.repository.find_reference(TIP);
        let found = match found {
            Err(error) if error.code() == ErrorCode::NotFound => return Err(missing(what)),
            other => other.map_err(|error| of_store(&error))?,
        };
        let id = found.target().ok_or_else(|| missing(what.clone()))?;
        let object = self.repository.find_object(id, None).map_err(|error| of_store(&error))?;
        let commit = object.peel_to_commit();
        let commit = commit.map_err(|_| missing(format!("{what} that leads to a commit")))?;
        let tag = (object.kind() == Some(ObjectType::Tag)).then_some(id);
        Ok(Tip { commit: commit.id(), tag })
    }

    /// Whether the history of `tip` contains the commit of this name, as far as it is known here.
    ///
    /// # Errors
    /// Where the store is damaged.
    pub fn contains(&self, tip: Tip, name: &str) -> Result<bool, Failure> {
        let Ok(earlier) = Oid::from_str(name) else { return Ok(false) };
        if tip.commit == earlier {
            return Ok(true);
        }
        if self.repository.find_commit(earlier).is_err() {
            return Ok(false);
        }
        match self.repository.graph_descendant_of(tip.commit, earlier) {
            Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
            other => other.map_err(|error| of_store(&error)),
        }
    }

    /// Who has signed what is followed, and is trusted.
    ///
    /// # Errors
    /// Where nobody has, or the keys cannot be read.
    pub fn signer(
        &self,
        tip: Tip,
        settings: &Settings,
        deadline: Instant,
    ) -> Result<Option<String>, Failure> {
        let Some(verify) = &settings.verify else { return Ok(None) };
        let trust = signature::Trust::read(verify, deadline)?;
        let name = &tip.name()[..12];
        // Whoever signs a tag vouches for the commit that it leads to.
        if let (Some(tag), Reference::Tag(called)) = (tip.tag, settings.reference())
            && let Some(signed) = self.signed_tag(tag, called)?
        {
            let what = format!("the tag `{called}`");
            return trust.signer(&signed).map(Some).map_err(|why| unsigned(&what, &why));
        }
        let what = format!("the commit {name}");
        let signed = self.signed_commit(tip.commit)?;
        let signed = signed.ok_or_else(|| unsigned(&what, "it is not signed"))?;
        trust.signer(&signed).map(Some).map_err(|why| unsigned(&what, &why))
    }

    fn signed_commit(&self, id: Oid) -> Result<Option<signature::Signed>, Failure> {
        let (signature, content) = match self.repository.extract_signature(&id, None) {
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            other => other.map_err(|error| of_store(&error))?,
        };
        let commit = self.commit(id)?;
        Ok(Some(signature::Signed {
            content: content.to_vec(),
            signature: signature.to_vec(),
            seconds: commit.committer().when().seconds(),
        }))
    }

    /// A tag's signature is the end of its text. It was signed under the name that it has within:
    /// somebody who moves refs could show an older one under a newer name.
    fn signed_tag(&self, id: Oid, called: &str) -> Result<Option<signature::Signed>, Failure> {
        let odb = self.repository.odb().map_err(|error| of_store(&error))?;
        let object = odb.read(id).map_err(|error| of_store(&error))?;
        let tag = self.repository.find_tag(id).map_err(|error| of_store(&error))?;
        let Some(at) = signature::begin(object.data()) else { return Ok(None) };
        if tag.name_bytes() != called.as_bytes() {
            let own = String::from_utf8_lossy(tag.name_bytes());
            let why = format!("it was made as `{}`", tame(&own));
            return Err(unsigned(&format!("the tag `{called}`"), &why));
        }
        let (content, signature) = object.data().split_at(at);
        let seconds = tag.tagger().map_or(i64::MAX, |tagger| tagger.when().seconds());
        let (content, signature) = (content.to_vec(), signature.to_vec());
        Ok(Some(signature::Signed { content, signature, seconds }))
    }

    /// Lays the files of the commit out in the new directory `path`, and gives what was left out:
    /// submodules, by their paths.
    ///
    /// # Errors
    /// Where the commit holds what cannot be laid out, the store is damaged or the disk is full.
    pub fn lay_out(&self, tip: Tip, path: &Path) -> Result<Vec<String>, Failure> {
        let tree = self.commit(tip.commit)?.tree().map_err(|error| of_store(&error))?;
        checkout::lay_out(&self.repository, &tree, path)
    }

    /// What the commit says of itself.
    ///
    /// # Errors
    /// Where the store is damaged.
    pub fn about(&self, tip: Tip) -> Result<About, Failure> {
        let commit = self.commit(tip.commit)?;
        let author = commit.author();
        let author = String::from_utf8_lossy(author.name_bytes());
        let subject = String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default());
        Ok(About { author: tame(&author), subject: tame(&subject) })
    }

    fn commit(&self, id: Oid) -> Result<Commit<'_>, Failure> {
        self.repository.find_commit(id).map_err(|error| of_store(&error))
    }
}

fn unsigned(what: &str, why: &str) -> Failure {
    Failure::new(Reason::Signature, format!("{what}: {why}"))
}

/// What the library says while it fetches: of the other side, of the disk, or of the store.
fn of_fetch(settings: &Settings, error: &git2::Error) -> Failure {
    let is_local = matches!(settings.url, Address::Local(_));
    match error.class() {
        ErrorClass::Odb => of_store(error),
        ErrorClass::Os | ErrorClass::Repository | ErrorClass::Reference if !is_local => {
            of_store(error)
        }
        _ => {
            let message = tame(error.message());
            let is_ssh = matches!(settings.url, Address::Ssh { .. });
            let advice = is_ssh.then(|| ssh::advice(&message)).flatten();
            let advised = advice.map(|advice| format!("{message} ({advice})"));
            Failure::new(Reason::Fetch, advised.unwrap_or(message))
        }
    }
}

/// What the library says of the store: where it is not the disk, the store is damaged.
pub(super) fn of_store(error: &git2::Error) -> Failure {
    let is_disk = error.class() == ErrorClass::Os;
    let reason = if is_disk { Reason::Disk } else { Reason::Store };
    Failure::new(reason, format!("the store: {}", tame(error.message())))
}

/// Removes what a look that was cut short has left: packs that are not whole, and locks that
/// nobody holds any more.
fn sweep(store: &Path) {
    let is_whole = |name: &str| name.ends_with(".pack") || name.ends_with(".idx");
    for (path, name) in files(&store.join("objects/pack")) {
        if !is_whole(&name) {
            fs::remove_file(path).ok();
        }
    }
    let mut open = vec![store.join("refs")];
    let mut locks = files(store);
    while let Some(directory) = open.pop() {
        let found = files(&directory);
        open.extend(found.iter().map(|(path, _)| path.clone()).filter(|path| path.is_dir()));
        locks.extend(found);
    }
    for (path, _) in locks.into_iter().filter(|(_, name)| name.ends_with(".lock")) {
        fs::remove_file(path).ok();
    }
}

/// What is in a directory, with its name.
fn files(directory: &Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let named = |entry: fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        (entry.path(), name)
    };
    entries.map(named).collect()
}
