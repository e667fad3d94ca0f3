//! Images of containers.

use std::collections::BTreeMap;

use pileus_base::{Error, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    Docker, Image,
    engine::images::{bringing_in, import::apply_changes},
    events::{now_ns, rfc3339},
};

impl Docker {
    /// Makes an image of what a container has written; its id.
    ///
    /// # Errors
    /// 404; those of the host.
    pub(crate) async fn commit_image(
        &self,
        name: &str,
        tag: Option<String>,
        author: &str,
        comment: &str,
        changed: &Value,
        instructions: &[String],
    ) -> Result<String> {
        let c = self.container(name).await?.value;
        let lock = self.lock(&c.id);
        let _held = lock.lock().await;
        let base = self.image(&c.image_id).await?.value;
        let mut config = c.config.clone();
        for (key, value) in changed.as_object().into_iter().flatten() {
            if !value.is_null() {
                config[key] = value.clone();
            }
        }
        apply_changes(&mut config, instructions)?;
        // Until the image names it, no sweep may take the layer.
        let _gate = bringing_in().await;
        let layer = self.host.commit_container(&c.id, &c.rootfs).await?;
        let now = now_ns();
        let mut value = base.value();
        value["config"] = config;
        value["created"] = json!(rfc3339(now));
        value["author"] = json!(author);
        value["comment"] = json!(comment);
        value["container"] = json!(c.id);
        value["container_config"] = c.config.clone();
        let diffs = value["rootfs"]["diff_ids"].as_array_mut();
        diffs.ok_or_else(|| Error::internal("an image has no layers"))?.push(json!(layer.diff_id));
        let entry = json!({"created": rfc3339(now), "created_by": c.args.join(" "), "author": author, "comment": comment});
        match value["history"].as_array_mut() {
            Some(history) => history.push(entry),
            None => value["history"] = json!([entry]),
        }
        let text = value.to_string();
        let digest: String = Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
        let id = format!("sha256:{digest}");
        let mut layers = base.layers.clone();
        layers.push(layer.id);
        let mut layer_bytes = base.layer_bytes.clone();
        layer_bytes.push(layer.size_bytes);
        let image = Image {
            id: id.clone(),
            config: text,
            layers,
            layer_bytes,
            tags: tag.iter().cloned().collect(),
            digests: Vec::new(),
            parent: base.id.clone(),
            tagged_ns: now,
            blobs: base.blobs.clone(),
        };
        self.save_image(image).await?;
        self.container_event(&c, "commit", &[("comment", comment.to_owned())]);
        self.events.emit("image", "create", id.clone(), BTreeMap::new());
        Ok(id)
    }
}
