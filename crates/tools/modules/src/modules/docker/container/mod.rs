//! `community.docker.docker_container`: a container as a task describes it: made, changed in place where the engine can,
//! made anew where it can't, started, stopped, paused, connected to networks, or gone.
//!
//! What needs more than the engine's API is handed over ([`covers`]).

mod compare;
mod config;
mod lifecycle;
mod networks;
mod ports;
mod simple;

use serde_json::{Value, json};

use super::client::{self, Docker};
use super::diff::Diff;
use super::names;
use crate::cx::Cx;
use crate::result::{Fail, Map, Reply};

use compare::{Comparisons, How};
use config::{Property, Wanted};
use simple::Kind;

/// Which calls are done natively.
pub fn covers(params: &Map) -> bool {
    let absent = |name: &str| params.get(name).is_none_or(Value::is_null);
    let is = |name: &str, value: &str| params.get(name).is_some_and(|v| v == value);
    let rare = [
        "device_read_bps",
        "device_read_iops",
        "device_requests",
        "device_write_bps",
        "device_write_iops",
        "platform",
    ];
    client::covers(params)
        && rare.into_iter().all(absent)
        && is("command_handling", "correct")
        && is("container_default_behavior", "no_defaults")
        && is("image_comparison", "desired-image")
        && is("image_label_mismatch", "ignore")
        && params.get("networks_cli_compatible") == Some(&Value::Bool(true))
}

/// One run of the module.
struct Work<'c, 'a> {
    cx: &'c mut Cx<'a>,
    docker: Docker,
    comparisons: Comparisons,
    networks: Option<Vec<Value>>,
    diff: Diff,
    actions: Vec<Value>,
    changed: bool,
    /// Output and status of a container that was waited for, and whether it is to be shown alone.
    ended: Option<(Value, i64)>,
}

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let docker = Docker::connect(cx)?;
    let comparisons = Comparisons::read(cx).map_err(Fail::msg)?;
    let networks = networks::wanted(cx, &docker)?;
    if cx.str("network_mode").is_none()
        && let Some(first) = networks.as_ref().and_then(|n| n.first())
    {
        let name = first["name"].clone();
        cx.params.insert("network_mode".into(), name);
    }
    let mut work = Work {
        cx,
        docker,
        comparisons,
        networks,
        diff: Diff::default(),
        actions: Vec::new(),
        changed: false,
        ended: None,
    };
    let facts = match work.cx.string("state").as_str() {
        "absent" => {
            work.absent()?;
            None
        }
        state => work.present(state)?,
    };
    let mut map = Map::new();
    map.insert("changed".into(), work.changed.into());
    if work.cx.check || work.cx.bool("debug") {
        map.insert("actions".into(), Value::Array(work.actions));
    }
    if let Some(facts) = facts {
        map.insert("container".into(), facts);
    }
    if let Some((container, status)) = work.ended {
        let output = container["Output"].clone();
        map.insert("container".into(), container);
        map.insert("status".into(), status.into());
        if status != 0 {
            let mut fail = Fail::msg(crate::py::str(&output));
            for (key, value) in map {
                fail = fail.with(&key, value);
            }
            return Err(fail);
        }
    }
    map.insert("diff".into(), work.diff.into_value());
    Ok(map)
}

impl Work<'_, '_> {
    /// The container of the name; null where there is none.
    fn find(&self, name: &str) -> Result<Value, Fail> {
        let path = format!("/containers/{}/json", client::encode(name));
        Ok(self.docker.find(&path, &[])?.unwrap_or(Value::Null))
    }

    /// States other than absent. What the result shows of the container.
    fn present(&mut self, state: &str) -> Result<Option<Value>, Fail> {
        let name = self.cx.string("name");
        let mut container = self.find(&name)?;
        let was_running = container["State"]["Running"] == true;
        let image = self.image()?;
        let ip = self.default_ip()?;
        let wanted = Wanted::read(self.cx, &image, &ip).map_err(Fail::msg)?;
        let mut created = false;
        if container.is_null() {
            self.diff.add("exists", true.into(), false.into());
            container = self.create(&wanted, None)?;
            created = true;
        } else {
            let mut different = self.different(&wanted, &container);
            let other_image = self.other_image(&container, &image);
            let must = different.iter().any(|p| p.update.is_none()) || self.cx.bool("recreate");
            if other_image.is_some() || must {
                for property in &different {
                    let sorted = |value: &Value| match value {
                        Value::Array(items) if property.kind == Kind::Set => {
                            let mut items = items.clone();
                            items.sort_by_key(Value::to_string);
                            items.into()
                        }
                        other => other.clone(),
                    };
                    self.diff.add(property.shown, sorted(&property.wanted), sorted(&property.actual));
                }
                if let Some((wanted, actual)) = other_image {
                    self.diff.add("image", wanted, actual);
                }
                if self.cx.bool("recreate") {
                    self.diff.add("recreate", true.into(), false.into());
                }
                if was_running {
                    self.stop(&container)?;
                }
                self.remove(&container, false)?;
                self.await_removal(&container)?;
                let old = container["Image"].as_str().map(str::to_string);
                container = self.create(&wanted, old)?;
                created = true;
            } else if !different.is_empty() {
                different.sort_by_key(|p| p.option);
                self.update(&container, &different)?;
            }
        }
        if self.cx.check && created {
            return Ok(Some(self.find(&name)?).filter(|there| !there.is_null()));
        }
        if self.networks(&container)? {
            self.changed = true;
        }
        if matches!(state, "started" | "healthy") {
            self.start_or_restart(&container, was_running)?;
        } else if state == "stopped" && container["State"]["Running"] == true {
            self.diff.add("running", false.into(), was_running.into());
            self.stop(&container)?;
        }
        if self.ended.is_some() {
            return Ok(None);
        }
        let id = container["Id"].as_str().unwrap_or(&name).to_string();
        if state == "healthy" && !self.cx.check {
            self.await_health(&id)?;
        }
        Ok(Some(self.find(&id)?))
    }

