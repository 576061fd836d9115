//! The packages of rpm, which `dnf` and `zypper` install.

use super::Failure;
use super::managers::{self, Installed};
use crate::host::machine::Machine;
use crate::host::machine::command::Command;

/// Where the database of rpm is; what it holds only rpm can tell.
pub(super) const DATABASE: &str = "/var/lib/rpm";
/// The fields of a package, as rpm is asked for them.
const FORMAT: &str = "%{NAME}|%{EPOCHNUM}|%{VERSION}|%{RELEASE}|%{ARCH}\\n";

/// What is installed, with epoch, version, release and architecture.
///
/// Errors: rpm does not tell.
pub(super) fn installed(
    machine: &Machine,
    environment: &[(String, String)],
) -> Result<Installed, Failure> {
    let argv = ["rpm", "--query", "--all", "--queryformat", FORMAT].map(str::to_owned).into();
    let command = Command { argv, environment: environment.to_vec(), ..Command::default() };
    let output = machine.query(&command)?;
    if !output.is_success() {
        return Err(managers::complaint(&command, &output));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let mut installed = Installed::new();
    for line in said.lines() {
        if let [name, epoch, version, release, architecture] =
            line.split('|').collect::<Vec<_>>()[..]
        {
            let epoch = if epoch == "0" { String::new() } else { format!("{epoch}:") };
            let version = format!("{epoch}{version}-{release}.{architecture}");
            installed.entry(name.to_owned()).or_default().insert(version);
        }
    }
    Ok(installed)
}
