//! `apt`: packages of Debian and its kin by their plain names, through apt-get(8) and dpkg-query(1); the package
//! lists' refresh. Versions, patterns, upgrades, files and the rarer switches are the module's in Python.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::cx::Cx;
use crate::map;
use crate::result::{Fail, Map, Reply};
use crate::sys::clock;
use crate::sys::process::{Exec, Output, quote};

/// What of the module is here.
pub fn covers(params: &Map) -> bool {
    let off = |name: &str| params.get(name).is_none_or(|v| v.is_null() || *v == false);
    let rare = [
        "deb",
        "default_release",
        "clean",
        "autoclean",
        "autoremove",
        "policy_rc_d",
        "only_upgrade",
        "force",
        "fail_on_autoremove",
        "allow_unauthenticated",
        "allow_downgrade",
        "allow_change_held_packages",
    ];
    let plain = |name: &str| {
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) && !name.is_empty()
    };
    let names = params.get("package").and_then(|v| v.as_array()).into_iter().flatten();
    rare.iter().all(|name| off(name))
        && params.get("upgrade").is_none_or(|v| v.is_null() || v == "no")
        && params.get("state").is_none_or(|v| v != "build-dep" && v != "fixed")
        && names.into_iter().all(|v| v.as_str().is_some_and(plain))
}

/// A package, as dpkg and the lists know it.
#[derive(Default, PartialEq, Debug)]
struct Package {
    installed: Option<String>,
    candidate: Option<String>,
    /// Removed, with its configuration still there.
    leftovers: bool,
}

/// The answer of `apt-cache policy`: the versions by name.
fn policy(text: &str) -> Vec<(String, Package)> {
    let mut all: Vec<(String, Package)> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_suffix(':').filter(|name| !name.starts_with(' ')) {
            all.push((name.to_string(), Package::default()));
        }
        let Some((key, value)) = line.trim().split_once(": ") else { continue };
        let Some((_, package)) = all.last_mut() else { continue };
        let version = (value != "(none)").then(|| value.to_string());
        match key {
            "Installed" => package.installed = version,
            "Candidate" => package.candidate = version,
            _ => {}
        }
    }
    all
}

fn exec(cx: &mut Cx<'_>, argv: &[&str]) -> Result<Output, Fail> {
    let mut exec = Exec::new(argv).locale_c();
    exec.env.extend(
        [("DEBIAN_FRONTEND", "noninteractive"), ("DEBIAN_PRIORITY", "critical")]
            .map(|(k, v)| (k.into(), v.into())),
    );
    cx.exec_with(exec).map_err(|e| Fail::msg(e.to_string()))
}

/// What is known of the packages, in the order asked for.
fn look(cx: &mut Cx<'_>, names: &[String]) -> Result<Vec<Package>, Fail> {
    let program = cx.find_bin("apt-cache").ok_or_else(|| Fail::hand_over("apt-cache is not here"))?;
    let mut argv = vec![program.as_str(), "policy"];
    argv.extend(names.iter().map(String::as_str));
    let done = exec(cx, &argv)?;
    if done.rc != 0 {
        return Err(Fail::hand_over(format!("apt-cache policy: {}", done.stderr().trim())));
    }
    let mut known = policy(&done.stdout());
    let mut found = Vec::new();
    for name in names {
        let at = known.iter().position(|(other, _)| other == name);
        let mut package = at.map(|at| known.swap_remove(at).1).unwrap_or_default();
        if package.installed.is_none() {
            let format = "${db:Status-Abbrev}";
            let state = exec(cx, &["dpkg-query", "-W", "-f", format, name])?;
            package.leftovers = state.rc == 0 && state.stdout().starts_with("rc");
        }
        if package.installed.is_none() && package.candidate.is_none() && !package.leftovers {
            // A name that other packages provide; the lists know which.
            let shown = exec(cx, &[&program, "showpkg", name])?.stdout();
            if shown.split("Reverse Provides:").nth(1).is_some_and(|rest| !rest.trim().is_empty()) {
                return Err(Fail::hand_over(format!("{name} is a virtual package")));
            }
        }
        found.push(package);
    }
    Ok(found)
}

/// When the lists were last refreshed, in seconds since 1970; 0 where they never were.
fn refreshed() -> i64 {
    let stamps = ["/var/lib/apt/periodic/update-success-stamp", "/var/lib/apt/lists"];
    stamps.iter().find_map(|path| fs::metadata(path).ok()).map_or(0, |meta| meta.mtime())
}

