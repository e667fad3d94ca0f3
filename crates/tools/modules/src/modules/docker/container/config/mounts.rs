//! Volumes, mounts and tmpfs.

use serde_json::{Value, json};

use super::super::simple::{Kind, bytes};
use super::{Place, Wanted, keys};
use crate::cx::Cx;
use crate::result::Map;

impl Wanted {
    pub(super) fn volumes(&mut self, cx: &Cx<'_>, image: &Value) -> Result<(), String> {
        if let Some(volumes) = cx.opt_list("volumes") {
            let (mut binds, mut anonymous) = (Vec::new(), Map::new());
            for volume in &volumes {
                let parts: Vec<&str> = volume.split(':').collect();
                match parts[..] {
                    [path] => _ = anonymous.insert(path.to_string(), json!({})),
                    [source, path] if is_mode(path) => _ = anonymous.insert(source.to_string(), json!({})),
                    [source, path] => binds.push(format!("{}:{path}:rw", local(source))),
                    [source, path, mode] if mode.split(',').all(is_mode) => {
                        binds.push(format!("{}:{path}:{mode}", local(source)));
                    }
                    [_, _, mode] => return Err(format!("Found invalid volumes mode: {mode}")),
                    _ => return Err(format!("Invalid volume specification: {volume}")),
                }
            }
            let mut all: Vec<String> = anonymous.keys().cloned().collect();
            self.config.insert("Volumes".into(), Value::Object(anonymous));
            if !binds.is_empty() {
                self.host.insert("Binds".into(), json!(binds));
            }
            self.add("volumes", Kind::Set, json!(binds), Place::Host("Binds"));
            if let Some((property, _)) = self.properties.last_mut() {
                property.shown = "volume_binds";
            }
            all.extend(image["Config"]["Volumes"].as_object().into_iter().flatten().map(|(k, _)| k.clone()));
            self.add("volumes", Kind::Set, json!(all), Place::Taken(|c| keys(&c["Config"]["Volumes"])));
        }
        if let Some(mounts) = cx.raw("mounts").as_array() {
            let mounts = mounts.iter().map(mount).collect::<Result<Vec<_>, _>>()?;
            self.host.insert("Mounts".into(), json!(mounts));
            let plain: Vec<Value> = mounts.iter().map(flat_mount).collect();
            let actual = |c: &Value| match &c["HostConfig"]["Mounts"] {
                Value::Array(mounts) => json!(mounts.iter().map(flat_mount).collect::<Vec<_>>()),
                other => other.clone(),
            };
            self.add("mounts", Kind::Set, json!(plain), Place::Taken(actual));
        }
        if let Some(tmpfs) = cx.opt_list("tmpfs") {
            let pair = |text: &String| {
                let (path, options) = text.split_once(':').unwrap_or((text, ""));
                (path.to_string(), Value::from(options))
            };
            let tmpfs: Map = tmpfs.iter().map(pair).collect();
            self.host_field("tmpfs", Kind::Dict, "Tmpfs", Value::Object(tmpfs));
        }
        Ok(())
    }
}

/// Whether a word is a mode of a bind.
fn is_mode(word: &str) -> bool {
    const MODES: &[&str] = &[
        "rw",
        "ro",
        "z",
        "Z",
        "consistent",
        "delegated",
        "cached",
        "rprivate",
        "private",
        "rshared",
        "shared",
        "rslave",
        "slave",
        "nocopy",
    ];
    word.split(',').all(|w| MODES.contains(&w))
}

/// A bind's source: a path with `~`, or one beneath the working directory, becomes whole.
fn local(source: &str) -> String {
    if source.starts_with('~') {
        return crate::sys::path::expand(source);
    }
    if source.starts_with('.') {
        return std::env::current_dir()
            .map(|here| crate::sys::path::realpath(&here.join(source).to_string_lossy()))
            .unwrap_or_else(|_| source.to_string());
    }
    source.to_string()
}