    /// `absent`.
    fn absent(&mut self) -> Result<(), Fail> {
        let container = self.find(&self.cx.string("name"))?;
        if container.is_null() {
            return Ok(());
        }
        if container["State"]["Running"] == true {
            self.diff.add("running", false.into(), true.into());
            self.stop(&container)?;
        }
        self.diff.add("exists", false.into(), true.into());
        self.remove(&container, false)
    }

    /// The image of the task as inspected, pulled where it is missing or asked for; null where the task names none.
    fn image(&mut self) -> Result<Value, Fail> {
        let Some(name) = self.cx.text("image") else { return Ok(Value::Null) };
        let found = names::find(&self.docker, &name)?;
        if names::is_id(&name) {
            return found.ok_or_else(|| Fail::msg(format!("Cannot find image with ID {name}")));
        }
        let (repository, tag) = names::split(&name, "latest");
        let whole = names::join(&repository, &tag);
        let pull = crate::py::str(self.cx.raw("pull"));
        let always = matches!(pull.as_str(), "always" | "True");
        if pull == "never" {
            return found
                .ok_or_else(|| Fail::msg(format!("Cannot find image with name {whole}, and pull=never")));
        }
        if let Some(image) = &found
            && !always
        {
            return Ok(image.clone());
        }
        if self.cx.check {
            if found.is_none() || self.cx.str("pull_check_mode_behavior") == Some("always") {
                self.actions.push(json!({"pulled_image": whole, "changed": true}));
                self.changed = true;
            }
            return Ok(found.unwrap_or(Value::Null));
        }
        names::pull(&self.docker, &repository, &tag, None)?;
        let now = names::find(&self.docker, &name)?.unwrap_or(Value::Null);
        let changed = found.is_none_or(|old| old["Id"] != now["Id"]);
        self.actions.push(json!({"pulled_image": whole, "changed": changed}));
        self.changed |= changed;
        Ok(now)
    }

    /// The address that ports are published on where they name none.
    fn default_ip(&self) -> Result<String, Fail> {
        if self.cx.raw("published_ports").is_null() {
            return Ok(String::new());
        }
        if let Some(ip) = self.cx.str("default_host_ip") {
            let plain = ip.trim_start_matches('[').trim_end_matches(']');
            if !ip.is_empty() && plain.parse::<std::net::IpAddr>().is_err() {
                return Err(Fail::msg(format!(
                    "The value of default_host_ip must be an empty string, an IPv4 address, or an IPv6 address. Got \"{ip}\" instead."
                )));
            }
            return Ok(plain.to_string());
        }
        for network in self.networks.iter().flatten() {
            let path = format!("/networks/{}", network["id"].as_str().unwrap_or_default());
            let found = self.docker.get(&path, &[])?;
            if found["Driver"] == "bridge"
                && let Some(ip) = found["Options"]["com.docker.network.bridge.host_binding_ipv4"].as_str()
            {
                return Ok(ip.to_string());
            }
        }
        Ok("0.0.0.0".into())
    }

    /// The options in which the container is not what the task wants.
    fn different(&self, wanted: &Wanted, container: &Value) -> Vec<Property> {
        let mut all = wanted.properties(container);
        all.retain(|p| {
            let how = self.comparisons.of(p.option, p.kind);
            !compare::same(p.kind, how, &p.wanted, &p.actual)
        });
        all
    }

    /// The wanted and the present image where they differ, by id or by the name the container was made with.
    fn other_image(&self, container: &Value, image: &Value) -> Option<(Value, Value)> {
        if image.is_null() && self.cx.raw("image").is_null()
            || self.comparisons.of("image", Kind::Value) == How::Ignore
        {
            return None;
        }
        if image.is_null() {
            // Check mode, and it would have to be pulled.
            return Some((self.cx.raw("image").clone(), container["Image"].clone()));
        }
        if container["Image"] != image["Id"] {
            return Some((image["Id"].clone(), container["Image"].clone()));
        }
        let name = self.cx.string("image");
        let made_with = container["Config"]["Image"].as_str().unwrap_or_default();
        let whole = |name: &str| {
            let (repository, tag) = names::split(name, "latest");
            names::join(&repository, &tag)
        };
        (self.cx.str("image_name_mismatch") == Some("recreate")
            && made_with != name
            && whole(made_with) != whole(&name))
        .then(|| (name.into(), made_with.into()))
    }
}
