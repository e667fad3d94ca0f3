//! `systemd`, `systemd_service`: units through systemctl(1).

use serde_json::Value;

use crate::cx::Cx;
use crate::map;
use crate::result::{Fail, Map, Reply};
use crate::sys::process::{Exec, Output};

/// systemctl(1) with the options of all calls.
struct Systemctl {
    program: String,
    options: Vec<&'static str>,
    environment: Vec<(String, String)>,
}

impl Systemctl {
    fn of(cx: &Cx<'_>) -> Result<Self, Fail> {
        let program = cx.need_bin("systemctl")?;
        let (mut options, mut environment) = (Vec::new(), Vec::new());
        match cx.str("scope") {
            Some("user") => options.push("--user"),
            Some("global") => options.push("--global"),
            _ => {}
        }
        if cx.str("scope") == Some("user") && cx.env("XDG_RUNTIME_DIR").is_none() {
            environment.push(("XDG_RUNTIME_DIR".into(), format!("/run/user/{}", crate::sys::euid())));
        }
        options.extend(cx.bool("no_block").then_some("--no-block"));
        options.extend(cx.bool("force").then_some("--force"));
        Ok(Self { program, options, environment })
    }

    fn run(&self, cx: &mut Cx<'_>, words: &[&str]) -> Result<Output, Fail> {
        let mut argv = vec![self.program.as_str()];
        argv.extend(&self.options);
        argv.extend(words);
        let mut exec = Exec::new(&argv).locale_c();
        exec.env.extend(self.environment.iter().cloned());
        cx.exec_with(exec).map_err(|e| Fail::msg(e.to_string()))
    }

    /// Does what concerns no unit.
    fn manager(&self, cx: &mut Cx<'_>, verb: &str) -> Result<(), Fail> {
        if cx.check {
            return Ok(());
        }
        let done = self.run(cx, &[verb])?;
        if done.rc != 0 {
            return Err(Fail::msg(format!("failure {} during {verb}: {}", done.rc, done.stderr())));
        }
        Ok(())
    }
}

/// The properties that `systemctl show` tells. Those of commands may take several lines, to a closing brace.
fn properties(text: &str) -> Map {
    let mut all = Map::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((key, value)) = line.split_once('=') else { continue };
        let mut value = value.to_string();
        if key.starts_with("Exec") && value.starts_with('{') {
            while !value.trim_end().ends_with('}') {
                let Some(more) = lines.next() else { break };
                value.push('\n');
                value.push_str(more);
            }
        }
        all.insert(key.to_string(), Value::from(value.trim()));
    }
    all
}

/// The unit, as it was before anything was done.
struct Unit<'a> {
    name: &'a str,
    status: Map,
}

