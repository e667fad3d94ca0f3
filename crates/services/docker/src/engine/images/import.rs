//! `docker import`: an image of one layer from a tar; and the Dockerfile instructions of `changes`.

use std::collections::BTreeMap;

use pileus_base::{Error, Result};
use serde_json::{Map, Value, json};

use super::{blobs::Scratch, bringing_in, digest_of};
use crate::{
    Docker, Image,
    events::{now_ns, rfc3339},
    model::reference::{Reference, familiar},
};

impl Docker {
    /// Makes an image of a tar; its id.
    ///
    /// # Errors
    /// 400 for a broken archive or a change that can't be read.
    pub(crate) async fn import_image(
        &self,
        tar: Scratch,
        to: Option<Reference>,
        message: &str,
        changes: &[String],
    ) -> Result<String> {
        let mut config = json!({});
        apply_changes(&mut config, changes)?;
        let _incoming = bringing_in().await;
        let open = |e| Error::wrap("failed to read the archive", e);
        let blob = self.blobs().keep(tokio::fs::File::open(&tar.0).await.map_err(open)?).await?.0;
        let reader = Box::new(self.blobs().read(&blob).await?);
        let layer = self.host.apply_layer(reader, &[], None).await?;
        let now = now_ns();
        let comment = if message.is_empty() { "Imported from -" } else { message };
        let value = json!({
            "architecture": "amd64",
            "comment": comment,
            "config": config,
            "created": rfc3339(now),
            "docker_version": "28.2.2",
            "history": [{ "created": rfc3339(now), "comment": comment }],
            "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": [layer.diff_id] },
        });
        let text = value.to_string();
        let image = Image {
            id: digest_of(text.as_bytes()),
            config: text,
            layers: vec![layer.id],
            layer_bytes: vec![layer.size_bytes],
            tags: to.iter().map(Reference::tagged).collect(),
            digests: vec![],
            parent: String::new(),
            tagged_ns: now,
            blobs: BTreeMap::from([(0, blob)]),
        };
        let (id, tag) = (image.id.clone(), image.tags.first().cloned());
        self.save_image(image).await?;
        self.image_event("import", &id, tag.as_deref().map_or(&*id, familiar));
        Ok(id)
    }
}

/// Applies Dockerfile instructions to an image's `config` (also for `docker commit --change`).
///
/// # Errors
/// 400 for what is no instruction that changes the configuration.
pub(crate) fn apply_changes(config: &mut Value, changes: &[String]) -> Result<()> {
    for change in changes.iter().flat_map(|c| c.lines()).map(str::trim).filter(|c| !c.is_empty()) {
        let (word, rest) = change.split_once(char::is_whitespace).unwrap_or((change, ""));
        let rest = rest.trim();
        match &*word.to_ascii_uppercase() {
            "CMD" => config["Cmd"] = command(rest),
            "ENTRYPOINT" => {
                config["Entrypoint"] = command(rest);
            }
            "USER" => config["User"] = json!(rest),
            "STOPSIGNAL" => config["StopSignal"] = json!(rest),
            "WORKDIR" => {
                let old = config["WorkingDir"].as_str().unwrap_or("");
                let new = if rest.starts_with('/') {
                    rest.to_owned()
                } else {
                    format!("{}/{rest}", old.trim_end_matches('/'))
                };
                config["WorkingDir"] = json!(new);
            }
            "ENV" => {
                let mut all: Vec<String> = serde_json::from_value(config["Env"].clone()).unwrap_or_default();
                for (name, value) in pairs(rest)? {
                    all.retain(|e| e.split_once('=').is_none_or(|(have, _)| have != name));
                    all.push(format!("{name}={value}"));
                }
                config["Env"] = json!(all);
            }
            "LABEL" => {
                let labels = object(config, "Labels");
                labels.extend(pairs(rest)?.into_iter().map(|(k, v)| (k, json!(v))));
            }
            "EXPOSE" => {
                let ports = object(config, "ExposedPorts");
                for port in rest.split_whitespace() {
                    let port = if port.contains('/') { port.to_owned() } else { format!("{port}/tcp") };
                    ports.insert(port, json!({}));
                }
            }
            "VOLUME" => {
                let list = serde_json::from_str::<Vec<String>>(rest)
                    .unwrap_or_else(|_| rest.split_whitespace().map(str::to_owned).collect());
                object(config, "Volumes").extend(list.into_iter().map(|v| (v, json!({}))));
            }
            "ONBUILD" => {
                let mut all: Vec<String> =
                    serde_json::from_value(config["OnBuild"].clone()).unwrap_or_default();
                all.push(rest.to_owned());
                config["OnBuild"] = json!(all);
            }
            "HEALTHCHECK" if rest.eq_ignore_ascii_case("none") => {
                config["Healthcheck"] = json!({ "Test": ["NONE"] });
            }
            "HEALTHCHECK" if rest.starts_with("CMD") => {
                let test = match command(rest[3..].trim()) {
                    Value::Array(args) if args.len() == 3 && args[1] == "-c" => json!(["CMD-SHELL", args[2]]),
                    Value::Array(args) => Value::Array(std::iter::once(json!("CMD")).chain(args).collect()),
                    other => other,
                };
                config["Healthcheck"] = json!({ "Test": test });
            }
            other => {
                return Err(Error::bad_request(format!(
                    "{} is not a valid change command",
                    other.to_lowercase()
                )));
            }
        }
    }
    Ok(())
}

