//! Block devices, their partitions, and the links that udev makes to them.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::mounts::{human, uuid_of};
use super::{Facts, entries, link_name, or_null, read};

/// Links to devices by what they say: names under /dev/disk/by-*, by device.
type Links = BTreeMap<String, Vec<String>>;

fn links(dir: &str) -> Links {
    let mut found = Links::new();
    for name in entries(dir) {
        if let Some(device) = link_name(&format!("{dir}/{name}")) {
            found.entry(device).or_default().push(name);
        }
    }
    found.values_mut().for_each(|names| names.sort());
    found
}

/// Which devices a device is a part of.
fn masters() -> Links {
    let mut found = Links::new();
    for master in entries("/sys/block") {
        for slave in entries(&format!("/sys/block/{master}/slaves")) {
            found.entry(slave).or_default().push(master.clone());
        }
    }
    found.values_mut().for_each(|names| names.sort());
    found
}

/// devices and device_links.
pub fn collect(facts: &mut Facts) {
    let by = [
        ("ids", links("/dev/disk/by-id")),
        ("uuids", links("/dev/disk/by-uuid")),
        ("labels", links("/dev/disk/by-label")),
        ("masters", masters()),
    ];
    let of = |device: &str| {
        let map: Facts = by
            .iter()
            .map(|(key, all)| ((*key).to_string(), json!(all.get(device).cloned().unwrap_or_default())))
            .collect();
        Value::Object(map)
    };
    let mut devices = Facts::new();
    for name in entries("/sys/block") {
        devices.insert(name.clone(), Value::Object(device(&name, &of)));
    }
    facts.insert("devices".into(), Value::Object(devices));
    facts.insert(
        "device_links".into(),
        json!(by.iter().map(|(k, v)| ((*k).to_string(), json!(v))).collect::<Facts>()),
    );
}

fn device(name: &str, links_of: &dyn Fn(&str) -> Value) -> Facts {
    let dir = format!("/sys/block/{name}");
    let file = |path: &str| read(&format!("{dir}/{path}"));
    let mut facts = Facts::new();
    facts.insert("virtual".into(), 1.into());
    facts.insert("links".into(), links_of(name));
    for key in ["vendor", "model", "sas_address", "sas_device_handle"] {
        facts.insert(key.into(), or_null(file(&format!("device/{key}"))));
    }
    if let Some(serial) = file("device/serial") {
        facts.insert("serial".into(), serial.into());
    }
    if let Some(wwn) = file("wwid") {
        facts.insert("wwn".into(), wwn.into());
    }
    for (key, path) in [("removable", "removable"), ("support_discard", "queue/discard_granularity")] {
        if let Some(value) = file(path) {
            facts.insert(key.into(), value.into());
        }
    }
    let mut partitions = Facts::new();
    for part in entries(&dir).into_iter().filter(|p| p.starts_with(name)) {
        if Path::new(&format!("{dir}/{part}/partition")).exists() {
            partitions.insert(part.clone(), Value::Object(partition(&dir, &part, links_of)));
        }
    }
    facts.insert("partitions".into(), Value::Object(partitions));
    facts.insert("rotational".into(), or_null(file("queue/rotational")));
    let scheduler = file("queue/scheduler").unwrap_or_default();
    let chosen = scheduler.split_once('[').and_then(|(_, rest)| rest.split(']').next()).unwrap_or_default();
    facts.insert("scheduler_mode".into(), chosen.into());
    let sectors: i64 = file("size").and_then(|t| t.parse().ok()).unwrap_or(0);
    facts.insert("sectors".into(), sectors.into());
    facts
        .insert("sectorsize".into(), file("queue/logical_block_size").unwrap_or_else(|| "512".into()).into());
    // The kernel counts in 512 bytes whatever the device's own sectors are.
    facts.insert("size".into(), human(sectors as f64 * 512.0).into());
    facts.insert("host".into(), "".into());
    facts.insert("holders".into(), holders(&dir).into());
    facts
}

fn partition(dir: &str, part: &str, links_of: &dyn Fn(&str) -> Value) -> Facts {
    let file = |path: &str| read(&format!("{dir}/{part}/{path}"));
    let sectors: i64 = file("size").and_then(|t| t.parse().ok()).unwrap_or(0);
    let size = read(&format!("{dir}/queue/logical_block_size")).unwrap_or_else(|| "512".into());
    let mut facts = Facts::new();
    facts.insert("links".into(), links_of(part));
    facts.insert("start".into(), file("start").unwrap_or_else(|| "0".into()).into());
    facts.insert("sectors".into(), sectors.into());
    facts.insert("sectorsize".into(), size.parse::<i64>().unwrap_or(512).into());
    facts.insert("size".into(), human(sectors as f64 * 512.0).into());
    facts.insert("uuid".into(), or_null(uuid_of(&format!("/dev/{part}"))));
    facts.insert("holders".into(), holders(&format!("{dir}/{part}")).into());
    facts
}

/// What is built upon a device; device mapper's by their own names.
fn holders(dir: &str) -> Vec<String> {
    entries(&format!("{dir}/holders"))
        .into_iter()
        .map(|name| read(&format!("/sys/block/{name}/dm/name")).unwrap_or(name))
        .collect()
}
