//! From a source's text to hosts and groups: which kinds are tried, in which order, and what is said when none fits.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use pileus_jinja::value::repr_str;
use pileus_jinja::{Origin, Value};
use regex::Regex;

use super::data::Data;
use super::manager::Sources;
use super::python::{self, Answer};
use super::{Beside, address, ini, named, script, toml, yaml};
use crate::source::{Loader, paths};
use crate::{Error, config, display};

/// The kinds read without Python.
const NATIVE: [&str; 9] =
    ["advanced_host_list", "auto", "constructed", "generator", "host_list", "ini", "script", "toml", "yaml"];

/// Reads every source.
///
/// # Errors
/// Where one cannot be read and the settings make that an error.
pub fn read(wanted: &Sources, loader: &Loader, beside: &Beside) -> Result<Data, Error> {
    let mut reader =
        Reader { data: Data::default(), wanted, loader, beside, processed: Vec::new(), ignored: ignored() };
    let mut parsed = false;
    for source in &wanted.list {
        if !source.is_empty() {
            if let Some((read, rest)) = named::of(source) {
                reader.data.source = None;
                named::parse(&mut reader.data, source, read, rest)?;
                parsed = true;
                continue;
            }
            let source = if source.contains(',') { source.clone() } else { paths::unfrack(source) };
            parsed |= reader.source(&source)?;
        }
    }
    if parsed {
        reader.data.reconcile();
    } else if config::current().bool("INVENTORY_UNPARSED_IS_FAILED") {
        return Err(Error::new("No inventory was parsed, please check your configuration and options."));
    } else if config::current().bool("INVENTORY_UNPARSED_WARNING") {
        display::warning("No inventory was parsed, only implicit localhost is available");
    }
    Ok(reader.data)
}

/// The directories of sources, each once.
pub fn directories(list: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for source in list {
        if source.is_empty()
            || named::of(source).is_some()
            || (source.contains(',') && !Path::new(source).exists())
        {
            continue;
        }
        let full = paths::unfrack(source);
        let path = Path::new(&full);
        let dir = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
        let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned()).to_string_lossy().into_owned();
        if !out.contains(&dir) {
            out.push(dir);
        }
    }
    out
}

fn ignored() -> Option<Regex> {
    let mut parts: Vec<String> =
        [r"^\.", "^host_vars$", "^group_vars$", "^vars_plugins$"].map(String::from).into();
    parts.extend(config::current().list("INVENTORY_IGNORE_PATTERNS"));
    parts.extend(
        config::current().list("INVENTORY_IGNORE_EXTS").iter().map(|e| format!("{}$", regex::escape(e))),
    );
    Regex::new(&parts.join("|")).ok()
}

struct Reader<'a> {
    data: Data,
    wanted: &'a Sources,
    loader: &'a Loader,
    beside: &'a Beside,
    processed: Vec<String>,
    ignored: Option<Regex>,
}

/// What stands for the place of a plugin's failure.
fn of_plugin(kind: &str, source: &str) -> Option<Arc<Origin>> {
    let file = format!("<inventory plugin {} with source {}>", repr_str(kind), repr_str(source));
    Some(Arc::new(Origin { file: file.into(), line: 0, column: 0, sealed: None }))
}

