//! `--squash`: what the build's layers hold, as one layer on the image it began with.

use std::{collections::BTreeMap, io::Write};

use pileus_base::{Error, Result};
use pileus_host::pipe;
use serde_json::{Value, json};

use super::{
    Builder, archive,
    context::blocking,
    keep::image_of,
    place::{self, Owner},
    tree::{Data, Kind, Node, join, split},
};
use crate::{
    Image,
    events::{now_ns, rfc3339},
    new_id,
};

/// Files by path, with the marks that say what is gone.
type Files = BTreeMap<Vec<u8>, Node>;

impl Builder {
    /// Makes one layer of those above the base; the new image's id.
    pub(super) async fn squash(&mut self) -> Result<String> {
        let stage = self.stage()?.clone();
        let base = match stage.base.as_str() {
            "" => None,
            id => Some(self.docker.image(id).await?.value),
        };
        let below = base.as_ref().map(|b| b.layers.len()).unwrap_or_default();
        let mut files = Files::new();
        for layer in stage.layers.get(below..).unwrap_or_default() {
            let tar = pipe::blocking(self.docker.host.export_layer(layer).await?);
            let spool = self.context.dir.join(format!("{}.tar", &new_id()[..12]));
            files = blocking(move || {
                let tree = archive::read(tar, &spool)?;
                for (path, node) in tree.below(b"") {
                    lay(&mut files, path, node);
                }
                Ok(files)
            })
            .await?;
        }
        let tar = pipe::reader(move |out: &mut dyn Write| {
            let mut tar = tar::Builder::new(out);
            for (path, node) in &files {
                place::add(&mut tar, path, node, Owner::default())?;
            }
            tar.into_inner().map(drop)
        });
        let base_layers = base.as_ref().map(|b| b.layers.clone()).unwrap_or_default();
        let layer = self.docker.host.apply_layer(tar, &base_layers, None).await?;
        let image = self.docker.image(&stage.image).await?.value;
        let mut value = image.value();
        let base_value = base.as_ref().map(Image::value).unwrap_or_default();
        let begun = base_value["history"].as_array().map(Vec::len).unwrap_or_default();
        let now = rfc3339(now_ns());
        let comment = match stage.base.as_str() {
            "" => format!("create new from {}", stage.image),
            base => format!("merge {} to {base}", stage.image),
        };
        if let Some(history) = value["history"].as_array_mut() {
            history.iter_mut().skip(begun).for_each(|h| h["empty_layer"] = json!(true));
            history.push(json!({ "created": now, "comment": comment }));
        }
        value["created"] = json!(now);
        let mut squashed = stage.clone();
        squashed.layers = base_layers;
        squashed.layers.push(layer.id);
        squashed.sizes.truncate(below);
        squashed.sizes.push(layer.size_bytes);
        let mut diffs: Vec<String> =
            serde_json::from_value(base_value["rootfs"]["diff_ids"].clone()).unwrap_or_default();
        diffs.push(layer.diff_id);
        value["rootfs"] = json!({ "type": "layers", "diff_ids": diffs });
        // Nothing that the cache may go on from.
        if let Value::Object(map) = &mut value {
            map.remove("container_config");
        }
        let mut image = image_of(&squashed, &value);
        image.parent.clear();
        let id = image.id.clone();
        self.docker.save_image(image).await.map_err(|e| Error::wrap("error squashing image", e))?;
        Ok(id)
    }
}

/// Lays an entry of a higher layer over what is there.
fn lay(files: &mut Files, path: &[u8], node: &Node) {
    let (dir, name) = split(path);
    let below = |files: &Files, dir: &[u8]| -> Vec<Vec<u8>> {
        let prefix = if dir.is_empty() { Vec::new() } else { join(dir, b"") };
        let range = files.range(prefix.clone()..).take_while(|(p, _)| p.starts_with(&prefix));
        range.map(|(p, _)| p.clone()).collect()
    };
    if name == b".wh..wh..opq" {
        below(files, dir).iter().for_each(|p| drop(files.remove(p)));
    } else if let Some(gone) = name.strip_prefix(b".wh.") {
        let gone = join(dir, gone);
        below(files, &gone).iter().for_each(|p| drop(files.remove(p)));
        files.remove(&gone);
    } else {
        files.remove(&join(dir, &[b".wh.", name].concat()));
        let was_dir = files.get(path).is_some_and(Node::is_dir);
        if was_dir && !node.is_dir() {
            below(files, path).iter().for_each(|p| drop(files.remove(p)));
        }
        let hid = files.get(path).is_some_and(|n| !n.is_dir());
        if hid && node.is_dir() {
            // What is below the file's layer stays hidden.
            let mark = Node::new(Kind::File(Data::Bytes([].into())), 0o600, 0);
            files.insert(join(path, b".wh..wh..opq"), mark);
        }
    }
    files.insert(path.to_vec(), node.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_takes_nothing() {
        let file = Node::new(Kind::File(Data::Bytes([].into())), 0o644, 0);
        let dir = Node::new(Kind::Dir, 0o755, 0);
        let mut files = Files::new();
        for (path, node) in [
            ("d", &dir),
            ("d/a", &file),
            ("d/b", &file),
            ("d/.wh.a", &file),
            ("e", &dir),
            ("e/x", &file),
            (".wh.e", &file),
            ("e", &dir),
        ] {
            lay(&mut files, path.as_bytes(), node);
        }
        let names: Vec<_> = files.keys().map(|p| String::from_utf8_lossy(p).into_owned()).collect();
        assert_eq!(names, ["d", "d/.wh.a", "d/b", "e"]);
    }
}