fn object<'a>(config: &'a mut Value, name: &str) -> &'a mut Map<String, Value> {
    if !config[name].is_object() {
        config[name] = json!({});
    }
    match &mut config[name] {
        Value::Object(map) => map,
        _ => unreachable!("it has just been made an object"),
    }
}

/// The JSON form, or a line for the shell.
fn command(text: &str) -> Value {
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(args) => json!(args),
        Err(_) => json!(["/bin/sh", "-c", text]),
    }
}

/// `a=b "c d"=e`, or the old form `a b c`.
fn pairs(text: &str) -> Result<Vec<(String, String)>> {
    let (mut words, mut word, mut quote, mut escaped) = (Vec::new(), String::new(), None, false);
    for c in text.chars() {
        match (c, quote) {
            (c, _) if escaped => {
                word.push(c);
                escaped = false;
            }
            ('\\', q) if q != Some('\'') => escaped = true,
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            (c, None) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (c, _) => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    if words.first().is_some_and(|w| !w.contains('=')) {
        let (name, value) = text
            .split_once(char::is_whitespace)
            .ok_or_else(|| Error::bad_request("ENV must have two arguments"))?;
        return Ok(vec![(name.to_owned(), value.trim().to_owned())]);
    }
    let split = |w: &String| w.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
    words
        .iter()
        .map(|w| {
            split(w).ok_or_else(|| {
                Error::bad_request(format!(
                    "Syntax error - can't find = in {w:?}. Must be of the form: name=value"
                ))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_dockerfile_lines() {
        let mut config = json!({ "Env": ["A=1", "B=2"] });
        let lines =
            ["CMD [\"sh\"]", "env A=3 C=\"x y\"", "EXPOSE 80 53/udp", "LABEL a=b", "ENTRYPOINT run it"];
        apply_changes(&mut config, &lines.map(str::to_owned)).unwrap();
        assert_eq!(config["Cmd"], json!(["sh"]));
        assert_eq!(config["Env"], json!(["B=2", "A=3", "C=x y"]));
        assert_eq!(config["ExposedPorts"], json!({ "80/tcp": {}, "53/udp": {} }));
        assert_eq!(config["Labels"], json!({ "a": "b" }));
        assert_eq!(config["Entrypoint"], json!(["/bin/sh", "-c", "run it"]));
        assert!(apply_changes(&mut config, &["FROM x".into()]).is_err());
    }
}