/// A mount as the engine takes it.
fn mount(wanted: &Value) -> Result<Value, String> {
    let kind = wanted["type"].as_str().unwrap_or("volume");
    let target = wanted["target"].as_str().unwrap_or_default();
    if wanted["source"].is_null() && kind == "bind" {
        return Err(format!("source must be specified for mount \"{target}\" of type \"{kind}\""));
    }
    for (option, only) in [
        ("propagation", "bind"),
        ("no_copy", "volume"),
        ("labels", "volume"),
        ("volume_driver", "volume"),
        ("volume_options", "volume"),
        ("tmpfs_size", "tmpfs"),
        ("tmpfs_mode", "tmpfs"),
    ] {
        if !wanted[option].is_null() && kind != only {
            return Err(format!(
                "{option} cannot be specified for mount \"{target}\" of type \"{kind}\" (needs type \"{only}\")"
            ));
        }
    }
    let mut out = crate::map! {
        "Target" => target, "Source" => wanted["source"], "Type" => kind, "ReadOnly" => wanted["read_only"],
    };
    if let Some(consistency) = wanted["consistency"].as_str() {
        out.insert("Consistency".into(), consistency.into());
    }
    let mut options = Map::new();
    let place = match kind {
        "bind" => {
            if let Some(propagation) = wanted["propagation"].as_str() {
                options.insert("Propagation".into(), propagation.into());
            }
            "BindOptions"
        }
        "tmpfs" => {
            if let Some(size) = wanted["tmpfs_size"].as_str() {
                options.insert("SizeBytes".into(), bytes("tmpfs_size", size)?.into());
            }
            if let Some(mode) = wanted["tmpfs_mode"].as_str() {
                let mode = i64::from_str_radix(mode, 8)
                    .map_err(|_| format!("tmp_fs mode of mount \"{target}\" is not an octal string!"))?;
                options.insert("Mode".into(), mode.into());
            }
            "TmpfsOptions"
        }
        _ => {
            if let Some(no_copy) = wanted["no_copy"].as_bool() {
                options.insert("NoCopy".into(), no_copy.into());
            }
            if let Some(labels) = wanted["labels"].as_object() {
                options.insert("Labels".into(), json!(labels));
            }
            if let Some(driver) = wanted["volume_driver"].as_str() {
                options.insert(
                    "DriverConfig".into(),
                    json!({"Name": driver, "Options": wanted["volume_options"]}),
                );
            }
            "VolumeOptions"
        }
    };
    if !options.is_empty() {
        out.insert(place.into(), Value::Object(options));
    }
    Ok(Value::Object(out))
}

/// A mount in the words of the options, without what isn't set.
fn flat_mount(mount: &Value) -> Value {
    let fields = [
        ("type", "/Type"),
        ("source", "/Source"),
        ("target", "/Target"),
        ("read_only", "/ReadOnly"),
        ("consistency", "/Consistency"),
        ("propagation", "/BindOptions/Propagation"),
        ("no_copy", "/VolumeOptions/NoCopy"),
        ("labels", "/VolumeOptions/Labels"),
        ("volume_driver", "/VolumeOptions/DriverConfig/Name"),
        ("volume_options", "/VolumeOptions/DriverConfig/Options"),
        ("tmpfs_size", "/TmpfsOptions/SizeBytes"),
        ("tmpfs_mode", "/TmpfsOptions/Mode"),
    ];
    let mut out = Map::new();
    for (name, place) in fields {
        let value = mount.pointer(place).cloned().unwrap_or(Value::Null);
        if !matches!(&value, Value::Null | Value::Bool(false)) && value != "" {
            out.insert(name.into(), value);
        }
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_and_back() {
        let wanted = json!({"type": "tmpfs", "target": "/t", "source": null, "tmpfs_size": "1M"});
        let sent = mount(&wanted).expect("a mount");
        assert_eq!(sent["TmpfsOptions"]["SizeBytes"], 1_048_576);
        assert_eq!(flat_mount(&sent), json!({"type": "tmpfs", "target": "/t", "tmpfs_size": 1_048_576}));
        assert!(mount(&json!({"type": "bind", "target": "/t"})).is_err());
        assert!(mount(&json!({"type": "bind", "source": "/", "target": "/t", "no_copy": true})).is_err());
    }
}
