//! Who a log's lines come from, and what each line bears of that.

use std::collections::BTreeMap;

use pileus_base::{Error, Result};
use pileus_host::LogKind;
use serde_json::Value;

use super::{option, start, template};

/// Who a log's lines come from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The container's id.
    pub id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its image, as the client named it.
    pub image: &'a str,
    /// The image's id.
    pub image_id: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
    /// Its environment.
    pub env: &'a [String],
    /// What is run, with its arguments.
    pub command: &'a [String],
    /// When it was made, in nanoseconds since the epoch.
    pub created_ns: i64,
}

/// A container for tests.
#[cfg(test)]
pub(super) fn sample<T>(use_it: impl FnOnce(&Origin<'_>) -> T) -> T {
    use_it(&Origin {
        id: "0123456789abcdef",
        name: "lg",
        image: "busybox",
        image_id: "sha256:fedcba9876543210",
        labels: &BTreeMap::from([("a.b".to_owned(), "c".to_owned())]),
        env: &["X=y".to_owned()],
        command: &["sh".to_owned(), "echo >&2".to_owned()],
        created_ns: 1_500_000_000,
    })
}

/// An id's first twelve digits.
pub(super) fn short(id: &str) -> String {
    id.trim_start_matches("sha256:").chars().take(12).collect()
}

impl Origin<'_> {
    /// The tag of its lines: what the option `tag` makes, or else the id's first twelve digits.
    ///
    /// # Errors
    /// 500 in the reference's words where the option is no template.
    pub fn tag(&self, config: &Value) -> Result<String> {
        match option(config, "tag").filter(|t| !t.is_empty()) {
            None => Ok(short(self.id)),
            Some(text) => template::render(text, self).map_err(|why| start(&why)),
        }
    }

    /// What each line bears by the options `labels`, `env`, their `-regex` forms, and `tag`.
    ///
    /// # Errors
    /// 500 where an expression is none.
    pub fn attributes(&self, config: &Value) -> Result<BTreeMap<String, String>> {
        let variables = self.env.iter().filter_map(|e| e.split_once('='));
        let env: BTreeMap<String, String> = variables.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let mut found = BTreeMap::new();
        for (name, all) in [("labels", self.labels), ("env", &env)] {
            let listed: Vec<&str> = option(config, name).map_or_else(Vec::new, |l| l.split(',').collect());
            let pattern = option(config, &format!("{name}-regex")).filter(|p| !p.is_empty());
            let pattern = pattern.map(regex::Regex::new).transpose();
            let pattern = pattern.map_err(|e| start(&e.to_string()))?;
            let chosen = all.iter().filter(|(k, _)| {
                listed.contains(&k.as_str()) || pattern.as_ref().is_some_and(|p| p.is_match(k))
            });
            found.extend(chosen.map(|(k, v)| (k.clone(), v.clone())));
        }
        if option(config, "tag").is_some_and(|t| !t.is_empty()) {
            found.insert("tag".into(), self.tag(config)?);
        }
        Ok(found)
    }

    /// What whoever writes the log adds to each line.
    ///
    /// # Errors
    /// As [`Origin::attributes`].
    pub fn extra(&self, config: &Value, kind: LogKind) -> Result<String> {
        let mut attributes = self.attributes(config)?;
        match kind {
            LogKind::Local => Ok(String::new()),
            LogKind::Json if attributes.is_empty() => Ok(String::new()),
            LogKind::Json => {
                let written = serde_json::to_string(&attributes);
                Ok(format!(
                    ",\"attrs\":{}",
                    written.map_err(|e| Error::wrap("failed to write attributes", e))?
                ))
            }
            LogKind::Journal => {
                let tag = attributes.remove("tag").unwrap_or_else(|| short(self.id));
                let mut fields = vec![
                    ("CONTAINER_ID".to_owned(), short(self.id)),
                    ("CONTAINER_ID_FULL".to_owned(), self.id.to_owned()),
                    ("CONTAINER_NAME".to_owned(), self.name.to_owned()),
                    ("CONTAINER_TAG".to_owned(), tag.clone()),
                    ("IMAGE_NAME".to_owned(), self.image.to_owned()),
                    ("SYSLOG_IDENTIFIER".to_owned(), tag),
                ];
                fields.extend(attributes.into_iter().filter_map(|(k, v)| Some((field(&k)?, v))));
                // A line break would begin a field of its own.
                let line = |(k, v): &(String, String)| format!("{k}={}\n", v.replace('\n', " "));
                Ok(fields.iter().map(line).collect())
            }
        }
    }
}

/// A name as the journal allows it.
fn field(name: &str) -> Option<String> {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = name.chars().map(upper).collect();
    let name = name.trim_start_matches('_').to_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(driver: &str, options: Value) -> Value {
        json!({"Type": driver, "Config": options})
    }

    #[test]
    fn lines_bear_what_was_asked_for() {
        let labels = BTreeMap::from([("a".into(), "1".into()), ("bc".into(), "2".into())]);
        let env = ["X=y".to_owned()];
        let id = "0123456789abcdef";
        let origin = Origin {
            id,
            name: "web",
            image: "busybox",
            image_id: "sha256:ff",
            labels: &labels,
            env: &env,
            command: &[],
            created_ns: 0,
        };
        let config = of("json-file", json!({"labels": "a", "env-regex": "^X", "tag": "{{.Name}}/{{.ID}}"}));
        assert_eq!(
            origin.extra(&config, LogKind::Json).unwrap(),
            r#","attrs":{"X":"y","a":"1","tag":"web/0123456789ab"}"#
        );
        let sent = origin.extra(&of("journald", json!({"labels": "bc"})), LogKind::Journal).unwrap();
        assert!(
            sent.starts_with("CONTAINER_ID=0123456789ab\nCONTAINER_ID_FULL=0123456789abcdef\n"),
            "{sent}"
        );
        assert!(sent.contains("\nCONTAINER_TAG=0123456789ab\n") && sent.ends_with("\nBC=2\n"), "{sent}");
    }
}
