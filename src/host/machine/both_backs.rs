//! Promises that hold for both backs: what a dry run foretells is what apply then does.

use super::change::{List, Time};
use super::command::{Command, Ran};
use super::fault::Fault;
use super::meta::Stamp;
use super::mode::Mode;
use super::path::Follow;
use super::write::{Attributes, WriteOptions};
use super::*;
use crate::host::acl::{Acl, Who};
use crate::host::xattr;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

/// Everything about a tree that a dry run must leave alone.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, (u64, i64, i64, u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(path) = ahead.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_dir() {
            ahead.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        } else if meta.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else {
            fs::read(&path).unwrap()
        };
        let what = (meta.ino(), meta.ctime(), meta.ctime_nsec(), meta.mode(), content);
        found.insert(path, what);
    }
    found
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize, &'static str, bool, Option<u32>),
    Mkdir(usize),
    Symlink(usize, usize),
    HardLink(usize, usize),
    Remove(usize),
    Rename(usize, usize),
    Mode(usize, u32),
    Owner(usize, u32),
    Times(usize, i64),
    Attribute(usize, Option<&'static str>),
    Acl(usize, List, u8),
}

const NAMES: [&str; 8] = ["a", "b", "a/c", "a/d", "b/c", "a/c/e", "l", "l/c"];

fn step() -> impl Strategy<Value = Step> {
    let name = 0..NAMES.len();
    let mode = prop::sample::select(vec![0o600, 0o644, 0o4755, 0o700]);
    let text = prop::sample::select(vec!["", "one\n", "two\n"]);
    prop_oneof![
        (name.clone(), text, any::<bool>(), prop::option::of(mode.clone()))
            .prop_map(|(at, text, follow, mode)| Step::Write(at, text, follow, mode)),
        name.clone().prop_map(Step::Mkdir),
        (name.clone(), name.clone()).prop_map(|(at, to)| Step::Symlink(at, to)),
        (name.clone(), name.clone()).prop_map(|(at, to)| Step::HardLink(at, to)),
        name.clone().prop_map(Step::Remove),
        (name.clone(), name.clone()).prop_map(|(at, to)| Step::Rename(at, to)),
        (name.clone(), mode).prop_map(|(at, mode)| Step::Mode(at, mode)),
        (name.clone(), 0_u32..3).prop_map(|(at, id)| Step::Owner(at, id)),
        (name.clone(), 0_i64..3).prop_map(|(at, time)| Step::Times(at, time)),
        (name.clone(), prop::sample::select(vec![None, Some("x"), Some("y")]))
            .prop_map(|(at, value)| Step::Attribute(at, value)),
        (name, prop::sample::select(vec![List::Access, List::Default]), 0_u8..9)
            .prop_map(|(at, list, permissions)| Step::Acl(at, list, permissions)),
    ]
}

/// Does the steps, and tells what each came to.
fn perform(machine: &mut Machine, root: &Path, steps: &[Step]) -> Vec<Result<(), Fault>> {
    let at = |index: &usize| root.join(NAMES[*index]);
    let exact = |mode: u32| Some(Mode::Exact(mode));
    let mut one = |step: &Step| match step {
        Step::Write(path, text, follow, mode) => {
            let attributes = Attributes { mode: mode.and_then(exact), ..Attributes::default() };
            let options = WriteOptions { follow: *follow, ..WriteOptions::default() };
            let content = Bytes::from_static(text.as_bytes());
            machine.write_file(&at(path), &content, &attributes, &options).map(drop)
        }
        Step::Mkdir(path) => machine.mkdir(&at(path), &Attributes::default()),
        Step::Symlink(path, to) => machine.symlink(&at(path), &at(to)),
        Step::HardLink(path, to) => machine.hard_link(&at(path), &at(to)),
        Step::Remove(path) => machine.remove(&at(path)),
        Step::Rename(path, to) => machine.rename(&at(path), &at(to)),
        Step::Mode(path, mode) => {
            let attributes = Attributes { mode: exact(*mode), ..Attributes::default() };
            machine.set_attributes(&at(path), Follow::Yes, &attributes)
        }
        Step::Owner(path, id) => {
            let id =
                if super::accounts::own_ids().0 == 0 { *id } else { super::accounts::own_ids().0 };
            let attributes = Attributes { uid: Some(id), ..Attributes::default() };
            machine.set_attributes(&at(path), Follow::No, &attributes)
        }
        Step::Times(path, time) => {
            let time = Time::At(Stamp { seconds: *time, nanoseconds: 0 });
            machine.set_times(&at(path), Follow::Yes, Time::Preserve, time)
        }
        Step::Attribute(path, value) => {
            let value = value.map(|value| Bytes::from_static(value.as_bytes()));
            machine.set_attribute(&at(path), Follow::Yes, "user.note", value)
        }
        Step::Acl(path, list, permissions) => {
            let mut acl = Acl::of_mode(0o640);
            if *permissions < 8 {
                acl.set(Who::User(7), *permissions);
                acl.open_mask();
            } else if *list == List::Default {
                acl = Acl::default();
            }
            let is_directory =
                |found: Option<Meta>| found.is_some_and(|found| found.kind == Kind::Directory);
            if *list == List::Default && !is_directory(machine.stat(&at(path), Follow::Yes)?) {
                return Ok(());
            }
            machine.set_acl(&at(path), Follow::Yes, *list, &acl)
        }
    };
    steps.iter().map(&mut one).collect()
}

