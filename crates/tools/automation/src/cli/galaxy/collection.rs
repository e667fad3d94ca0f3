//! Collections: installed with the manifests that an archive brings or a directory is given, and listed.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use pileus_jinja::Value;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::{Source, fetch, say};
use crate::playbook::keyword::items;
use crate::source::Loader;
use crate::{Error, display, os_error};

/// A collection that was fetched.
struct Found {
    name: String,
    version: String,
    dependencies: Vec<String>,
    /// `collection_info` of a manifest.
    info: Json,
    built: bool,
    ignore: Vec<String>,
}

/// Installs `sources` into `place`.
///
/// # Errors
/// Where one cannot be fetched, is no collection, or its files aren't what its manifest says.
pub fn install(place: &str, sources: &[Source], force: bool) -> Result<(), Error> {
    say("Starting galaxy collection install process");
    say("Process install dependency map");
    say("Starting collection install process");
    let base = match Path::new(place).file_name() {
        Some(n) if n == "ansible_collections" => PathBuf::from(place),
        _ => Path::new(place).join("ansible_collections"),
    };
    for source in sources {
        let fetched = fetch::fetch(source)?;
        let found = describe(&fetched.path, &source.place)?;
        let to = base.join(found.name.replacen('.', "/", 1));
        if to.exists() && !force && version_of(&to).as_deref() == Some(found.version.as_str()) {
            say(
                "Nothing to do. All requested collections are already installed. If you want to reinstall them, consider using `--force`.",
            );
            continue;
        }
        say(&format!("Installing '{}:{}' to '{}'", found.name, found.version, to.display()));
        if found.built {
            verify(&fetched.path, &found.name)?;
            fetch::place(&fetched.path, &to, &|_| false)?;
        } else {
            let skip = |below: &Path| {
                let text = below.display().to_string();
                text == ".git" || text == "galaxy.yml" || found.ignore.iter().any(|i| wild(i, &text))
            };
            fetch::place(&fetched.path, &to, &skip)?;
            manifest(&to, &found)?;
            if fetched.own {
                say(&format!("Created collection for {}:{} at {}", found.name, found.version, to.display()));
            }
        }
        say(&format!("{}:{} was installed successfully", found.name, found.version));
        for needed in &found.dependencies {
            if !base.join(needed.replacen('.', "/", 1)).is_dir() {
                display::warning(&format!(
                    "{} depends on {needed}, which is not installed and no server is asked for it",
                    found.name
                ));
            }
        }
    }
    Ok(())
}

fn read_json(path: &Path) -> Option<Json> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn version_of(path: &Path) -> Option<String> {
    let info = read_json(&path.join("MANIFEST.json"))?;
    info["collection_info"]["version"].as_str().map(str::to_owned)
}

/// What the manifest or `galaxy.yml` in `path` says.
fn describe(path: &Path, place: &str) -> Result<Found, Error> {
    if let Some(manifest) = read_json(&path.join("MANIFEST.json")) {
        let info = manifest["collection_info"].clone();
        let text = |key: &str| info[key].as_str().unwrap_or_default().to_owned();
        let dependencies =
            info["dependencies"].as_object().map(|d| d.keys().cloned().collect()).unwrap_or_default();
        return named(Found {
            name: format!("{}.{}", text("namespace"), text("name")),
            version: text("version"),
            dependencies,
            info,
            built: true,
            ignore: Vec::new(),
        });
    }
    let file = path.join("galaxy.yml");
    if !file.is_file() {
        return Err(Error::new(format!(
            "The collection '{place}' does not contain the required file MANIFEST.json or galaxy.yml."
        )));
    }
    let value = Loader::new().load_fresh(&file.display().to_string(), false)?;
    let text = |key: &str| value.get(key).filter(|v| !v.is_none()).and_then(|v| v.to_text().ok());
    let list = |key: &str| -> Vec<String> {
        value
            .get(key)
            .map(|v| items(&v))
            .unwrap_or_default()
            .iter()
            .filter_map(|v| v.to_text().ok())
            .collect()
    };
    let dependencies = value.get("dependencies").and_then(|d| d.as_dict().cloned());
    let mut info = value.to_json();
    if let Some(map) = info.as_object_mut() {
        map.shift_remove("build_ignore");
    }
    named(Found {
        name: format!("{}.{}", text("namespace").unwrap_or_default(), text("name").unwrap_or_default()),
        version: text("version").unwrap_or_else(|| "*".into()),
        dependencies: dependencies
            .map(|d| d.keys().iter().filter_map(|k| k.to_text().ok()).collect())
            .unwrap_or_default(),
        info,
        built: false,
        ignore: list("build_ignore"),
    })
}

/// Refuses a name that is no `namespace.name`: it becomes a path.
fn named(found: Found) -> Result<Found, Error> {
    let parts: Vec<&str> = found.name.split('.').collect();
    let fine = |p: &&str| !p.is_empty() && p.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if parts.len() == 2 && parts.iter().all(fine) {
        return Ok(found);
    }
    Err(Error::new(format!(
        "Invalid collection name '{}', name must be in the format <namespace>.<collection>",
        found.name
    )))
}

