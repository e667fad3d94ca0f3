//! `community.docker.docker_volume`: a volume with its driver, options and labels.

use serde_json::{Value, json};

use super::client::{Docker, encode};
use super::diff::Diff;
use crate::cx::Cx;
use crate::map;
use crate::result::{Fail, Map, Reply};

/// What differs between a volume and the task: the labels and options the task names.
fn different(cx: &Cx<'_>, volume: &Value, diff: &mut Diff) -> bool {
    let driver = cx.raw("driver");
    if *driver != volume["Driver"] {
        diff.add("driver", driver.clone(), volume["Driver"].clone());
    }
    for (parameter, field) in [("driver_options", "Options"), ("labels", "Labels")] {
        for (key, wanted) in cx.raw(parameter).as_object().into_iter().flatten() {
            let wanted = Value::from(crate::py::str(wanted));
            let actual = &volume[field][key];
            if wanted != *actual {
                diff.add(&format!("{parameter}.{key}"), wanted, actual.clone());
            }
        }
    }
    !diff.is_empty()
}

/// Values as texts, as the engine takes them.
fn texts(value: &Value) -> Value {
    let pairs = value.as_object().into_iter().flatten();
    Value::Object(pairs.map(|(k, v)| (k.clone(), crate::py::str(v).into())).collect())
}

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let docker = Docker::connect(cx)?;
    let name = cx.string("volume_name");
    let path = format!("/volumes/{}", encode(&name));
    let existing = docker.find(&path, &[])?;
    let (mut diff, mut actions) = (Diff::default(), Vec::new());
    let present = cx.str("state") == Some("present");
    diff.add("exists", present.into(), existing.is_some().into());
    let mut remove = existing.is_some() && !present;
    if present && let Some(volume) = &existing {
        let mut changes = Diff::default();
        let differs = different(cx, volume, &mut changes);
        remove = match cx.str("recreate") {
            Some("always") => true,
            Some("options-changed") => differs,
            _ => false,
        };
        if remove {
            diff.extend(changes);
        }
    }
    if remove {
        if !cx.check {
            docker
                .delete(&path, &[])
                .map_err(|e| Fail::msg(format!("Failed to remove volume {name}: {e}")))?;
        }
        actions.push(format!("Removed volume {name}"));
    }
    if present && (remove || existing.is_none()) {
        if !cx.check {
            let mut body = map! {"Name" => name, "Driver" => cx.raw("driver"), "DriverOpts" => texts(cx.raw("driver_options"))};
            if !cx.raw("labels").is_null() {
                body.insert("Labels".into(), texts(cx.raw("labels")));
            }
            docker
                .post("/volumes/create", &[], Some(&Value::Object(body)))
                .map_err(|e| Fail::msg(format!("Failed to create volume {name}: {e}")))?;
        }
        actions.push(format!("Created volume {name} with driver {}", cx.string("driver")));
    }
    let mut out = Map::new();
    out.insert("changed".into(), (!actions.is_empty()).into());
    if cx.check || cx.bool("debug") || !present {
        out.insert("actions".into(), json!(actions));
    }
    if present {
        out.insert("volume".into(), docker.find(&path, &[])?.unwrap_or(Value::Null));
    }
    out.insert("diff".into(), diff.into_value());
    Ok(out)
}