/// All that a machine can tell of the paths in question.
fn view(machine: &Machine, root: &Path) -> Vec<impl PartialEq + fmt::Debug + use<>> {
    let look = |name: &str| {
        let path = root.join(name);
        let meta = machine.stat(&path, Follow::No);
        let meta = meta.map(|meta| meta.map(|meta| (meta.kind, meta.access())));
        let modified = machine
            .stat(&path, Follow::No)
            .map(|meta| meta.map(|meta| meta.modified.seconds).filter(|seconds| *seconds < 10));
        let attributes = machine.attributes_by_name(&path, Follow::No);
        let lists = [List::Access, List::Default].map(|list| machine.acl(&path, Follow::No, list));
        let without_lists = attributes.map(|mut all| {
            // Their bytes keep the mode of old until something is written; the lists count.
            all.retain(|name, _| !name.starts_with("system."));
            all
        });
        let beyond = (without_lists, lists);
        (path.clone(), meta, modified, machine.read(&path), machine.list(&path), beyond)
    };
    NAMES.map(look).into()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_dry_run_foretells_every_effect_and_every_failure_and_touches_nothing(
        first in prop::collection::vec(step(), 0..8),
        then in prop::collection::vec(step(), 1..12),
    ) {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        perform(&mut Machine::live(), &root, &first); // any starting state

        let untouched = snapshot(&root);
        let mut foretold = Machine::overlay();
        let expected = perform(&mut foretold, &root, &then);
        prop_assert_eq!(&untouched, &snapshot(&root));

        let views = view(&foretold, &root);

        let mut live = Machine::live();
        let found = perform(&mut live, &root, &then);
        prop_assert_eq!(expected, found);
        prop_assert_eq!(foretold.journal(), live.journal());
        prop_assert_eq!(views, view(&live, &root));

    }
}

/// A directory with a file `f` of mode 0640 and a machine of each kind.
fn bench() -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("f");
    fs::write(&file, "old\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    (root, file)
}

fn write(machine: &mut Machine, path: &Path, text: &'static str) -> Result<(), Fault> {
    let content = Bytes::from_static(text.as_bytes());
    machine.write_file(path, &content, &Attributes::default(), &WriteOptions::default()).map(drop)
}

#[test]
fn a_replaced_file_keeps_its_mode_and_extended_attributes_and_leaves_no_litter() {
    let (root, file) = bench();
    let has_attributes = xattr::set(&file, c"user.note", b"keep me").is_ok();
    let inode = fs::metadata(&file).unwrap().ino();
    write(&mut Machine::live(), &file, "new\n").unwrap();
    let meta = fs::metadata(&file).unwrap();
    assert_eq!((meta.mode() & 0o7777, fs::read(&file).unwrap()), (0o640, b"new\n".to_vec()));
    assert_ne!(meta.ino(), inode, "replaced, not written in place");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    if has_attributes {
        assert_eq!(xattr::get(&file, c"user.note").unwrap().unwrap(), b"keep me");
    }
}

#[test]
fn what_is_right_already_is_left_alone() {
    let (_root, file) = bench();
    let inode = fs::metadata(&file).unwrap().ino();
    let mut machine = Machine::live();
    write(&mut machine, &file, "old\n").unwrap();
    assert!(machine.journal().is_empty());
    assert_eq!(fs::metadata(&file).unwrap().ino(), inode);
}

#[test]
fn a_validator_that_objects_keeps_the_old_file_in_both_backs() {
    let (_root, file) = bench();
    for mut machine in [Machine::overlay(), Machine::live()] {
        let check = |text: &str| WriteOptions {
            validate: Some(["grep", "-q", text, "%s"].map(str::to_owned).into()),
            ..WriteOptions::default()
        };
        let new = Bytes::from_static(b"new\n");
        let attributes = Attributes::default();
        let fault = machine.write_file(&file, &new, &attributes, &check("other")).unwrap_err();
        assert!(fault.message.contains("objects to the new content (exit status 1)"), "{fault}");
        assert_eq!(fs::read(&file).unwrap(), b"old\n");
        machine.write_file(&file, &new, &attributes, &check("new")).unwrap();
    }
    assert_eq!(fs::read(&file).unwrap(), b"new\n");
}

