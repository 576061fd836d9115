//! Facts about processors and memory.

use serde_json::{Value, json};

use super::Host;

/// `cpu.{count,model}`: how many processors the kernel runs on, and what the first one calls itself
/// (`null` where the architecture does not tell).
/// - Source: `/proc/cpuinfo`.
pub(super) fn cpu(host: &Host) -> Value {
    let text = host.proc("cpuinfo").unwrap_or_default();
    let entries = || text.lines().filter_map(|line| line.split_once(':'));
    let count = entries().filter(|(key, _)| key.starts_with("processor")).count();
    let model = entries().find(|(key, _)| ["model name", "cpu model"].contains(&key.trim()));
    json!({
        "count": (count > 0).then_some(count),
        "model": model.map(|(_, name)| name.trim()),
    })
}

/// `memory.{total,free,available,swap_total,swap_free}_bytes`. `available` is the kernel's estimate
/// of what new work could use without swapping; `free` leaves out caches that could be given back.
/// - Source: `/proc/meminfo`, whose kB are 1024 bytes.
pub(super) fn memory(host: &Host) -> Value {
    let text = host.proc("meminfo").unwrap_or_default();
    let bytes = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kilobytes * 1024)
    };
    json!({
        "total_bytes": bytes("MemTotal"),
        "free_bytes": bytes("MemFree"),
        "available_bytes": bytes("MemAvailable"),
        "swap_total_bytes": bytes("SwapTotal"),
        "swap_free_bytes": bytes("SwapFree"),
    })
}
