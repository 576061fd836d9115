//! What a crash, a full disk or a broken server leaves behind, and how it heals.

use super::skip::skipped;
use super::world::World;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::Duration;

#[test]
fn a_damaged_store_is_made_anew_while_the_active_revision_stays() {
    let world = World::new("");
    let agent = world.agent(&[]);
    world.wait_for_word("one");
    for entry in fs::read_dir(world.kept("store/objects/pack")).unwrap() {
        let path = entry.unwrap().path();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "no pack at all").unwrap();
    }
    world.commit_word("two");
    world.wait_for_word("two");
    fs::remove_file(world.kept("store/HEAD")).unwrap();
    world.commit_word("three");
    world.wait_for_word("three");
    fs::remove_dir_all(world.kept("revisions")).unwrap();
    world.commit_word("four");
    world.wait_for_word("four");
    assert!(agent.stop().success());
    fs::write(world.kept("state.json"), "{").unwrap();
    fs::remove_file(world.path("root/motd")).unwrap();
    let agent = world.agent(&[]);
    world.wait_for_word("four");
    assert!(agent.stop().success());
}

#[test]
fn killed_at_any_moment_it_goes_on_with_a_whole_revision() {
    let world = World::new("");
    let mut step = 7_u64;
    for round in 0..20 {
        world.commit_word(&format!("word{round}"));
        let agent = world.agent(&[]);
        // Another moment each round, spread over what a start, a look and a reload take.
        step = step * 37 % 101;
        thread::park_timeout(Duration::from_millis(step * 3));
        agent.kill();
        let state = fs::read_to_string(world.kept("state.json")).unwrap_or_else(|_| "{}".into());
        let state: serde_json::Value = serde_json::from_str(&state).unwrap();
        if let Some(commit) = state["active"]["commit"].as_str() {
            let apply = world.kept("revisions").join(commit).join("apply.yml");
            let text = fs::read_to_string(apply).unwrap_or_default();
            assert!(text.ends_with("}\n"), "{commit}: {text}\n{}", world.log());
        }
    }
    // A word that only this agent can have taken: one that was told to end before it listens would be
    // killed by that.
    world.commit_word("last");
    let agent = world.agent(&[]);
    world.wait_for_word("last");
    world.wait_until("nothing half is left", || {
        world.revisions().iter().all(|name| !name.ends_with(".new"))
    });
    assert!(agent.stop().success());
}

#[test]
fn two_agents_never_follow_into_the_same_directory() {
    let world = World::new("");
    let agent = world.agent(&[]);
    world.wait_for_word("one");
    let second = world.driftless(&["agent", "--config", "config"]).output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(!second.status.success() && said.contains("another agent (pid "), "{said}");
    assert!(agent.stop().success());
}

#[test]
fn a_server_that_breaks_off_or_sends_rubbish_changes_nothing() {
    let world = World::new("");
    let ran = world.driftless(&["agent", "--config", "config", "--once"]).output().unwrap();
    assert!(ran.status.success());
    let first = world.revisions();
    let tip = "0123456789012345678901234567890123456789";
    let refs = |text: String| format!("{:04x}{text}", text.len() + 4);
    let advertised =
        refs(format!("{tip} HEAD\0\n")) + &refs(format!("{tip} refs/heads/main\n")) + "0000";
    for answer in [
        String::new(),
        "rubbish".into(),
        "ffff".into(),
        advertised.clone(),
        format!("{advertised}0008NAK\nPACK\0\0\0\x02\0\0\0\x01rubbish"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(answer.as_bytes()).ok();
            // The other side has said what it wants by the time that it hears the end.
            stream.shutdown(std::net::Shutdown::Write).ok();
            std::io::copy(&mut stream, &mut std::io::sink()).ok();
        });
        world.follow(&format!("git://127.0.0.1:{port}/hosts.git"), ", timeout: 10s");
        let ran = world.driftless(&["agent", "--config", "config", "--once"]).output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert!(ran.status.success(), "the active revision runs: {said}");
        assert!(said.contains("no look at the repository"), "{said}");
        assert_eq!(world.revisions(), first);
        server.join().unwrap();
    }
}

#[test]
fn a_full_disk_leaves_the_active_revision_and_heals_once_there_is_room() {
    let world = World::new("");
    let full = world.path("data");
    fs::create_dir(&full).unwrap();
    let Some(_mounted) = Tmpfs::mount(&full, "size=4m") else { return };
    let agent = world.agent(&[]);
    world.wait_for_word("one");
    let mut filler = File::create(full.join("filler")).unwrap();
    while filler.write_all(&[1; 4096]).is_ok() {}
    world.commit_word("two");
    world.wait_for_log("No space left");
    assert_eq!(world.word(), "one");
    drop(filler);
    fs::remove_file(full.join("filler")).unwrap();
    world.wait_for_word("two");
    assert!(agent.stop().success());
}

/// A small file system in memory, in the namespace of this test's thread and its children alone.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn mount(at: &'a Path, size: &str) -> Option<Self> {
        let none: Option<&str> = None;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        let made = unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_FS)
            .and_then(|()| mount(none, "/", none, private, none))
            .and_then(|()| mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some(size)));
        match made {
            Ok(()) => Some(Self(at)),
            Err(error) => {
                skipped(&format!("no file system in memory: {error}"));
                None
            }
        }
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        umount2(self.0, MntFlags::MNT_DETACH).ok();
    }
}