fn checksum(path: &Path) -> Result<String, Error> {
    let name = path.display().to_string();
    let fail = |e: std::io::Error| Error::new(format!("Failed to read {name}")).because(os_error(&e, &name));
    let mut file = fs::File::open(path).map_err(fail)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 65536];
    loop {
        let n = file.read(&mut buffer).map_err(fail)?;
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// Whether the files are those of the manifest.
fn verify(path: &Path, name: &str) -> Result<(), Error> {
    let manifest = read_json(&path.join("MANIFEST.json")).unwrap_or_default();
    let differs =
        |file: &str| Error::new(format!("Checksum mismatch for '{file}' inside collection '{name}'"));
    let list = path.join("FILES.json");
    if manifest["file_manifest_file"]["chksum_sha256"].as_str() != Some(checksum(&list)?.as_str()) {
        return Err(differs("FILES.json"));
    }
    let files = read_json(&list).unwrap_or_default();
    for entry in files["files"].as_array().into_iter().flatten() {
        let file = entry["name"].as_str().unwrap_or_default();
        if file.starts_with('/') || file.split('/').any(|p| p == "..") {
            return Err(Error::new(format!(
                "Cannot extract '{file}' as it is outside the collection's directory"
            )));
        }
        if entry["ftype"] == "file"
            && entry["chksum_sha256"].as_str() != Some(checksum(&path.join(file))?.as_str())
        {
            return Err(differs(file));
        }
    }
    Ok(())
}

/// Writes the manifests of a collection that was installed from its sources.
fn manifest(to: &Path, found: &Found) -> Result<(), Error> {
    let mut files =
        vec![json!({ "name": ".", "ftype": "dir", "chksum_type": null, "chksum_sha256": null, "format": 1 })];
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        let mut entries: Vec<_> =
            fs::read_dir(to.join(&below)).map(|e| e.flatten().collect()).unwrap_or_default();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = below.join(entry.file_name());
            let name = path.display().to_string();
            if entry.path().is_dir() {
                files.push(json!({ "name": name, "ftype": "dir", "chksum_type": null, "chksum_sha256": null, "format": 1 }));
                open.push(path);
            } else {
                let sum = checksum(&entry.path())?;
                files.push(json!({ "name": name, "ftype": "file", "chksum_type": "sha256", "chksum_sha256": sum, "format": 1 }));
            }
        }
    }
    write(&to.join("FILES.json"), &json!({ "files": files, "format": 1 }))?;
    let sum = checksum(&to.join("FILES.json"))?;
    let listed = json!({ "name": "FILES.json", "ftype": "file", "chksum_type": "sha256", "chksum_sha256": sum, "format": 1 });
    write(
        &to.join("MANIFEST.json"),
        &json!({ "collection_info": found.info, "file_manifest_file": listed, "format": 1 }),
    )
}

fn write(path: &Path, value: &Json) -> Result<(), Error> {
    let name = path.display().to_string();
    fs::write(path, crate::callback::json::dumps(&Value::from(value), Some(1), true))
        .map_err(|e| Error::new(format!("Failed to write {name}")).because(os_error(&e, &name)))
}

/// Shell-like matching of `*` and `?`.
fn wild(pattern: &str, text: &str) -> bool {
    fn at(p: &[u8], t: &[u8]) -> bool {
        match p.split_first() {
            None => t.is_empty(),
            Some((b'*', rest)) => (0..=t.len()).any(|i| at(rest, &t[i..])),
            Some((b'?', rest)) => !t.is_empty() && at(rest, &t[1..]),
            Some((c, rest)) => t.first() == Some(c) && at(rest, &t[1..]),
        }
    }
    at(pattern.as_bytes(), text.as_bytes())
}

/// Lists the collections in `place`.
pub fn list(place: &str, names: &[String]) {
    let base = Path::new(place).join("ansible_collections");
    let mut found: Vec<(String, String)> = Vec::new();
    for namespace in fs::read_dir(&base).into_iter().flatten().flatten() {
        for entry in fs::read_dir(namespace.path()).into_iter().flatten().flatten() {
            let space = namespace.file_name().to_string_lossy().into_owned();
            let name = format!("{space}.{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() && (names.is_empty() || names.contains(&name)) {
                found.push((name, version_of(&entry.path()).unwrap_or_else(|| "*".into())));
            }
        }
    }
    if found.is_empty() {
        return;
    }
    found.sort();
    let wide = found.iter().map(|f| f.0.len()).max().unwrap_or(0).max("Collection".len());
    let versions = found.iter().map(|f| f.1.len()).max().unwrap_or(0).max("Version".len());
    say(&format!("\n# {}", base.display()));
    say(&format!("{:wide$} {:versions$}", "Collection", "Version"));
    say(&format!("{} {}", "-".repeat(wide), "-".repeat(versions)));
    for (name, version) in found {
        say(&format!("{name:wide$} {version:versions$}"));
    }
}
