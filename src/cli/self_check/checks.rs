//! The checks, one a function.

use super::{Finding, Verdict};
use crate::cli::control::{At, Lost};
use crate::cli::shell::Shell;
use crate::config::load::Config;
use crate::config::secrets::Places;
use crate::event::task::{Task, each_task};
use crate::host::{clock, kernel};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A host with fewer watches runs out of them once a busy directory is followed.
const FEW_WATCHES: u64 = 8192;
/// Each agent takes a few, and so does every desktop program.
const FEW_INSTANCES: u64 = 64;

/// No clock is right that stands before this program was written.
const TOO_EARLY: Duration = Duration::from_secs(1_767_225_600);

/// The programs that task types call, as far as they are no part of every host.
const PROGRAMS: &[(&str, &str)] = &[
    ("apt", "apt-get"),
    ("dnf", "dnf"),
    ("yum", "dnf"),
    ("pacman", "pacman"),
    ("apk", "apk"),
    ("pip", "python3"),
    ("service", "systemctl"),
    ("systemd", "systemctl"),
    ("systemd_service", "systemctl"),
    ("git", "git"),
    ("iptables", "iptables"),
    ("nftables", "nft"),
    ("ufw", "ufw"),
    ("filesystem", "blkid"),
    ("modprobe", "modprobe"),
    ("locale_gen", "locale-gen"),
    ("seboolean", "setsebool"),
];

/// All of them, in the order in which a start would come upon what they look at.
pub(super) fn all(at: &At, shell: &Shell) -> Vec<Finding> {
    let data_dir = at.data_dir();
    let loaded = at.load(shell);
    let mut findings = vec![config(&loaded)];
    findings.push(state(&data_dir));
    findings.push(agent(at));
    findings.extend(secrets());
    findings.push(inotify());
    findings.push(time());
    findings.extend(features());
    if let Ok(config) = &loaded {
        findings.extend(programs(config));
    }
    findings
}

fn config(loaded: &Result<Config, Vec<String>>) -> Finding {
    match loaded {
        Ok(config) => {
            let components = config.graph.nodes.len();
            let tasks = config.tasks.as_ref().map_or(0, |tasks| tasks.count());
            let message = format!("it loads: {components} components, {tasks} tasks");
            Finding::new("config", Verdict::Ok, message)
        }
        Err(complaints) => {
            let first = complaints.first().map(String::as_str).unwrap_or_default();
            let more = complaints.len().saturating_sub(1);
            let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
            Finding::new("config", Verdict::Failed, format!("{first}{more}"))
                .hint("`driftless validate` shows all, with their places")
        }
    }
}

fn state(data_dir: &Path) -> Finding {
    let place = data_dir.display();
    let finding = |verdict, text: &str| Finding::new("data_dir", verdict, format!("{place}{text}"));
    let Ok(about) = fs::metadata(data_dir) else {
        let above = data_dir.ancestors().find(|above| above.is_dir());
        return match above.map(is_writable) {
            Some(Ok(())) => finding(Verdict::Ok, ": it is not there yet, and can be made"),
            Some(Err(error)) => finding(Verdict::Failed, &format!(" cannot be made: {error}")),
            None => finding(Verdict::Failed, " cannot be made"),
        };
    };
    if let Err(error) = is_writable(data_dir) {
        return finding(Verdict::Failed, &format!(" cannot be written: {error}"))
            .hint("run the agent, and this check, as the user that owns it");
    }
    if about.permissions().mode() & 0o022 != 0 {
        return finding(Verdict::Failed, ": others may write there")
            .hint(format!("chmod go-w {place}"));
    }
    finding(Verdict::Ok, ": it can be written")
}

/// Makes a file there, and removes it.
fn is_writable(dir: &Path) -> std::io::Result<()> {
    let path = dir.join(format!(".driftless-self-check-{}", std::process::id()));
    File::options().write(true).create_new(true).open(&path)?;
    fs::remove_file(path)
}

fn agent(at: &At) -> Finding {
    match at.connect() {
        Ok(_) => Finding::new("socket", Verdict::Ok, "an agent runs and answers"),
        Err(Lost::NotRunning(place)) => {
            let message = format!("{}: no agent runs", place.display());
            Finding::new("socket", Verdict::Ok, message)
        }
        Err(Lost::Failed(message)) => Finding::new("socket", Verdict::Warning, message),
    }
}

