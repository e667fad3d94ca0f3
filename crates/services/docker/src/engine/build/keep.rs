//! What a step leaves: an image whose `container_config` says how it was made, which the cache finds again.

use pileus_base::{Error, Result, Scope};
use pileus_host::AppliedLayer;
use pileus_store::Query;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Builder, short};
use crate::{
    Image,
    events::{now_ns, rfc3339},
    model::reference::Reference,
};

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A name with registry, path and tag.
///
/// # Errors
/// 400 where it is no name.
pub(super) fn normalise(name: &str) -> Result<String> {
    let bad = |e: Error| Error::bad_request(format!("invalid tag \"{name}\": {}", e.message()));
    Ok(Reference::parse(name).map_err(bad)?.tagged())
}

impl Builder {
    /// The image's `container_config`, with a step's command.
    pub(super) fn step_config(&mut self, command: &[String]) -> Result<Map<String, Value>> {
        let mut config = self.stage()?.config.clone();
        config.insert("Cmd".into(), json!(command));
        Ok(config)
    }

    /// Goes on from the image of an earlier build, where there is one. A miss is the last that is asked.
    pub(super) async fn cache(&mut self, step: &Map<String, Value>) -> Result<bool> {
        if !self.cached {
            return Ok(false);
        }
        let parent = self.stage()?.image.clone();
        let step = Value::Object(step.clone());
        let hit = self
            .docker
            .store
            .read(move |r| {
                let all = r.list::<Image>(&Scope::All, &Query::all())?;
                let built = all.into_iter().map(|i| i.value).filter(|i| i.parent == parent);
                let hits = built.filter_map(|i| {
                    let value = i.value();
                    (value["container_config"] == step).then(|| (value["created"].to_string(), i, value))
                });
                Ok(hits.max_by(|a, b| a.0.cmp(&b.0)))
            })
            .await?;
        let Some((_, image, value)) = hit else {
            self.cached = false;
            return Ok(false);
        };
        self.say(" ---> Using cache\n").await?;
        self.stage()?.load(&image, &value);
        self.say(&format!(" ---> {}\n", short(&image.id))).await?;
        Ok(true)
    }

    /// Keeps a step's image; with a layer where files changed.
    pub(super) async fn keep(
        &mut self,
        step: Map<String, Value>,
        layer: Option<AppliedLayer>,
        container: &str,
    ) -> Result<()> {
        let created = rfc3339(now_ns());
        let command: Vec<String> = serde_json::from_value(step["Cmd"].clone()).unwrap_or_default();
        let mut history = json!({ "created": created, "created_by": command.join(" ") });
        if layer.is_none() {
            history["empty_layer"] = json!(true);
        }
        let stage = self.stage()?;
        stage.history.push(history);
        if let Some(layer) = layer {
            stage.layers.push(layer.id);
            stage.sizes.push(layer.size_bytes);
            stage.diff_ids.push(layer.diff_id);
        }
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let mut value = json!({
            "architecture": arch,
            "config": stage.config,
            "container_config": step,
            "created": created,
            "docker_version": "28.2.2",
            "history": stage.history,
            "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": stage.diff_ids },
        });
        if !container.is_empty() {
            value["container"] = json!(container);
        }
        let config = value.to_string();
        let image = Image {
            id: format!("sha256:{}", hex(&Sha256::digest(config.as_bytes()))),
            config,
            layers: stage.layers.clone(),
            layer_bytes: stage.sizes.clone(),
            tags: Vec::new(),
            digests: Vec::new(),
            parent: stage.image.clone(),
            tagged_ns: 0,
            blobs: std::collections::BTreeMap::new(),
        };
        let id = image.id.clone();
        self.docker
            .store
            .write(move |tx| match tx.find::<Image>(&Scope::All, &image.id)? {
                Some(_) => Ok(()),
                None => tx.insert(&image),
            })
            .await?;
        self.stage()?.image.clone_from(&id);
        self.say(&format!(" ---> {}\n", short(&id))).await
    }

    /// Gives what was built its names, which other images lose.
    pub(super) async fn tag(&self, id: &str) -> Result<()> {
        for tag in self.options.tags.clone() {
            let (of, name) = (id.to_owned(), tag.clone());
            self.docker
                .store
                .write(move |tx| {
                    for mut other in tx.list::<Image>(&Scope::All, &Query::by("tag", &name))? {
                        other.value.tags.retain(|t| *t != name);
                        tx.put(&other)?;
                    }
                    tx.update::<Image>(&Scope::All, &of, |i| {
                        i.tags.push(name.clone());
                        i.tagged_ns = now_ns();
                        Ok(())
                    })
                })
                .await?;
            let shown = crate::model::reference::familiar(&tag).to_owned();
            self.docker.events.emit("image", "tag", id, [("name".to_owned(), shown.clone())].into());
            self.say(&format!("Successfully tagged {shown}\n")).await?;
        }
        Ok(())
    }
}

impl super::Stage {
    /// Takes over an image: what it is made of and how it is run.
    pub(super) fn load(&mut self, image: &Image, value: &Value) {
        self.image.clone_from(&image.id);
        self.layers.clone_from(&image.layers);
        self.sizes.clone_from(&image.layer_bytes);
        self.config = value["config"].as_object().cloned().unwrap_or_default();
        self.history = value["history"].as_array().cloned().unwrap_or_default();
        self.diff_ids = serde_json::from_value(value["rootfs"]["diff_ids"].clone()).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed() {
        assert_eq!(normalise("x").unwrap(), "docker.io/library/x:latest");
        assert_eq!(normalise("a/b:1").unwrap(), "docker.io/a/b:1");
        assert_eq!(normalise("localhost:5000/b").unwrap(), "localhost:5000/b:latest");
        assert!(normalise("UPPER").is_err() && normalise("a:").is_err());
    }
}