/// Refreshes the lists where they are older than asked for; whether that brought anything new.
fn refresh(cx: &mut Cx<'_>, program: &str) -> Result<bool, Fail> {
    let valid_s = cx.int("cache_valid_time").unwrap_or(0);
    let asked = cx.bool("update_cache") || valid_s > 0;
    if !asked || valid_s > 0 && refreshed() + valid_s >= clock::now().0 {
        return Ok(false);
    }
    if cx.check {
        return Ok(true);
    }
    let before = refreshed();
    let retries = cx.int("update_cache_retries").unwrap_or(5).max(1);
    let longest_s = cx.int("update_cache_retry_max_delay").unwrap_or(12).max(0);
    let mut failure = String::new();
    for attempt in 0..retries {
        // Lists of which some failed are no success: apt-get warns then, and keeps the old ones.
        let done = exec(cx, &[program, "-q", "update", "-o", "APT::Update::Error-Mode=any"])?;
        if done.rc == 0 {
            return Ok(refreshed() != before);
        }
        failure = done.stderr().trim().to_string();
        if attempt + 1 < retries {
            clock::pause(std::time::Duration::from_secs(longest_s.min(1 << attempt.min(16)).unsigned_abs()));
        }
    }
    Err(Fail::msg(format!("Failed to update apt cache after {retries} retries: {failure}")))
}

/// The words before those that name packages.
fn options(cx: &Cx<'_>) -> Vec<String> {
    let mut words = vec!["-y".to_string()];
    for option in cx.string("dpkg_options").split(',').filter(|option| !option.is_empty()) {
        words.extend(["-o".into(), format!("Dpkg::Options::=--{option}")]);
    }
    words.extend(["-o".into(), format!("DPkg::Lock::Timeout={}", cx.int("lock_timeout").unwrap_or(60))]);
    if let Some(recommends) = cx.flag("install_recommends") {
        let answer = if recommends { "yes" } else { "no" };
        words.extend(["-o".into(), format!("APT::Install-Recommends={answer}")]);
    }
    words.extend(cx.check.then(|| "--simulate".into()));
    words
}

/// Installs or removes; the program's own words go into the result.
fn change(
    cx: &mut Cx<'_>,
    program: &str,
    verb: &str,
    names: &[String],
    result: &mut Map,
) -> Result<(), Fail> {
    let mut argv = vec![program.to_string()];
    argv.extend(options(cx));
    argv.push(verb.to_string());
    argv.extend((verb == "remove" && cx.bool("purge")).then(|| "--purge".into()));
    argv.extend(names.iter().cloned());
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let done = exec(cx, &words)?;
    let (out, err) = (done.stdout(), done.stderr());
    if done.rc != 0 {
        let command = words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
        return Err(Fail::msg(format!("'{command}' failed: {err}"))
            .with("rc", done.rc)
            .with("stdout", out)
            .with("stderr", err));
    }
    if cx.diff {
        let start = out.find("\nThe following").map_or(0, |at| at + 1);
        result.insert("diff".into(), serde_json::json!({ "prepared": out[start..].trim() }));
    }
    result.insert("stdout".into(), out.into());
    result.insert("stderr".into(), err.into());
    Ok(())
}

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let program = cx.find_bin("apt-get").ok_or_else(|| Fail::hand_over("apt-get is not here"))?;
    if cx.find_bin("dpkg-query").is_none() {
        return Err(Fail::hand_over("dpkg-query is not here"));
    }
    let names = cx.list("package");
    // Before the lists are refreshed it must be known that the rest is done here.
    let early = if names.is_empty() { Vec::new() } else { look(cx, &names)? };
    let updated = refresh(cx, &program)?;
    let packages = if updated && !cx.check && !names.is_empty() { look(cx, &names)? } else { early };
    let mut result = map! {
        "changed" => updated && names.is_empty(), "cache_updated" => updated, "cache_update_time" => refreshed(),
    };
    if names.is_empty() {
        return Ok(result);
    }
    let state = cx.string("state");
    let mut wanted = Vec::new();
    for (name, package) in names.iter().zip(&packages) {
        let change = match state.as_str() {
            "absent" => package.installed.is_some() || cx.bool("purge") && package.leftovers,
            _ if package.installed.is_none() && package.candidate.is_none() => {
                return Err(Fail::msg(format!("No package matching '{name}' is available")));
            }
            "latest" => package.installed != package.candidate,
            _ => package.installed.is_none(),
        };
        if change {
            wanted.push(name.clone());
        }
    }
    if !wanted.is_empty() {
        change(cx, &program, if state == "absent" { "remove" } else { "install" }, &wanted, &mut result)?;
        result.insert("changed".into(), true.into());
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::{covers, policy};
    use crate::map;

    #[test]
    fn versions_by_name() {
        let text = "hello:\n  Installed: (none)\n  Candidate: 2.10-3\n  Version table:\n     2.10-3 500\n\
                    bash:\n  Installed: 5.2\n  Candidate: 5.2\n";
        let all = policy(text);
        assert_eq!((all[0].0.as_str(), all[0].1.installed.as_deref()), ("hello", None));
        assert_eq!(all[0].1.candidate.as_deref(), Some("2.10-3"));
        assert_eq!(all[1].1.installed.as_deref(), Some("5.2"));
    }

    #[test]
    fn what_is_left_to_python() {
        assert!(covers(&map! { "package" => ["g++", "libc6-dev"], "state" => "latest", "upgrade" => "no" }));
        for other in ["a=1", "a*", "a:i386", "a>=1", ""] {
            assert!(!covers(&map! { "package" => [other] }), "{other}");
        }
        assert!(!covers(&map! { "deb" => "x.deb" }) && !covers(&map! { "upgrade" => "dist" }));
    }
}