#[test]
fn a_pipe_is_neither_read_nor_written() {
    let (root, _) = bench();
    let pipe = root.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for mut machine in [Machine::overlay(), Machine::live()] {
        let fault = write(&mut machine, &pipe, "x").unwrap_err();
        assert!(fault.message.ends_with("is a named pipe, and a file is expected"), "{fault}");
        assert!(machine.read(&pipe).is_err());
    }
}

#[test]
fn a_directory_may_be_foretold_where_a_file_was() {
    let (_root, file) = bench();
    for mut machine in [Machine::overlay(), Machine::live()] {
        machine.remove(&file).unwrap();
        machine.mkdir(&file, &Attributes::default()).unwrap();
        write(&mut machine, &file.join("inner"), "x").unwrap();
    }
}

#[test]
fn a_tree_is_removed_without_following_its_links() {
    let (root, file) = bench();
    let tree = root.path().join("tree");
    fs::create_dir_all(tree.join("deep/er")).unwrap();
    symlink(root.path(), tree.join("deep/out")).unwrap();
    let mut machine = Machine::live();
    machine.remove(&tree).unwrap();
    assert!(!tree.exists() && file.exists());
    assert_eq!(machine.journal().len(), 4, "each removed name is on record");
}

#[test]
fn a_link_in_the_hands_of_another_user_is_not_followed() {
    if super::accounts::own_ids().0 != 0 {
        return; // only root can hand a link to somebody else
    }
    let (root, _) = bench();
    let theirs = root.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    symlink(root.path(), theirs.join("trap")).unwrap();
    let trap = theirs.join("trap/new");
    assert!(Machine::live().resolve(&trap, Follow::No).is_ok(), "ours may be followed");
    std::os::unix::fs::chown(&theirs, Some(65534), None).unwrap();
    for mut machine in [Machine::overlay(), Machine::live()] {
        let fault = write(&mut machine, &trap, "x").unwrap_err();
        assert!(fault.message.contains("leads elsewhere"), "{fault}");
    }
}

#[test]
fn a_dry_run_runs_no_command_but_finds_that_one_is_missing() {
    let (root, _) = bench();
    let mark = root.path().join("mark");
    let command = |program: &str| Command {
        argv: vec![program.into(), mark.display().to_string()],
        ..Command::default()
    };
    let mut dry = Machine::overlay();
    assert_eq!(
        dry.run(&command("no-such-program")).unwrap_err().message,
        "there is no program `no-such-program`"
    );
    assert_eq!(dry.run(&command("touch")), Ok(Ran::Unknown));
    assert!(!mark.exists());
    assert!(
        matches!(Machine::live().run(&command("touch")), Ok(Ran::Done(done)) if done.is_success())
    );
    assert!(mark.exists());
}

#[test]
fn what_looks_for_a_dry_run_has_a_place_for_what_it_needs_for_a_moment() {
    let look = || {
        let machine = Machine::shut_in();
        machine.sandbox.as_ref().and_then(Sandbox::scratch)?;
        let argv = ["sh", "-c", "file=$(mktemp) && echo x >$file && cat $file"];
        let command = Command { argv: argv.map(str::to_owned).into(), ..Command::default() };
        Some(machine.query(&command).unwrap())
    };
    let said = std::thread::scope(|scope| scope.spawn(look).join().unwrap());
    if let Some(said) = said {
        assert_eq!(said.stdout, b"x\n", "{said:?}");
    }
}

#[test]
fn a_secret_never_becomes_an_argument() {
    let secrets = crate::event::secret::one("hunter2");
    let mut machine = Machine::live();
    machine.refuse_secrets(Masker::new(&secrets));
    let argv = vec!["echo".into(), "pass=hunter2".into()];
    let fault = machine.query(&Command { argv, ..Command::default() }).unwrap_err();
    assert!(fault.message.contains("holds a secret") && !fault.message.contains("hunter2"));
}

#[test]
fn a_command_gets_its_input_directory_and_environment() {
    let (root, _) = bench();
    let command = Command {
        argv: ["sh", "-c", "cat; pwd; echo $WHO >&2; exit 3"].map(str::to_owned).into(),
        chdir: Some(root.path().canonicalize().unwrap()),
        environment: vec![("WHO".into(), "me".into())],
        stdin: Some(b"in\n".to_vec()),
    };
    let output = Machine::live().query(&command).unwrap();
    assert_eq!((output.code(), output.stderr.as_slice()), (3, b"me\n".as_slice()));
    let expected = format!("in\n{}\n", root.path().canonicalize().unwrap().display());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}
