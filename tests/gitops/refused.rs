//! Revisions that are not taken.

use super::world::{World, free_port, metrics, motd};
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn a_config_that_is_not_right_leaves_the_last_good_one_running() {
    let world = World::new("");
    let port = free_port();
    let facts =
        format!("collect: [loadavg]\nexport:\n  - prometheus: {{listen: 127.0.0.1:{port}}}\n");
    world.write("facts.yml", &facts);
    world.commit();
    let agent = world.agent(&[]);
    world.wait_for_word("one");
    world.write("apply.yml", &motd("two").replace("template:", "tempalte:"));
    let bad = world.commit();
    world.wait_for_log("revision refused");
    let log = world.log();
    assert!(log.contains("did you mean `template`?") && log.contains(&bad), "{log}");
    world.wait_until("the metrics say so", || {
        let said = metrics(port);
        said.contains("driftless_git_revision_refused 1")
            && said.contains("driftless_git_failures_total{reason=\"config\"} 1")
    });
    fs::remove_file(world.path("root/motd")).unwrap();
    world.wait_for_word("one");
    world.commit_word("three");
    world.wait_for_word("three");
    world.wait_until("the metrics say so", || {
        metrics(port).contains("driftless_git_revision_refused 0")
    });
    assert_eq!(world.log().matches("revision refused").count(), 1, "tried once");
    assert!(agent.stop().success());
}

#[test]
fn a_rewound_branch_is_refused_unless_it_is_allowed() {
    let world = World::new("");
    let first = world.git(&["rev-parse", "HEAD"]);
    world.commit_word("two");
    let agent = world.agent(&[]);
    world.wait_for_word("two");
    world.git(&["reset", "-q", "--hard", &first]);
    world.push();
    world.wait_for_log("its history does not contain the active commit");
    world.commit_word("another three");
    world.wait_until("the next one is refused too", || {
        world.log().matches("revision refused").count() == 2
    });
    assert_eq!(world.word(), "two");
    let url = world.bare().display().to_string();
    world.follow(&url, ", rewind: allow");
    world.wait_for_word("another three");
    assert!(agent.stop().success());
}

#[test]
fn what_cannot_be_a_config_is_never_laid_out() {
    let world = World::new("");
    let url = world.bare().display().to_string();
    let try_once = || {
        world.follow(&url, ", rewind: allow");
        let ran = world.driftless(&["agent", "--config", "config", "--once"]).output().unwrap();
        String::from_utf8(ran.stderr).unwrap()
    };
    try_once();
    let first = world.git(&["rev-parse", "HEAD"]);

    symlink("/etc/passwd", world.path("work/files")).unwrap();
    world.commit();
    let said = try_once();
    assert!(said.contains("`files` is a link that leads out of the repository"), "{said}");

    world.git(&["reset", "-q", "--hard", &first]);
    fs::create_dir(world.path("work/deep")).unwrap();
    symlink("../../../etc", world.path("work/deep/link")).unwrap();
    world.commit();
    let said = try_once();
    assert!(said.contains("`deep/link` is a link that leads out"), "{said}");

    world.git(&["reset", "-q", "--hard", &first]);
    let huge = fs::File::create(world.path("work/huge")).unwrap();
    huge.set_len(65 << 20).unwrap();
    world.commit();
    let said = try_once();
    assert!(said.contains("`huge` is larger than 64 MiB"), "{said}");

    // A name that git itself would not write.
    world.git(&["reset", "-q", "--hard", &first]);
    let blob = world.git(&["hash-object", "-w", "apply.yml"]);
    let tree = world.make_tree("100644", ".git", &blob);
    let commit = world.git(&["commit-tree", "-m", "odd", &tree]);
    world.git(&["reset", "-q", "--soft", &commit]);
    world.push();
    let said = try_once();
    assert!(said.contains("`.git` is not the name of a file"), "{said}");
    assert_eq!(world.revisions(), [first]);
    assert_eq!(world.word(), "one");
}

#[test]
fn links_within_modes_and_submodules_are_as_git_has_them() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new("");
    symlink("../apply.yml", world.path("work/templates/link")).unwrap();
    world.write("files/run.sh", "#!/bin/sh\n");
    fs::set_permissions(world.path("work/files/run.sh"), fs::Permissions::from_mode(0o755))
        .unwrap();
    fs::create_dir_all(world.path("work/vendor/module")).unwrap();
    let head = world.git(&["rev-parse", "HEAD"]);
    world.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},vendor/module")]);
    let commit = world.commit();
    let ran = world.driftless(&["agent", "--config", "config", "--once"]).output().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    let top = world.kept("revisions").join(&commit);
    assert_eq!(fs::read_link(top.join("templates/link")).unwrap().to_str(), Some("../apply.yml"));
    let mode = |name: &str| fs::metadata(top.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("files/run.sh"), mode("apply.yml"), mode("")), (0o755, 0o644, 0o700));
    assert!(said.contains("a submodule is left out") && said.contains("vendor/module"), "{said}");
}