impl Unit<'_> {
    fn property(&self, key: &str) -> &str {
        self.status.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn found(&self) -> bool {
        !matches!(self.property("LoadState"), "" | "not-found")
    }

    fn missing(&self) -> Fail {
        Fail::msg(format!("Could not find the requested service {}: host", self.name))
    }

    fn read<'a>(cx: &mut Cx<'_>, systemctl: &Systemctl, name: &'a str) -> Result<Unit<'a>, Fail> {
        let done = systemctl.run(cx, &["show", name])?;
        if done.rc != 0 {
            // No systemd runs here, or it is another's; the reference knows more of such hosts.
            return Err(Fail::hand_over(format!("systemctl show {name}: {}", done.stderr().trim())));
        }
        let unit = Unit { name, status: properties(&done.stdout()) };
        if !unit.found() && std::path::Path::new("/etc/init.d").join(name).exists() {
            return Err(Fail::hand_over(format!("{name} is a script of System V's")));
        }
        let error = unit.property("LoadError");
        if unit.found() && unit.property("LoadState") != "masked" && !error.is_empty() {
            return Err(Fail::msg(format!("Error loading unit file '{name}': {error}")));
        }
        Ok(unit)
    }

    /// Masks or unmasks; whether that was to be done.
    fn mask(&self, cx: &mut Cx<'_>, systemctl: &Systemctl, wanted: bool) -> Result<bool, Fail> {
        let is = systemctl.run(cx, &["is-enabled", self.name])?.stdout().trim() == "masked";
        if is == wanted {
            return Ok(false);
        }
        if !cx.check {
            let verb = if wanted { "mask" } else { "unmask" };
            let done = systemctl.run(cx, &[verb, self.name])?;
            if done.rc != 0 && !self.found() {
                return Err(self.missing());
            } else if done.rc != 0 {
                let said = done.stdout() + &done.stderr();
                return Err(Fail::msg(format!("Unable to {verb} service {}: {said}", self.name)));
            }
        }
        Ok(true)
    }

    /// Enables or disables; whether that was to be done.
    fn enable(&self, cx: &mut Cx<'_>, systemctl: &Systemctl, wanted: bool) -> Result<bool, Fail> {
        let done = systemctl.run(cx, &["is-enabled", self.name, "-l"])?;
        // What is enabled for now, or by another unit alone, isn't yet what was asked for.
        let partly = matches!(done.stdout().trim(), "enabled-runtime" | "indirect" | "alias");
        if (done.rc == 0 && !partly) == wanted {
            return Ok(false);
        }
        if !cx.check {
            let verb = if wanted { "enable" } else { "disable" };
            let done = systemctl.run(cx, &[verb, self.name])?;
            if done.rc != 0 {
                let said = done.stdout() + &done.stderr();
                return Err(Fail::msg(format!("Unable to {verb} service {}: {said}", self.name)));
            }
        }
        Ok(true)
    }

    /// Brings the unit to a state; whether something was to be done.
    fn bring(&self, cx: &mut Cx<'_>, systemctl: &Systemctl, state: &str) -> Result<bool, Fail> {
        let active = self.property("ActiveState");
        if active.is_empty() {
            return Err(Fail::msg("Service is in unknown state").with("status", self.status.clone()));
        }
        let runs = matches!(active, "active" | "activating");
        let verb = match state {
            "started" | "restarted" | "reloaded" if !runs => "start",
            "restarted" => "restart",
            "reloaded" => "reload",
            "stopped" if runs || active == "deactivating" => "stop",
            _ => return Ok(false),
        };
        if !cx.check {
            let done = systemctl.run(cx, &[verb, self.name])?;
            if done.rc != 0 {
                return Err(Fail::msg(format!("Unable to {verb} service {}: {}", self.name, done.stderr())));
            }
        }
        Ok(true)
    }
}

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let name = cx.text("name");
    if let Some(name) = &name
        && let Some(glob) = ['*', '?', '['].into_iter().find(|glob| name.contains(*glob))
    {
        return Err(Fail::msg(format!(
            "This module does not currently support using glob patterns, found '{glob}' in service name: {name}"
        )));
    }
    let systemctl = Systemctl::of(cx)?;
    for (asked, verb) in [("daemon_reload", "daemon-reload"), ("daemon_reexec", "daemon-reexec")] {
        if cx.bool(asked) {
            systemctl.manager(cx, verb)?;
        }
    }
    let mut result = map! { "name" => name, "changed" => false };
    let Some(name) = name else {
        result.insert("status".into(), Value::Object(Map::new()));
        return Ok(result);
    };
    let unit = Unit::read(cx, &systemctl, &name)?;
    let mut changed = false;
    if let Some(wanted) = cx.flag("masked") {
        changed |= unit.mask(cx, &systemctl, wanted)?;
    }
    let state = cx.str("state").map(str::to_string);
    if (cx.flag("enabled").is_some() || state.is_some()) && !unit.found() {
        return Err(unit.missing());
    }
    if let Some(wanted) = cx.flag("enabled") {
        changed |= unit.enable(cx, &systemctl, wanted)?;
        result.insert("enabled".into(), wanted.into());
    }
    if let Some(state) = state {
        changed |= unit.bring(cx, &systemctl, &state)?;
        let after = if state == "stopped" { "stopped" } else { "started" };
        result.insert("state".into(), after.into());
    }
    result.insert("changed".into(), changed.into());
    result.insert("status".into(), Value::Object(unit.status));
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::{Unit, properties};

    #[test]
    fn properties_may_take_several_lines() {
        let status =
            properties("Id=a.service\nExecStart={ path=/x ; argv[]=/x -a\n -b ; pid=0 }\nLoadState=loaded\n");
        let unit = Unit { name: "a", status };
        assert_eq!(unit.property("ExecStart"), "{ path=/x ; argv[]=/x -a\n -b ; pid=0 }");
        assert!(unit.found());
        let none = Unit { name: "a", status: properties("LoadState=not-found\n") };
        assert!(!none.found() && none.property("Id").is_empty());
    }
}
