//! What a step leaves: an image whose `container_config` says how it was made, which the cache finds again.

use std::collections::BTreeMap;

use pileus_base::Result;
use pileus_host::AppliedLayer;
use serde_json::{Map, Value, json};

use super::{Builder, Stage};
use crate::{
    Image,
    engine::images::digest_of,
    events::{now_ns, rfc3339},
    model::reference::familiar,
};

/// The digest of a tar that holds nothing: such a layer is left out.
const EMPTY: &str = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

/// The image of a stage, with this configuration.
pub(super) fn image_of(stage: &Stage, value: &Value) -> Image {
    let config = value.to_string();
    Image {
        id: digest_of(config.as_bytes()),
        config,
        layers: stage.layers.clone(),
        layer_bytes: stage.sizes.clone(),
        tags: Vec::new(),
        digests: Vec::new(),
        parent: stage.image.clone(),
        tagged_ns: 0,
        blobs: BTreeMap::new(),
    }
}

impl Builder {
    /// The image's `container_config`, with a step's command.
    pub(super) fn step_config(&mut self, command: &[String]) -> Result<Map<String, Value>> {
        let stage = self.stage()?;
        let mut config = stage.config.clone();
        config.insert("Image".into(), json!(stage.image));
        config.insert("Cmd".into(), json!(command));
        Ok(config)
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
        let stage = self.stage()?;
        let mut history = json!({ "created": created, "created_by": command.join(" ") });
        if !stage.author.is_empty() {
            history["author"] = json!(stage.author);
        }
        match layer.filter(|l| l.diff_id != EMPTY) {
            Some(layer) => {
                stage.layers.push(layer.id);
                stage.sizes.push(layer.size_bytes);
                stage.diff_ids.push(layer.diff_id);
            }
            None => history["empty_layer"] = json!(true),
        }
        stage.history.push(history);
        let mut config = stage.config.clone();
        config.insert("Image".into(), json!(stage.image));
        let mut value = json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "config": config,
            "container_config": step,
            "created": created,
            "docker_version": "28.2.2",
            "history": stage.history,
            "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": stage.diff_ids },
        });
        if !stage.author.is_empty() {
            value["author"] = json!(stage.author);
        }
        if !container.is_empty() {
            value["container"] = json!(container);
        }
        let image = image_of(stage, &value);
        stage.image.clone_from(&image.id);
        self.docker.save_image(image).await
    }

    /// Gives what was built its names, which other images lose.
    pub(super) async fn tag(&self, id: &str) -> Result<()> {
        for tag in &self.options.tags {
            let image = self.docker.image(id).await?.value;
            self.docker.tag_image(&image, tag).await?;
            self.say(&format!("Successfully tagged {}\n", familiar(&tag.tagged()))).await?;
        }
        Ok(())
    }
}

impl Stage {
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
    fn an_empty_archive_is_known() {
        assert_eq!(digest_of(&[0; 1024]), EMPTY);
    }
}
