//! `ansible-pull`: fetches a repository of playbooks to this host and runs one of them here.
//!
//! Both steps are programs of the family: `ansible -m git …`, then `ansible-playbook`.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::config::Config;
use crate::source::paths;
use crate::{Error, display};

use super::args::{Count, Given, Grammar, Takes, flag};
use super::{common, flags};

/// The modules that fetch a repository.
const KINDS: [&str; 4] = ["git", "subversion", "hg", "bzr"];
/// The playbook where none is named and none has the host's name.
const LOCAL: &str = "local.yml";

fn grammar() -> Grammar {
    let runas =
        flags::runas().into_iter().filter(|f| f.dest.contains("ask_pass") || f.dest.contains("password"));
    let mut g = Grammar::new("ansible-pull", "pulls playbooks from a VCS repo and executes them on target host")
        .arguments(Count::Any, "playbook.yml", "Playbook(s)")
        .with(flags::base())
        .with(flags::connect())
        .with(flags::vaults())
        .with([flags::extra_vars()])
        .with(flags::tags())
        .with(flags::inventory())
        .with([flags::module_path()])
        .with(runas)
        .with([
            flag(&["--purge"], "purge", Takes::Flag, "purge checkout after playbook run"),
            flag(
                &["-o", "--only-if-changed"],
                "ifchanged",
                Takes::Flag,
                "only run the playbook if the repository has been updated",
            ),
            flag(
                &["-s", "--sleep"],
                "sleep",
                Takes::Int,
                "sleep for random interval (between 0 and n number of seconds) before starting. This is a useful way \
                 to disperse git requests",
            ),
            flag(
                &["-f", "--force"],
                "force",
                Takes::Flag,
                "run the playbook even if the repository could not be updated",
            ),
            flag(
                &["-d", "--directory"],
                "dest",
                Takes::Value,
                "path to the directory to which Ansible will checkout the repository.",
            ),
            flag(&["-U", "--url"], "url", Takes::Value, "URL of the playbook repository"),
            flag(&["--full"], "fullclone", Takes::Flag, "Do a full clone, instead of a shallow one."),
            flag(
                &["-C", "--checkout"],
                "checkout",
                Takes::Value,
                "branch/tag/commit to checkout. Defaults to behavior of repository module.",
            ),
            flag(
                &["--accept-host-key"],
                "accept_host_key",
                Takes::Flag,
                "adds the hostkey for the repo url if not already added",
            ),
            flag(
                &["-m", "--module-name"],
                "module_name",
                Takes::Value,
                "Repository module name, which ansible will use to check out the repo. Choices are ('git', \
                 'subversion', 'hg', 'bzr'). Default is git.",
            ),
            flag(
                &["--verify-commit"],
                "verify",
                Takes::Flag,
                "verify GPG signature of checked out commit, if it fails abort running the playbook. This needs the \
                 corresponding VCS module to support such an operation",
            ),
            flag(
                &["--clean"],
                "clean",
                Takes::Flag,
                "modified files in the working repository will be discarded",
            ),
            flag(
                &["--track-subs"],
                "tracksubs",
                Takes::Flag,
                "submodules will track the latest changes. This is equivalent to specifying the --remote flag to git \
                 submodule update",
            ),
            flag(
                &["--check"],
                "check",
                Takes::Flag,
                "don't make any changes; instead, try to predict some of the changes that may occur",
            ),
            flag(
                &["--diff"],
                "diff",
                Takes::Flag,
                "when changing (small) files and templates, show the differences in those files; works great with \
                 --check",
            ),
        ]);
    g.groups = vec![flags::CONNECTION_GROUP];
    g
}

/// The whole program; the exit code.
pub fn main(args: &[OsString]) -> i32 {
    common::run(&grammar(), args, |given, config| run(given, config, args))
}

/// This host's names: as it calls itself, in full, and without the domain.
fn names() -> Vec<String> {
    let node = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let full = hosts
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().split_whitespace().skip(1).collect::<Vec<_>>())
        .find(|names| names.contains(&node.as_str()))
        .and_then(|names| names.first().map(|n| (*n).to_owned()))
        .unwrap_or_else(|| node.clone());
    let mut out = Vec::new();
    for name in [&full, &node] {
        for name in [name.as_str(), name.split('.').next().unwrap_or_default()] {
            if !name.is_empty() && !out.iter().any(|n| n == name) {
                out.push(name.to_owned());
            }
        }
    }
    out
}

