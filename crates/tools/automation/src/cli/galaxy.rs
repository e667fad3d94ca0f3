//! `ansible-galaxy`: collections and roles from archives, directories and git repositories; what is installed.
//!
//! A server's list of versions is not asked: a name without a place is refused.

mod collection;
mod fetch;
mod role;

use std::ffi::OsString;

use pileus_jinja::Value;

use super::args::{Count, Given, Grammar, Takes, flag};
use super::{common, flags};
use crate::config::Config;
use crate::playbook::keyword::items;
use crate::source::{Loader, paths};
use crate::{Error, display};

/// What is asked for, by its first two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    InstallCollections,
    ListCollections,
    InstallRoles,
    ListRoles,
    RemoveRoles,
}

fn wanted(words: &[&str]) -> Option<(Wanted, usize)> {
    Some(match words {
        ["collection", "install", ..] => (Wanted::InstallCollections, 2),
        ["collection", "list", ..] => (Wanted::ListCollections, 2),
        ["role", "install", ..] => (Wanted::InstallRoles, 2),
        ["role", "list", ..] => (Wanted::ListRoles, 2),
        ["role", "remove", ..] => (Wanted::RemoveRoles, 2),
        ["install", ..] => (Wanted::InstallRoles, 1),
        ["list", ..] => (Wanted::ListRoles, 1),
        ["remove", ..] => (Wanted::RemoveRoles, 1),
        _ => return None,
    })
}

fn grammar(what: Wanted) -> Grammar {
    let (program, about) = match what {
        Wanted::InstallCollections => (
            "ansible-galaxy collection install",
            "Install one or more collections from files, directories or git repositories.",
        ),
        Wanted::ListCollections => ("ansible-galaxy collection list", "List installed collections."),
        Wanted::InstallRoles => {
            ("ansible-galaxy role install", "Install roles from files, directories or git repositories.")
        }
        Wanted::ListRoles => {
            ("ansible-galaxy role list", "Show the name and version of each role installed.")
        }
        Wanted::RemoveRoles => ("ansible-galaxy role remove", "Delete roles from roles_path."),
    };
    let path: &[&str] = match what {
        Wanted::InstallCollections | Wanted::ListCollections => &["-p", "--collections-path"],
        _ => &["-p", "--roles-path"],
    };
    Grammar::new(program, about)
        .arguments(Count::Any, "name", "What to install: a file, directory or git+URL[,version]")
        .with(flags::base())
        .with([
            flag(
                if path == ["-p", "--collections-path"] {
                    &["-p", "--collections-path"]
                } else {
                    &["-p", "--roles-path"]
                },
                "path",
                Takes::Value,
                "The directory to install into, or to look in",
            ),
            flag(
                &["-r", "--requirements-file", "--role-file"],
                "requirements",
                Takes::Value,
                "A file containing a list of what to install",
            ),
            flag(&["-f", "--force"], "force", Takes::Flag, "Force overwriting what is installed"),
            flag(&["-n", "--no-deps"], "no_deps", Takes::Flag, "Don't download what is depended on"),
            flag(&["-g", "--keep-scm-meta"], "keep", Takes::Flag, "Keep the repository's own files"),
        ])
}

/// The whole program; the exit code.
pub fn main(args: &[OsString]) -> i32 {
    let words: Vec<String> = args.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some((what, count)) = wanted(&words) else {
        let common =
            Grammar::new("ansible-galaxy", "Perform various Role and Collection related operations.")
                .arguments(Count::Any, "action", "collection install|list, role install|list|remove")
                .with(flags::base());
        return common::run(&common, args, |_, _| {
            Err(Error::options(
                "ansible-galaxy collection install|list or role install|list|remove is needed",
            ))
        });
    };
    common::run(&grammar(what), &args[count..], |given, config| run(what, given, config))
}