/// Whether a file begins with a section and goes on with a plain line, which is never YAML: after a whole flow sequence
/// no further text may stand there.
fn plainly_ini(source: &str) -> bool {
    let Ok(file) = fs::File::open(source) else { return false };
    let mut lines = BufReader::new(file)
        .lines()
        .map_while(Result::ok)
        .filter(|l| !l.trim().is_empty() && !l.starts_with('#'));
    let section = |l: &str| {
        let inner = l.strip_prefix('[').and_then(|l| l.strip_suffix(']'));
        inner.is_some_and(|l| {
            !l.is_empty() && l.chars().all(|c| c.is_ascii_alphanumeric() || "_-:".contains(c))
        })
    };
    lines.next().is_some_and(|l| section(&l))
        && lines.next().is_some_and(|l| l.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

impl Reader<'_> {
    fn source(&mut self, source: &str) -> Result<bool, Error> {
        if !Path::new(source).is_dir() {
            return self.file(source);
        }
        let mut names: Vec<String> = fs::read_dir(source)
            .map_err(|e| Error::new(format!("Unable to read {source}")).because(crate::os_error(&e, source)))?
            .flatten()
            .filter_map(|e| e.file_name().into_string().ok())
            .collect();
        names.sort();
        let mut parsed = false;
        for name in names {
            if !self.ignored.as_ref().is_some_and(|i| i.is_match(&name)) {
                parsed |= self.source(&format!("{}/{name}", source.trim_end_matches('/')))?;
            }
        }
        Ok(parsed)
    }

    fn file(&mut self, source: &str) -> Result<bool, Error> {
        self.data.source = Some(source.into());
        let mut failures = Vec::new();
        let mut value = None;
        let mut parsed = false;
        // Where `ini` can read the file, a whole attempt at YAML that is bound to fail needn't be made.
        let mut postponed = None;
        let enabled = config::current().list("INVENTORY_ENABLED");
        let ini = enabled.iter().any(|k| k.strip_prefix("ansible.builtin.").unwrap_or(k) == "ini");
        for kind in enabled {
            let short = kind.strip_prefix("ansible.builtin.").unwrap_or(&kind);
            if !wants(short, source) {
                display::verbose(
                    3,
                    &format!("{kind} declined parsing {source} as it did not pass its verify_file() method"),
                );
                continue;
            }
            if short == "yaml" && ini && value.is_none() && plainly_ini(source) {
                postponed = Some((failures.len(), kind));
                continue;
            }
            let result = match NATIVE.contains(&short) {
                true => self.with(short, source, &mut value),
                false => match python::parse(&mut self.data, &kind, source) {
                    Ok(Answer::Parsed) => Ok(()),
                    Ok(Answer::Declined) => {
                        display::verbose(
                            3,
                            &format!(
                                "{kind} declined parsing {source} as it did not pass its verify_file() method"
                            ),
                        );
                        continue;
                    }
                    Ok(Answer::Missing) => {
                        display::warning(&format!("Failed to load inventory plugin, skipping {kind}"));
                        continue;
                    }
                    Err(e) => Err(e),
                },
            };
            match result {
                Ok(()) => {
                    display::verbose(3, &format!("Parsed {source} inventory source with {kind} plugin"));
                    parsed = true;
                    break;
                }
                Err(e) => {
                    let origin = of_plugin(&kind, source);
                    failures.push((kind, e.at(origin)));
                }
            }
        }
        if let Some((at, kind)) = postponed.filter(|_| !parsed)
            && let Err(e) = self.with("yaml", source, &mut value)
        {
            let origin = of_plugin(&kind, source);
            failures.insert(at, (kind, e.at(origin)));
        }
        self.data.source = None;
        if parsed {
            self.processed.push(source.to_owned());
        } else if source != "/etc/ansible/hosts" || Path::new(source).exists() {
            for (kind, e) in failures {
                display::warning_of(
                    &Error::new(format!("Failed to parse inventory with '{kind}' plugin.")).because(e),
                );
            }
            if config::current().bool("INVENTORY_ANY_UNPARSED_IS_FAILED") {
                return Err(Error::new(format!("Completely failed to parse inventory source {source}")));
            }
            display::warning(&format!("Unable to parse {source} as an inventory source"));
        }
        Ok(parsed)
    }

    /// The source's value as YAML or JSON, read once for the kinds that need it.
    fn value(&self, source: &str, kept: &mut Option<Result<Value, Error>>) -> Result<Value, Error> {
        kept.get_or_insert_with(|| self.loader.load_fresh(source, true)).clone()
    }

    fn with(
        &mut self,
        kind: &str,
        source: &str,
        kept: &mut Option<Result<Value, Error>>,
    ) -> Result<(), Error> {
        match kind {
            "host_list" | "advanced_host_list" => self.list(source, kind == "advanced_host_list"),
            "script" => script::parse(&mut self.data, source),
            "auto" => {
                let value = self.value(source, kept)?;
                self.auto(source, &value)
            }
            "yaml" => {
                // the reference keeps the message only, not the place
                let value = self.value(source, kept).map_err(|e| Error::parser(e.brief()))?;
                yaml::parse(&mut self.data, &value)
            }
            "ini" => {
                let text = self.loader.text(source)?;
                ini::parse(&mut self.data, &text.text, &text.file)
            }
            "toml" => {
                let text = self.loader.text(source)?;
                toml::parse(&mut self.data, &text.text, &text.file)
            }
            "constructed" | "generator" => {
                let value = self.value(source, kept)?;
                self.plugin(kind, kind, source, &value)
            }
            other => Err(Error::new(format!("no inventory plugin '{other}'"))),
        }
    }

    fn list(&mut self, source: &str, ranges: bool) -> Result<(), Error> {
        for item in source.split(',').map(str::trim).filter(|i| !i.is_empty()) {
            let (names, port) = if ranges {
                match address::expand(item) {
                    Ok(expanded) => expanded,
                    // what looks like a range and isn't written as one stays as it is; a wrong bound is told
                    Err(e) if !e.brief().starts_with("invalid literal") => {
                        let told = "Unable to parse address from hostname, leaving unchanged";
                        display::verbose(3, &format!("{told}: {}", e.brief()));
                        (vec![item.to_owned()], None)
                    }
                    Err(e) => {
                        let told = "Invalid data from string, could not parse";
                        return Err(Error::parser(format!("{told}: {}", e.brief())));
                    }
                }
            } else {
                let (name, port) = address::parse(item, false).unwrap_or((item, None));
                (vec![name.to_owned()], port)
            };
            for name in names {
                if self.data.host(&name).is_none() {
                    self.data.add_host(&name, Some(1), port)?;
                }
            }
        }
        Ok(())
    }

    fn auto(&mut self, source: &str, value: &Value) -> Result<(), Error> {
        let name =
            value.as_dict().and_then(|d| d.get("plugin")).and_then(|p| p.to_text().ok()).unwrap_or_default();
        if name.is_empty() {
            return Err(Error::parser(format!(
                "no root 'plugin' key found, '{source}' is not a valid YAML inventory plugin config file"
            )));
        }
        let short = name.strip_prefix("ansible.builtin.").unwrap_or(&name);
        if !matches!(short, "constructed" | "generator") {
            return match python::parse(&mut self.data, &name, source)? {
                Answer::Parsed => Ok(()),
                Answer::Declined => Err(Error::parser(format!(
                    "inventory source '{source}' could not be verified by inventory plugin '{name}'"
                ))),
                Answer::Missing => Err(Error::parser(format!(
                    "inventory config '{source}' specifies unknown plugin '{name}'"
                ))),
            };
        }
        display::verbose(
            1,
            &format!("Using inventory plugin '{name}' to process inventory source '{source}'"),
        );
        self.plugin(short, &name, source, value)
    }

    fn plugin(&mut self, kind: &str, name: &str, source: &str, value: &Value) -> Result<(), Error> {
        if !value.truth()? {
            return Err(Error::parser(format!("{source} is empty")));
        }
        let given = value.as_dict().and_then(|d| d.get("plugin")).map(|p| p.to_text()).transpose()?;
        let fits = given
            .as_deref()
            .is_some_and(|g| g == kind || g == name || g == format!("ansible.builtin.{kind}"));
        let Some(options) = value.as_dict().filter(|_| fits) else {
            return Err(Error::parser(format!(
                "Incorrect plugin name in file: {}",
                given.as_deref().unwrap_or("none found")
            )));
        };
        super::templated(
            kind,
            &mut self.data,
            options,
            source,
            self.wanted,
            &self.processed,
            self.loader,
            self.beside,
        )
    }
}

/// Whether a source is one that `kind` reads.
fn wants(kind: &str, source: &str) -> bool {
    let path = Path::new(source);
    let file = fs::File::open(path).is_ok();
    let extension = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    let yaml = |extra: &str| {
        extension.is_empty()
            || extension == extra
            || config::current().list("YAML_FILENAME_EXTENSIONS").contains(&extension)
    };
    match kind {
        "host_list" | "advanced_host_list" => !path.exists() && source.contains(','),
        "script" => file && fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o111 != 0),
        "auto" => file && (source.ends_with(".yml") || source.ends_with(".yaml")),
        "yaml" => {
            let known = config::current().plugin("inventory", "yaml", "yaml_extensions");
            let known = known.ok().and_then(|s| s.value.as_array().cloned()).unwrap_or_default();
            file && (extension.is_empty() || known.iter().any(|e| e.as_str() == Some(&extension)))
        }
        "ini" => file && extension != ".toml",
        "toml" => file && extension == ".toml",
        "constructed" | "generator" => file && yaml(".config"),
        _ => true,
    }
}
