//! Before anything runs: whether the folders of disk buffers can be used, and which of them
//! belong to components that are no longer there.

use super::telemetry::BufferMetrics;
use super::{component_of, folder, folder_of};
use crate::event::fault::Diagnostic;
use crate::topology::context::Environment;
use crate::topology::graph::Graph;
use rustix::fs::Access;
use std::fs;
use std::path::Path;

/// Complains of disk buffers in folders that cannot be written.
pub(in crate::topology) fn check(graph: &Graph, env: &Environment) -> Result<(), Vec<Diagnostic>> {
    let mut complaints = Vec::new();
    for (name, node) in graph.nodes.iter().filter(|(_, node)| node.buffer.settings.is_disk()) {
        if !env.keeps_state {
            continue;
        }
        let dir = folder_of(&env.data_dir, name);
        let usable = fs::create_dir_all(&dir)
            .and_then(|()| Ok(rustix::fs::access(&dir, Access::WRITE_OK | Access::EXEC_OK)?));
        if let Err(error) = usable {
            let message = format!("`{name}`: the folder of its buffer, {}: {error}", dir.display());
            let place = node.buffer.span.clone().or_else(|| node.span.clone());
            complaints.push(
                Diagnostic::new(message, place)
                    .hint("`data_dir` in `agent.yml` says where state is kept"),
            );
        }
    }
    if complaints.is_empty() { Ok(()) } else { Err(complaints) }
}

/// Says which buffers hold something that nobody reads.
pub(in crate::topology) fn report(graph: &Graph, env: &Environment) {
    if !env.keeps_state {
        return;
    }
    let mut orphans = Vec::new();
    for entry in fs::read_dir(folder(&env.data_dir)).into_iter().flatten().flatten() {
        let name = component_of(&entry.file_name().to_string_lossy());
        let known = graph.nodes.contains_key(name.as_str());
        let bytes = if known { 0 } else { bytes_in(&entry.path()) };
        if bytes > 0 {
            tracing::warn!(
                component = name,
                bytes,
                buffer = %entry.path().display(),
                "a disk buffer belongs to no component; one of this name would send what it holds"
            );
            orphans.push((name, bytes));
        }
    }
    match BufferMetrics::of(&env.telemetry) {
        Ok(metrics) => metrics.orphans(&orphans),
        Err(error) => tracing::error!("{error}"),
    }
}

/// Length of the segments in a folder.
fn bytes_in(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let segments =
        entries.filter(|entry| entry.path().extension().is_some_and(|it| it == "segment"));
    segments.filter_map(|entry| entry.metadata().ok()).map(|about| about.len()).sum()
}