/// Runs a program of the family with its output shown as it comes; its exit code and output.
pub(super) fn child(program: &str, args: &[String], dir: Option<&Path>) -> Result<(i32, String), Error> {
    let failed = |e: std::io::Error| Error::new(format!("{program} cannot be run: {e}"));
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.arg0(program).args(args).stdout(Stdio::piped());
    if let Some(dir) = dir {
        command.current_dir(dir);
    }
    let mut child = command.spawn().map_err(failed)?;
    let mut text = String::new();
    if let Some(out) = child.stdout.take() {
        let mut lines = BufReader::new(out);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).map_err(failed)? > 0 {
            let mut stdout = std::io::stdout().lock();
            // who reads us may have gone
            let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
            text.push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    }
    let status = child.wait().map_err(failed)?;
    Ok((status.code().unwrap_or(250), text))
}

/// A word for the text of a module's arguments.
fn quoted(text: &str) -> String {
    if text.contains([' ', '"', '\'', '\\']) {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        text.to_owned()
    }
}

/// The arguments of the module that fetches.
fn fetching(given: &Given, kind: &str, url: &str, dest: &str) -> String {
    let name = if matches!(kind, "git" | "bzr") { "name" } else { "repo" };
    let mut out = format!("{name}={} dest={}", quoted(url), quoted(dest));
    if let Some(version) = given.value("checkout") {
        let name = if matches!(kind, "git" | "bzr") { "version" } else { "revision" };
        out.push_str(&format!(" {name}={}", quoted(version)));
    }
    if kind == "git" {
        for (dest, word) in [
            ("accept_host_key", "accept_hostkey=yes"),
            ("verify", "verify_commit=yes"),
            ("tracksubs", "track_submodules=yes"),
        ] {
            if given.on(dest) {
                out.push_str(&format!(" {word}"));
            }
        }
        if let Some(key) = given.value("private_key_file") {
            out.push_str(&format!(" key_file={}", quoted(&paths::unfrack(key))));
        }
        if !given.on("fullclone") {
            out.push_str(" depth=1");
        }
    } else if kind == "subversion" && !given.on("fullclone") {
        out.push_str(" export=yes");
    }
    if given.on("clean") {
        out.push_str(" force=yes");
    }
    out
}

/// The playbooks to run, below the checkout.
fn playbooks(given: &Given, dest: &Path) -> Result<Vec<String>, Error> {
    let why = |path: &Path| match std::fs::File::open(path) {
        Ok(_) => None,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Some(format!("{}: File does not exist", path.display()))
        }
        Err(_) => Some(format!("{}: File is not readable", path.display())),
    };
    let named = !given.args.is_empty();
    let candidates: Vec<PathBuf> = if named {
        given.args.iter().map(|name| dest.join(name)).collect()
    } else {
        let own = names().into_iter().map(|n| format!("{n}.yml")).chain([LOCAL.to_owned()]);
        own.map(|name| dest.join(name)).collect()
    };
    let wrong: Vec<String> = candidates.iter().filter_map(|p| why(p)).collect();
    let found: Vec<String> =
        candidates.iter().filter(|p| why(p).is_none()).map(|p| p.display().to_string()).collect();
    let enough = if named { wrong.is_empty() } else { !found.is_empty() };
    if !enough {
        display::warning(&wrong.join("\n"));
        return Err(Error::options("Could not find a playbook to run."));
    }
    Ok(if named { found } else { found.into_iter().take(1).collect() })
}

