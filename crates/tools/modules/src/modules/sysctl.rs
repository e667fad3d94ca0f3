//! `ansible.posix.sysctl`: a kernel parameter in sysctl.conf(5), and in the running kernel.

use std::path::Path;

use super::edit;
use crate::cx::Cx;
use crate::files::write;
use crate::map;
use crate::result::{Fail, Reply};
use crate::sys::path;

/// A value as the file has it: booleans are 1 and 0.
fn plain(value: &str) -> String {
    match value.trim().to_lowercase().as_str() {
        "yes" | "true" | "on" | "y" | "t" => "1".into(),
        "no" | "false" | "off" | "n" | "f" => "0".into(),
        _ => value.trim().to_string(),
    }
}

/// The key and value of a line of the file; comments and what isn't an assignment have none.
fn setting(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with(['#', ';']) {
        return None;
    }
    let (key, value) = line.split_once('=')?;
    Some((key.trim(), value.trim()))
}

/// The file's new lines: the first setting of the name changed (its later ones dropped), or one added.
fn changed_lines(text: &str, name: &str, value: Option<&str>) -> String {
    let mut out = String::new();
    let mut seen: Vec<&str> = Vec::new();
    for line in text.lines() {
        let Some((key, old)) = setting(line) else {
            out.push_str(line.trim());
            out.push('\n');
            continue;
        };
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        match value {
            _ if key != name => out.push_str(&format!("{key}={old}\n")),
            Some(value) => out.push_str(&format!("{key}={value}\n")),
            None => {}
        }
    }
    if let Some(value) = value
        && !seen.contains(&name)
    {
        out.push_str(&format!("{name}={value}\n"));
    }
    out
}

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let name = cx.string("name");
    if name.is_empty() {
        return Err(Fail::msg("name cannot be blank"));
    }
    let absent = cx.str("state") == Some("absent");
    let value = match cx.str("value") {
        Some("") if !absent => return Err(Fail::msg("value cannot be blank")),
        value => plain(value.unwrap_or_default()),
    };
    let file = path::realpath(&cx.string("sysctl_file"));
    let before = if Path::new(&file).exists() { crate::py::text(&edit::read(&file)?) } else { String::new() };
    let present = before.lines().filter_map(setting).rfind(|(key, _)| *key == name).map(|(_, v)| plain(v));
    let mut write_file = if absent { present.is_some() } else { present.as_deref() != Some(&value) };
    let program = cx.need_bin("sysctl")?;
    let (mut set, mut differs) = (false, false);
    if (cx.bool("sysctl_set") || cx.bool("reload")) && !absent {
        let done = cx.exec(&[&program, "-e", "-n", &name]).map_err(|e| Fail::msg(e.to_string()))?;
        // The kernel parts several numbers by tabs.
        differs = done.rc != 0 || !done.stdout().split_whitespace().eq(value.split_whitespace());
        set = differs && cx.bool("sysctl_set");
    }
    // A file that is right but was never loaded is loaded.
    write_file |= differs && cx.bool("reload");
    if !cx.check {
        if set {
            let assignment = format!("{name}={value}");
            let mut argv = vec![program.as_str(), "-w", &assignment];
            if cx.bool("ignoreerrors") {
                argv.push("-e");
            }
            let done = cx.exec(&argv).map_err(|e| Fail::msg(e.to_string()))?;
            if done.rc != 0 {
                return Err(Fail::msg(format!("setting {name} failed: {}{}", done.stdout(), done.stderr())));
            }
        }
        if write_file {
            let after = changed_lines(&before, &name, (!absent).then_some(value.as_str()));
            write::replace(cx, &file, after.as_bytes())?;
            if cx.bool("reload") {
                let mut argv = vec![program.as_str(), "-p", &file];
                if cx.bool("ignoreerrors") {
                    argv.insert(1, "-e");
                }
                let done = cx.exec(&argv).map_err(|e| Fail::msg(e.to_string()))?;
                if done.rc != 0 {
                    return Err(Fail::msg(format!(
                        "Failed to reload sysctl: {}{}",
                        done.stdout(),
                        done.stderr()
                    )));
                }
            }
        }
    }
    Ok(map! { "changed" => write_file || set })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_change_in_place() {
        let text = "# c\na.b=1\nx = 2\na.b = 3\n";
        assert_eq!(changed_lines(text, "a.b", Some("9")), "# c\na.b=9\nx=2\n");
        assert_eq!(changed_lines(text, "n", Some("1")), "# c\na.b=1\nx=2\nn=1\n");
        assert_eq!(changed_lines(text, "a.b", None), "# c\nx=2\n");
        assert_eq!((plain("Yes"), plain(" 4096 1 ")), ("1".to_string(), "4096 1".to_string()));
    }
}
