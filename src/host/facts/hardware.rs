//! Facts about processors, memory and what the firmware says.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Host;

/// `cpu.{count,vendor,model,sockets,cores_per_socket,threads_per_core,speed_mhz}`: how many
/// processors the kernel runs on, what the first one calls itself, how they are made up, and in
/// whole megahertz how fast the last one is at this moment (`null` where the architecture does not
/// tell).
/// - Source: `/proc/cpuinfo`.
pub(super) fn cpu(host: &Host) -> Value {
    let text = host.proc("cpuinfo").unwrap_or_default();
    let entries = || text.lines().filter_map(|line| line.split_once(':'));
    let all = |key: &'static str| {
        entries().filter(move |(known, _)| known.trim() == key).map(|(_, value)| value.trim())
    };
    let count = entries().filter(|(key, _)| key.starts_with("processor")).count();
    let number = |key| all(key).next().and_then(|value| value.parse::<usize>().ok());
    let sockets = all("physical id").collect::<BTreeSet<_>>().len();
    let (cores, siblings) = (number("cpu cores"), number("siblings"));
    // On PowerPC it is the `clock`, with the unit behind it.
    let speed = all("cpu MHz").chain(all("clock")).last();
    let whole = |speed: &str| speed.split(|it: char| !it.is_ascii_digit()).next()?.parse().ok();
    let threads = siblings.zip(cores).map(|(siblings, cores)| siblings / cores.max(1));
    json!({
        "count": (count > 0).then_some(count),
        "vendor": all("vendor_id").next(),
        "model": all("model name").chain(all("cpu model")).next(),
        "sockets": (sockets > 0).then_some(sockets),
        "cores_per_socket": cores,
        "threads_per_core": threads,
        "speed_mhz": speed.and_then(whole).filter(|speed: &u64| *speed > 0),
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

/// The parts of the fact `dmi`, called as the kernel calls their files.
pub const DMI_NAMES: [&str; 19] = [
    "bios_date",
    "bios_vendor",
    "bios_version",
    "board_asset_tag",
    "board_name",
    "board_serial",
    "board_vendor",
    "board_version",
    "chassis_asset_tag",
    "chassis_serial",
    "chassis_type",
    "chassis_vendor",
    "chassis_version",
    "product_family",
    "product_name",
    "product_serial",
    "product_uuid",
    "product_version",
    "sys_vendor",
];

/// `dmi.{bios_vendor,bios_version,bios_date,board_vendor,board_name,board_version,board_serial,
/// board_asset_tag,chassis_vendor,chassis_type,chassis_version,chassis_serial,chassis_asset_tag,
/// product_name,product_version,product_serial,product_uuid,product_family,sys_vendor}`: what the
/// firmware says that this machine is, `null` where it does not, or where only root may know.
/// - Source: `/sys/class/dmi/id`.
pub(super) fn dmi(host: &Host) -> Value {
    let value = |name: &str| (name.to_owned(), host.sys(&format!("class/dmi/id/{name}")).into());
    Value::Object(DMI_NAMES.map(value).into_iter().collect::<Map<_, _>>())
}

/// `load.{one,five,fifteen}`: how many tasks want a processor, averaged over so many minutes.
/// - Source: `/proc/loadavg`.
pub(super) fn load(host: &Host) -> Value {
    let text = host.proc("loadavg").unwrap_or_default();
    let mut words = text.split_ascii_whitespace().map(|word| word.parse::<f64>().ok());
    let mut next = || words.next().flatten();
    json!({"one": next(), "five": next(), "fifteen": next()})
}
