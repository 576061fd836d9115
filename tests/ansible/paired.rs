//! The same task lists through Ansible and through Driftless, in two equal roots: the trees that they
//! leave are equal, and a second run of Driftless writes nothing. What Ansible leaves is written down
//! too, since it takes minutes to do it and is not everywhere.

use crate::fetched::fetched;
use crate::skip::skipped;
use crate::throwaway;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const TREE: &str = include_str!("tree_of_ansible.txt");

/// What is there before.
const BEFORE: &str = r"
    mkdir -p /srv/paired/old/tree/below
    echo x | tee /srv/paired/old/file >/srv/paired/old/tree/below/file
    ln -s tree /srv/paired/old/link
    ln -s nowhere /srv/paired/old/dangling
    setfattr --name user.kept --value yes /srv/paired/old 2>/dev/null || true
    umask 022
    cp --recursive /share/lists /srv/lists
    cd /srv/lists
    export HOME=/root LANG=C.UTF-8
";

/// One line a path: kind, permissions, owner, links, where a link leads, what a file holds, its
/// extended attributes, and its time where a task has set that.
const LOOK: &str = r#"
    python3 - <<'END'
import hashlib, os, stat
for at, directories, files in os.walk('/srv/paired'):
    for name in sorted(directories + files):
        path = os.path.join(at, name)
        found = os.lstat(path)
        told = [path, oct(found.st_mode), found.st_uid, found.st_gid]
        if stat.S_ISLNK(found.st_mode):
            told.append(os.readlink(path))
        elif stat.S_ISREG(found.st_mode):
            content = open(path, 'rb').read()
            told += [found.st_nlink, found.st_size, hashlib.sha1(content).hexdigest(), content[:400]]
        told += [(name, os.getxattr(path, name, follow_symlinks=False))
            for name in sorted(os.listxattr(path, follow_symlinks=False))
            if not name.startswith('trusted.')]
        is_set = stat.S_ISREG(found.st_mode) and found.st_mtime < 1600000000
        told.append(found.st_mtime if is_set else '')
        print('TREE', *[repr(part) for part in told])
END
"#;

const ANSIBLE: &str = r"
    export PYTHONPATH=/share/ansible ANSIBLE_PIPELINING=1 ANSIBLE_LOCALHOST_WARNING=0
    python3 -m ansible playbook -i localhost, -c local -e ansible_python_interpreter=$(command -v python3) site.yml >&2
";

/// Where the kernel lets a trace be made, it shows that the second run opens nothing below the
/// managed directory for writing and changes nothing there.
const DRIFTLESS: &str = r#"
    mv site.yml apply.yml
    echo 'data_dir: /srv/data' >agent.yml
    /share/driftless apply /srv/lists >&2
    inodes() { find /srv/paired -printf '%p %i %T@ %C@\n' | sort | sha1sum; }
    before=$(inodes)
    /share/driftless apply /srv/lists | tee /tmp/second >&2
    grep -q ' 0 changed\|^[0-9]* ok, [0-9]* skipped\|^[0-9]* ok in' /tmp/second
    [ "$before" = "$(inodes)" ]
    if strace -qq -o /dev/null true 2>/dev/null; then
        strace -f -qq -y -o /tmp/trace -e trace=%file,%desc,write,pwrite64,fsync,fchmod,fchown,ftruncate \
            /share/driftless apply /srv/lists >/dev/null
        writes='(O_WRONLY|O_RDWR|O_CREAT|rename|unlink|mkdir| link|symlink|chmod|chown|truncate|utimens|setxattr|mknod)'
        grep --extended-regexp "$writes.*\"/srv/paired|write[0-9]*\([0-9]*</srv/paired" /tmp/trace >/tmp/writes || true
        [ ! -s /tmp/writes ] || { head -20 /tmp/writes >&2; exit 1; }
    else
        echo 'no trace' >&2
    fi
"#;

/// By path, what there is to tell.
type Tree = BTreeMap<String, String>;

fn tree<'a>(lines: impl Iterator<Item = &'a str>) -> Tree {
    let told = |line: &'a str| {
        let quote = line.chars().next()?;
        let end = line[1..].find(quote)? + 2;
        Some((line[..end].to_owned(), line[end..].to_owned()))
    };
    lines.filter_map(told).collect()
}

/// What `run` leaves in a root of its own; `None` where there can be none.
fn left_by(run: &str, share: &Path) -> Option<Tree> {
    let output = throwaway::run(&format!("{BEFORE}{run}{LOOK}"), share)?;
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{run}\n{complained}");
    if complained.contains("no trace") {
        skipped("strace (Debian package strace) cannot trace here");
    }
    Some(tree(said.lines().filter_map(|line| line.strip_prefix("TREE "))))
}

/// The lists, and `more` under its name, where a root can see them.
fn share(name: &str, more: &Path) -> TempDir {
    let share = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let lists = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ansible/lists");
    copy(&lists, &share.path().join("lists"));
    copy(&fs::canonicalize(more).unwrap(), &share.path().join(name));
    share
}

fn assert_equal(found: &Tree) {
    let wanted = tree(TREE.lines().filter(|line| !line.starts_with('#')));
    let mut told = String::new();
    for path in wanted.keys().chain(found.keys()) {
        let (wanted, found) = (wanted.get(path), found.get(path));
        if wanted != found {
            told += &format!("{path}\n  wanted {wanted:?}\n  found  {found:?}\n");
        }
    }
    assert!(told.is_empty(), "{told}");
}

#[test]
fn the_lists_leave_the_tree_that_ansible_leaves_and_a_second_run_writes_nothing() {
    let share = share("driftless", Path::new(env!("CARGO_BIN_EXE_driftless")));
    let Some(found) = left_by(DRIFTLESS, share.path()) else { return };
    assert_equal(&found);
}

#[test]
fn what_is_written_down_is_what_ansible_leaves() {
    if std::env::var_os("DRIFTLESS_TRIALS").is_none_or(|form| form != "long") {
        return skipped("Ansible takes minutes for its lists: with DRIFTLESS_TRIALS=long");
    }
    let Some(ansible) = fetched("ansible", ".") else { return };
    let share = share("ansible", &ansible);
    let Some(found) = left_by(ANSIBLE, share.path()) else { return };
    assert_equal(&found);
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["--recursive", "--link"]).arg(from).arg(to).status();
    if copied.is_ok_and(|status| status.success()) {
        return;
    }
    // Another file system; what has come of the links goes.
    fs::remove_dir_all(to).ok();
    let status = Command::new("cp").arg("--recursive").arg(from).arg(to).status().unwrap();
    assert!(status.success(), "{}", from.display());
}