fn run(given: &Given, config: &Config, words: &[OsString]) -> Result<i32, Error> {
    let Some(url) = given.value("url") else {
        return Err(Error::options("URL for repository not specified, use -h for help"));
    };
    let kind = given.value("module_name").unwrap_or("git");
    if !KINDS.contains(&kind) {
        return Err(Error::options(format!(
            "Unsupported ({kind}) SCM module for pull, choices are: {}",
            KINDS.join(",")
        )));
    }
    let dest = match given.value("dest") {
        Some(dest) => paths::unfrack(dest),
        None => {
            let home = config.text("ANSIBLE_HOME").unwrap_or("~/.ansible");
            paths::unfrack(&format!("{home}/pull/{}", names().first().map_or("localhost", String::as_str)))
        }
    };
    let dest = PathBuf::from(dest);
    if dest.exists() && !dest.is_dir() {
        return Err(Error::options(format!("{} is not a valid or accessible directory.", dest.display())));
    }
    let here = jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::system());
    // a format of ours is never refused
    display::out(&jiff::fmt::strtime::format("Starting Ansible Pull at %F %T", &here).unwrap_or_default());
    let shown = words.iter().map(|w| w.to_string_lossy());
    display::out(&std::iter::once("ansible-pull".into()).chain(shown).collect::<Vec<_>>().join(" "));
    let limit = format!("localhost,{},127.0.0.1", names().join(","));
    let mut common: Vec<String> = vec!["-c".into(), "local".into()];
    common.extend(std::iter::repeat_n("-v".to_owned(), given.count("verbosity") as usize));
    let extra: Vec<String> =
        given.values("extra_vars").iter().flat_map(|e| ["-e".to_owned(), e.clone()]).collect();
    let inventory = || -> Vec<String> {
        let there = |i: &&String| i.contains(',') || dest.join(i).exists() || i.starts_with("pileus:");
        given.values("inventory").iter().filter(there).flat_map(|i| ["-i".to_owned(), i.clone()]).collect()
    };
    let mut fetch = match inventory() {
        own if own.is_empty() => vec!["-i".to_owned(), "localhost,".to_owned()],
        own => own,
    };
    fetch.extend(common.clone());
    let dest_text = dest.display().to_string();
    for word in ["-m", kind, "-a", &fetching(given, kind, url, &dest_text), "all", "-l", &limit] {
        fetch.push(word.to_owned());
    }
    fetch.extend(extra.clone());
    if let Some(n) = given.int("sleep").filter(|n| *n > 0) {
        let n = rand::random::<u64>() % (n.unsigned_abs() + 1);
        display::out(&format!("Sleeping for {n} seconds..."));
        crate::delay::asked(Duration::from_secs(n));
    }
    let (code, said) = child("ansible", &fetch, None)?;
    if code != 0 {
        if !given.on("force") {
            return Ok(code);
        }
        display::warning("Unable to update repository. Continuing with (forced) run of playbook.");
    } else if given.on("ifchanged") {
        let changed = ["\"changed\": true", "changed: True", "| CHANGED =>"].iter().any(|w| said.contains(w));
        if !changed {
            display::out("Repository has not changed, quitting.");
            return Ok(0);
        }
    }
    let mut play = common;
    play.extend(playbooks(given, &dest)?);
    for (dest, option) in [
        ("become_password_file", "--become-password-file"),
        ("connection_password_file", "--connection-password-file"),
    ] {
        play.extend(given.value(dest).map(|v| format!("{option}={v}")));
    }
    for (dest, option) in [("vault_password_files", "--vault-password-file"), ("vault_ids", "--vault-id")] {
        play.extend(given.values(dest).iter().map(|v| format!("{option}={v}")));
    }
    play.extend(extra);
    for (dest, option) in [
        ("become_ask_pass", "--ask-become-pass"),
        ("check", "-C"),
        ("diff", "-D"),
        ("flush_cache", "--flush-cache"),
        ("listhosts", "--list-hosts"),
    ] {
        if given.on(dest) {
            play.push(option.to_owned());
        }
    }
    for (dest, option) in [("tags", "-t"), ("skip_tags", "--skip-tags")] {
        if !given.values(dest).is_empty() {
            play.extend([option.to_owned(), given.values(dest).join(",")]);
        }
    }
    play.extend(["-l".to_owned(), given.value("subset").map_or(limit, str::to_owned)]);
    play.extend(inventory());
    let (code, _) = child("ansible-playbook", &play, Some(&dest))?;
    if given.on("purge")
        && let Err(e) = std::fs::remove_dir_all(&dest)
    {
        display::error_text(&format!("Failed to remove {}: {e}", dest.display()));
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_arguments_are_quoted() {
        assert_eq!(quoted("https://a/b.git"), "https://a/b.git");
        assert_eq!(quoted("/a b\"c"), "\"/a b\\\"c\"");
    }
}
