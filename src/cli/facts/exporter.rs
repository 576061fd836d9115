//! `driftless facts exporter`: stands in for `node_exporter`.

use super::exporter_flags::{Collectors, argument, truth};
use super::web_config;
use crate::cli::Exit;
use crate::cli::runtime::{Signals, Started, Told, run_topology};
use crate::cli::session::Session;
use crate::cli::shell::{LogFormat, LogLevel, Output, Shell};
use crate::event::tree::{Key, Node, Value};
use crate::host::open_files;
use clap::ValueEnum;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// More threads than this are of no use to anybody.
const MOST_THREADS: usize = 64;

/// How long scrapes under way have at the end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Serve this host's metrics as node_exporter does, with its flags, without a config.
///
/// The names of the flags are node_exporter's, so that a unit file needs another program only. A
/// collector is switched off with `--no-collector.NAME`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  driftless facts exporter
  driftless facts exporter --web.listen-address=127.0.0.1:9100 --no-collector.zfs --collector.swap
  driftless facts exporter --collector.textfile.directory=/var/lib/node_exporter")]
pub(super) struct Args {
    /// Where to listen; may be given several times.
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":9100")]
    listen: Vec<String>,
    /// Where the metrics are.
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics")]
    path: String,
    /// Do not tell of the exporter itself: `process_*` and `driftless_*`.
    #[arg(long = "web.disable-exporter-metrics")]
    no_own_metrics: bool,
    /// Scrapes that are worked on at a time; further ones are answered 503.
    #[arg(long = "web.max-requests", value_name = "NUMBER", default_value_t = 40)]
    max_requests: usize,
    /// A file with TLS and users: `tls_server_config` and `basic_auth_users`, as Prometheus's own
    /// programs have it. It is read when the exporter starts.
    #[arg(long = "web.config.file", value_name = "PATH")]
    web_config: Option<PathBuf>,
    /// Where the host's `/proc` is.
    #[arg(long = "path.procfs", value_name = "PATH", default_value = "/proc")]
    procfs: String,
    /// Where the host's `/sys` is.
    #[arg(long = "path.sysfs", value_name = "PATH", default_value = "/sys")]
    sysfs: String,
    /// Where the host's `/` is.
    #[arg(long = "path.rootfs", value_name = "PATH", default_value = "/")]
    rootfs: String,
    /// Where the host's `/run/udev/data` is.
    #[arg(long = "path.udev.data", value_name = "PATH", default_value = "/run/udev/data")]
    udev_data: String,
    /// Threads beside those of the collectors; 0 stands for as many as there are processors. One has
    /// nobody to wake, and takes least.
    #[arg(long = "runtime.gomaxprocs", value_name = "NUMBER", default_value_t = 1)]
    threads: usize,
    #[command(flatten)]
    collectors: Collectors,
    /// How much the exporter says of itself, on standard error.
    #[arg(long = "log.level", value_enum, default_value_t)]
    log_level: LogLevel,
    /// How it says it.
    #[arg(long = "log.format", value_enum, default_value_t)]
    log_format: Lines,
}

/// How the exporter writes lines of its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Lines {
    /// Lines for people.
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    let topology = match topology(args) {
        Ok(topology) => topology,
        Err(message) => return shell.fail(&message),
    };
    let session = Session::new(&[]);
    let config = match session.load_node(topology, &shell.masker.clone()) {
        Ok(config) => config,
        Err(complaints) => return shell.complain(&complaints, Output::Text),
    };
    let format = match args.log_format {
        Lines::Logfmt => LogFormat::Text,
        Lines::Json => LogFormat::Json,
    };
    shell.start_logging(args.log_level, format);
    if let Err(error) = open_files::allow_many() {
        tracing::warn!("the limit of open files stays as it is: {error}");
    }
    let (mut environment, _tasks) = match session.environment(&config, shell, false) {
        Ok(made) => made,
        Err(message) => return shell.fail(&message),
    };
    environment.keeps_state = false;
    let work = async |started: Started, mut signals: Signals| {
        let mut topology = started?;
        loop {
            tokio::select! {
                () = topology.finished() => return Ok(Exit::Failed),
                told = signals.next() => if told == Told::Stop { break },
            }
        }
        let drained = topology.stop(DRAIN_TIMEOUT).await;
        Ok(if drained { Exit::Success } else { Exit::Failed })
    };
    let threads = match args.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    run_topology(threads.min(MOST_THREADS), &config.graph, Arc::new(environment), shell, work)
}