fn run(what: Wanted, given: &Given, config: &'static Config) -> Result<i32, Error> {
    let places = match what {
        Wanted::InstallCollections | Wanted::ListCollections => "COLLECTIONS_PATHS",
        _ => "DEFAULT_ROLES_PATH",
    };
    let list = match given.value("path") {
        Some(path) => vec![paths::unfrack(path)],
        None => config.list(places).iter().map(|p| paths::unfrack(p)).collect(),
    };
    let Some(first) = list.first() else {
        return Err(Error::options("No directory to install into is configured"));
    };
    match what {
        Wanted::ListCollections => {
            for place in &list {
                collection::list(place, &given.args);
            }
        }
        Wanted::ListRoles => {
            for place in &list {
                role::list(place, &given.args);
            }
        }
        Wanted::RemoveRoles => role::remove(&list, &given.args)?,
        Wanted::InstallCollections => {
            let sources = sources(given, "collections")?;
            collection::install(first, &sources, given.on("force"))?;
        }
        Wanted::InstallRoles => {
            let sources = sources(given, "roles")?;
            role::install(first, &sources, given.on("force"), given.on("keep"))?;
        }
    }
    Ok(0)
}

/// One thing to install.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    /// The file, directory or URL.
    place: String,
    /// The name it is to have (roles).
    name: Option<String>,
    /// A tag, branch or commit.
    version: Option<String>,
    /// Whether it is a git repository.
    git: bool,
}

impl Source {
    /// `git+URL#subdirectory,version`, a file or directory, `place,version,name`.
    fn of(text: &str) -> Self {
        let mut parts = text.splitn(3, ',').map(str::trim);
        let place = parts.next().unwrap_or_default().to_owned();
        let version = parts.next().filter(|v| !v.is_empty()).map(str::to_owned);
        let name = parts.next().filter(|v| !v.is_empty()).map(str::to_owned);
        let git = place.starts_with("git+") || place.starts_with("git@");
        Self { place, name, version, git }
    }
    fn of_value(value: &Value) -> Option<Self> {
        if let Some(text) = value.as_str() {
            return Some(Self::of(text));
        }
        let text = |key: &str| value.get(key).filter(|v| !v.is_none()).and_then(|v| v.to_text().ok());
        let place = text("src").or_else(|| text("source")).or_else(|| text("name"))?;
        let mut out = Self::of(&place);
        out.git |= text("scm").or_else(|| text("type")).as_deref() == Some("git");
        out.version = text("version").filter(|v| v != "*").or(out.version);
        if text("src").is_some() {
            out.name = text("name").or(out.name);
        }
        Some(out)
    }
}

/// What the arguments and the file of requirements name.
fn sources(given: &Given, key: &str) -> Result<Vec<Source>, Error> {
    let mut out: Vec<Source> = given.args.iter().map(|a| Source::of(a)).collect();
    if let Some(file) = given.value("requirements") {
        let value = Loader::new().load_fresh(&paths::unfrack(file), false)?;
        let list = match &value {
            Value::Dict(d) => d.get(key).unwrap_or_default(),
            other => other.clone(),
        };
        for entry in items(&list) {
            let source = Source::of_value(&entry)
                .ok_or_else(|| Error::options(format!("Must specify name or src for: {}", entry.repr())))?;
            out.push(source);
        }
    }
    if out.is_empty() {
        return Err(Error::options(
            "You must specify a collection name or a requirements file."
                .replace("collection", key.trim_end_matches('s')),
        ));
    }
    Ok(out)
}

/// Says what goes on.
fn say(text: &str) {
    display::out(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_versions_and_names_are_told_apart() {
        let s = Source::of("git+https://example.org/r.git,v1,web");
        assert!(s.git);
        assert_eq!(s.version.as_deref(), Some("v1"));
        assert_eq!(s.name.as_deref(), Some("web"));
        assert!(!Source::of("./a-1.0.0.tar.gz").git);
    }
}