/// Files of secrets that others can read; the agent refuses them.
fn secrets() -> Vec<Finding> {
    let environment = |_: &str| None;
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let files = Places::standard(&environment, home.as_deref()).files;
    let there = files.iter().filter_map(|path| Some((path, fs::metadata(path).ok()?)));
    let findings = there.map(|(path, about)| {
        let mode = about.permissions().mode() & 0o777;
        if mode & 0o077 == 0 {
            return Finding::new("secrets", Verdict::Ok, format!("{}: private", path.display()));
        }
        let message = format!("{}: others may read it (mode {mode:04o})", path.display());
        let hint = format!("chmod 600 {}", path.display());
        Finding::new("secrets", Verdict::Failed, message).hint(hint)
    });
    findings.collect()
}

fn inotify() -> Finding {
    let limit = |name| kernel::inotify_limit(name);
    match (limit("max_user_watches"), limit("max_user_instances")) {
        (Some(watches), Some(instances)) => {
            let message = format!("{watches} watches and {instances} instances a user");
            if watches >= FEW_WATCHES && instances >= FEW_INSTANCES {
                return Finding::new("inotify", Verdict::Ok, message);
            }
            let hint = "raise fs.inotify.max_user_watches and max_user_instances (sysctl); without \
                        them files are only looked at now and then";
            Finding::new("inotify", Verdict::Warning, message).hint(hint)
        }
        _ => Finding::new("inotify", Verdict::Warning, "the kernel tells of no limits"),
    }
}

fn time() -> Finding {
    if clock::now() < TOO_EARLY {
        return Finding::new("clock", Verdict::Failed, "it stands in the past")
            .hint("certificates and signatures will not be valid");
    }
    match clock::discipline() {
        Ok(it) if it.is_synchronized => Finding::new("clock", Verdict::Ok, "it is kept right"),
        Ok(_) => Finding::new(
            "clock",
            Verdict::Warning,
            "the kernel knows of nothing that keeps it right",
        )
        .hint("chrony or systemd-timesyncd does"),
        Err(error) => {
            Finding::new("clock", Verdict::Warning, format!("it cannot be asked: {error}"))
        }
    }
}

fn features() -> Vec<Finding> {
    let found = kernel::features();
    let landlock = match found.landlock {
        Some(version) => {
            let message = format!("version {version}: dry runs cannot write");
            Finding::new("landlock", Verdict::Ok, message)
        }
        None => Finding::new(
            "landlock",
            Verdict::Warning,
            "not there (Linux 5.13): a dry run keeps from writing by itself alone",
        )
        .hint("commands that a dry run would have to start are not run"),
    };
    let seccomp = match found.seccomp {
        true => Finding::new("seccomp", Verdict::Ok, "there"),
        false => Finding::new("seccomp", Verdict::Warning, "not there: see landlock"),
    };
    let openat2 = match found.openat2 {
        true => Finding::new("openat2", Verdict::Ok, "there"),
        false => Finding::new(
            "openat2",
            Verdict::Warning,
            "not there (Linux 5.6), or a filter denies it",
        )
        .hint("tasks in directories that other users own are refused"),
    };
    vec![openat2, landlock, seccomp]
}

fn programs(config: &Config) -> Vec<Finding> {
    let Some(set) = &config.tasks else { return Vec::new() };
    let mut modules: BTreeSet<&str> = BTreeSet::new();
    let mut visit = |task: &'_ Task| {
        modules.extend(PROGRAMS.iter().map(|(name, _)| *name).filter(|name| *name == task.module));
    };
    set.plays.iter().for_each(|play| each_task(&play.steps, &mut visit));
    let wanted = PROGRAMS.iter().filter(|(module, _)| modules.contains(module));
    let missing = wanted.filter(|(_, program)| !is_there(program));
    let mut findings: Vec<Finding> = missing
        .map(|(module, program)| {
            let message = format!("`{program}` is not there, and tasks use `{module}`");
            Finding::new("programs", Verdict::Warning, message)
                .hint("an earlier task may install it")
        })
        .collect();
    if findings.is_empty() {
        findings.push(Finding::new("programs", Verdict::Ok, "all that tasks call are there"));
    }
    findings
}

/// Whether a program of this name is where root looks for programs.
fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = std::env::split_paths(&path);
    let roots = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    own.chain(roots).any(|dir| dir.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_that_others_can_write_to_is_in_the_way_and_one_to_be_made_is_not() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(state(dir.path()).verdict, Verdict::Ok);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
        let missing = state(&dir.path().join("a/b"));
        assert_eq!(missing.verdict, Verdict::Ok, "{missing:?}");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let loose = state(dir.path());
        assert_eq!(loose.verdict, Verdict::Failed);
        assert!(loose.hint.unwrap().starts_with("chmod go-w"));
    }

    #[test]
    fn every_program_belongs_to_a_task_type_that_there_is() {
        for (module, _) in PROGRAMS {
            let known = crate::sinks::apply::tasks::MODULES.iter();
            assert!(known.clone().any(|known| known.name == *module), "{module}");
        }
    }
}