/// The exporter as a topology file would spell it out: the host, and an endpoint for each address.
fn topology(args: &Args) -> Result<Node, String> {
    let collect = args.collectors.collect.iter().map(|name| Node::string(name)).collect();
    let host = map([
        ("type", Node::string("host_metrics")),
        // Only scrapes make the collectors run.
        ("interval", Node::string("24h")),
        ("collect", Node::new(Value::List(collect))),
        ("options", args.collectors.options.clone()),
        ("procfs", argument("path.procfs", &args.procfs)),
        ("sysfs", argument("path.sysfs", &args.sysfs)),
        ("rootfs", argument("path.rootfs", &args.rootfs)),
        ("udev_data", argument("path.udev.data", &args.udev_data)),
    ]);
    let web = match &args.web_config {
        Some(path) => web_config::read(path)?,
        None => Vec::new(),
    };
    // node_exporter takes 0 for no limit.
    let limit = if args.max_requests == 0 { u32::MAX as usize } else { args.max_requests };
    let max_requests = Value::Int {
        value: i64::try_from(limit).unwrap_or(i64::MAX),
        text: limit.to_string().into(),
    };
    let mut sinks = Vec::new();
    for (at, address) in args.listen.iter().enumerate() {
        let listen = listen_address(address)?.to_string();
        let mut sink = map([
            ("type", Node::string("prometheus")),
            ("inputs", Node::new(Value::List(vec![Node::string("host")]))),
            ("listen", argument("web.listen-address", &listen)),
            ("path", argument("web.telemetry-path", &args.path)),
            ("max_requests", Node::new(max_requests.clone())),
            ("own_metrics", truth(!args.no_own_metrics)),
            ("node_exporter_info", truth(!args.no_own_metrics)),
        ]);
        if let Value::Map(entries) = &mut sink.value {
            entries.extend(web.iter().cloned());
        }
        sinks.push((Key::from(format!("web{}", at + 1).as_str()), sink));
    }
    Ok(map([("sources", map([("host", host)])), ("sinks", Node::new(Value::Map(sinks)))]))
}

fn map<const N: usize>(entries: [(&str, Node); N]) -> Node {
    Node::new(Value::Map(entries.map(|(name, node)| (Key::from(name), node)).into()))
}

/// `:9100` is that port on all addresses; else `ADDRESS:PORT` or `NAME:PORT`.
fn listen_address(address: &str) -> Result<SocketAddr, String> {
    let wrong = || {
        format!("`--web.listen-address={address}`: expected `:PORT`, `ADDRESS:PORT` or `NAME:PORT`")
    };
    if let Some(port) = address.strip_prefix(':') {
        let port = port.parse().map_err(|_| wrong())?;
        // One socket takes both kinds of addresses, unless IPv6 is switched off.
        let everywhere = if TcpListener::bind("[::]:0").is_ok() {
            SocketAddr::from(([0_u16; 8], port))
        } else {
            SocketAddr::from(([0_u8; 4], port))
        };
        return Ok(everywhere);
    }
    address.to_socket_addrs().ok().and_then(|mut found| found.next()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_a_port_alone() {
        assert_eq!(listen_address(":9100").unwrap().port(), 9100);
        assert!(listen_address(":9100").unwrap().ip().is_unspecified());
        assert_eq!(listen_address("127.0.0.1:1").unwrap().to_string(), "127.0.0.1:1");
        for wrong in ["9100", ":x", "127.0.0.1", ""] {
            assert!(listen_address(wrong).unwrap_err().contains("web.listen-address"), "{wrong}");
        }
    }
}
