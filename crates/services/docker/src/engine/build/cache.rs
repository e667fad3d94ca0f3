//! The cache: an image here that was made of the same parent by the same step; or, where `--cache-from` names
//! images, one whose history goes on as the build does.

use pileus_base::{Result, Scope};
use pileus_store::Query;
use serde_json::{Map, Value, json};

use super::{Builder, Stage, keep::image_of};
use crate::Image;

/// What of two configurations the reference compares. What is absent, null and empty is the same.
const COMPARED: &[&str] = &[
    "Env",
    "Cmd",
    "Entrypoint",
    "Shell",
    "ExposedPorts",
    "Volumes",
    "Labels",
    "OnBuild",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "NetworkDisabled",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "ArgsEscaped",
    "User",
    "WorkingDir",
    "StopSignal",
    "StopTimeout",
    "Healthcheck",
];

/// Whether two configurations are the same for the cache.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    let empty = |v: &Value| match v {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(_) => false,
    };
    COMPARED.iter().all(|key| a[*key] == b[*key] || (empty(&a[*key]) && empty(&b[*key])))
}

impl Builder {
    /// Goes on from an image of an earlier build, where there is one. A miss is the last that is asked in
    /// this stage.
    pub(super) async fn cache(&mut self, step: &Map<String, Value>) -> Result<bool> {
        if !self.cached {
            return Ok(false);
        }
        let step = Value::Object(step.clone());
        let local = self.local(&step).await?;
        let hit = if self.sources.is_none() { local } else { self.of_sources(&step, local).await? };
        let Some(image) = hit else {
            self.cached = false;
            return Ok(false);
        };
        self.say(" ---> Using cache\n").await?;
        let mut value = image.value();
        // The stage goes on with its own configuration, which is the image's.
        let config = self.stage()?.config.clone();
        value["config"] = Value::Object(config);
        self.stage()?.load(&image, &value);
        Ok(true)
    }

    /// The newest image that this step made of this parent.
    async fn local(&mut self, step: &Value) -> Result<Option<Image>> {
        let parent = self.stage()?.image.clone();
        let step = step.clone();
        let find = move |r: &mut pileus_store::Read<'_>| {
            let all = r.list::<Image>(&Scope::All, &Query::all())?;
            let built = all.into_iter().map(|i| i.value).filter(|i| i.parent == parent);
            let hits = built.filter_map(|i| {
                let value = i.value();
                same(&value["container_config"], &step).then(|| (value["created"].to_string(), i))
            });
            Ok(hits.max_by(|a, b| a.0.cmp(&b.0)).map(|(_, image)| image))
        };
        self.docker.store.read(find).await
    }

    /// The same among images that `--cache-from` names.
    async fn of_sources(&mut self, step: &Value, local: Option<Image>) -> Result<Option<Image>> {
        let sources = self.sources.clone().unwrap_or_default();
        if let Some(local) = local {
            for source in &sources {
                if self.descends(source, &local.id).await? {
                    return Ok(Some(local));
                }
            }
        }
        let command: Vec<String> = serde_json::from_value(step["Cmd"].clone()).unwrap_or_default();
        let command = command.join(" ");
        let stage = self.stage()?.clone();
        for source in sources {
            let value = source.value();
            let Some(restored) = restore(&stage, &source, &value, &command, step) else { continue };
            let last = restored.id == source.id;
            if last {
                let (id, parent) = (source.id.clone(), stage.image.clone());
                if !parent.is_empty() {
                    let set = move |tx: &mut pileus_store::Tx<'_>| {
                        tx.update::<Image>(&Scope::All, &id, |i| {
                            i.parent.clone_from(&parent);
                            Ok(())
                        })
                        .map(drop)
                    };
                    self.docker.store.write(set).await?;
                }
            } else {
                self.docker.save_image(restored.clone()).await?;
                // As the reference does: no jumping between sources.
                self.sources = Some(vec![source]);
            }
            return Ok(Some(restored));
        }
        Ok(None)
    }

    /// Whether an image comes of another.
    async fn descends(&self, image: &Image, of: &str) -> Result<bool> {
        let mut at = image.parent.clone();
        while !at.is_empty() {
            if at == of {
                return Ok(true);
            }
            let id = at.clone();
            let find = move |r: &mut pileus_store::Read<'_>| r.find::<Image>(&Scope::All, &id);
            at = self.docker.store.read(find).await?.map(|i| i.value.parent).unwrap_or_default();
        }
        Ok(false)
    }
}

/// The image after one more step of `source`'s history, where that goes on as the build does.
fn restore(stage: &Stage, source: &Image, value: &Value, command: &str, step: &Value) -> Option<Image> {
    let history = value["history"].as_array()?;
    let next = history.get(stage.history.len())?;
    let same_past = history[..stage.history.len()] == stage.history[..];
    let diffs: Vec<String> = serde_json::from_value(value["rootfs"]["diff_ids"].clone()).ok()?;
    let same_files = diffs.get(..stage.diff_ids.len()) == Some(stage.diff_ids.as_slice());
    if !same_past || !same_files || next["created_by"] != command {
        return None;
    }
    if history.len() == stage.history.len() + 1 {
        return Some(source.clone());
    }
    let mut grown = stage.clone();
    grown.history.push(next.clone());
    if next["empty_layer"] != true {
        let at = stage.diff_ids.len();
        grown.diff_ids.push(diffs.get(at)?.clone());
        grown.layers.push(source.layers.get(at)?.clone());
        grown.sizes.push(*source.layer_bytes.get(at)?);
    }
    let mut image = json!({
        "architecture": value["architecture"],
        "config": step,
        "created": next["created"],
        "history": grown.history,
        "os": value["os"],
        "rootfs": { "type": "layers", "diff_ids": grown.diff_ids },
    });
    if let Some(author) = value.get("author") {
        image["author"] = author.clone();
    }
    Some(image_of(&grown, &image))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_a_configuration_is_compared() {
        let a = json!({ "Cmd": ["a"], "Env": null, "Hostname": "x", "Image": "sha256:1", "User": "" });
        assert!(same(&a, &json!({ "Cmd": ["a"], "Env": [], "Image": "sha256:2" })));
        assert!(!same(&a, &json!({ "Cmd": ["b"] })));
        assert!(!same(&a, &json!({ "Cmd": ["a"], "User": "root" })));
    }

    #[test]
    fn a_history_that_goes_on_alike_is_taken() {
        let value = json!({
            "architecture": "amd64", "os": "linux",
            "history": [{ "created_by": "a" }, { "created_by": "b", "created": "then" }, { "created_by": "c" }],
            "rootfs": { "diff_ids": ["1", "2", "3"] },
        });
        let stage = Stage {
            image: "sha256:0".into(),
            history: vec![json!({ "created_by": "a" })],
            diff_ids: vec!["1".into()],
            layers: vec!["l1".into()],
            sizes: vec![1],
            ..Stage::default()
        };
        let of = |s: &Stage| Image {
            layers: vec!["l1".into(), "l2".into(), "l3".into()],
            layer_bytes: vec![1, 2, 3],
            ..image_of(s, &value)
        };
        let source = of(&stage);
        let step = json!({ "Cmd": ["b"] });
        let image = restore(&stage, &source, &value, "b", &step).unwrap();
        assert_eq!(image.layers, ["l1", "l2"]);
        assert_eq!(image.parent, "sha256:0");
        assert!(restore(&stage, &source, &value, "x", &step).is_none());
    }
}
