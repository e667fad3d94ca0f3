//! Inventories that need no file: whoever embeds the engine provides them by name (`-i pileus:`, `-i pileus:/state`).
//!
//! What they say has the form of an inventory script's `--list`, with `_meta`. It is data of others (names and
//! metadata of servers), so nothing of it is ever a template.

use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;
use pileus_jinja::Origin;
use serde_json::Value as Json;

use super::data::Data;
use super::script;
use crate::Error;

/// Reads such an inventory; what follows the name and its colon is given. The error is a message for the user.
pub type Reader = fn(&str) -> Result<Json, String>;

static READERS: RwLock<Vec<(&str, Reader)>> = RwLock::new(Vec::new());

/// From now on a source `name:` or `name:REST` is what `reader` says.
pub fn provide(name: &'static str, reader: Reader) {
    READERS.write().push((name, reader));
}

/// The reader of a source and what follows the colon. A setting's relative path is a path already where it gets
/// here: `/here/name:` means `name:` where no such file is.
pub fn of(source: &str) -> Option<(Reader, &str)> {
    let readers = READERS.read();
    readers.iter().find_map(|(name, reader)| {
        let rest = |s| str::strip_prefix(s, *name).and_then(|s: &str| s.strip_prefix(':'));
        let last = source.rsplit_once('/').map(|(_, last)| last);
        let found =
            rest(source).or_else(|| rest(last?).filter(|r| r.is_empty() && !Path::new(source).exists()));
        found.map(|rest| (*reader, rest))
    })
}

/// Reads what `reader` says of `rest` into `data`.
pub(super) fn parse(data: &mut Data, source: &str, reader: Reader, rest: &str) -> Result<(), Error> {
    let said = reader(rest).map_err(Error::new)?;
    let Json::Object(groups) = &said else {
        return Err(Error::new(format!("the inventory {source} is no mapping of groups")));
    };
    let origin =
        Arc::new(Origin { file: format!("<inventory {source}>").into(), line: 0, column: 0, sealed: None });
    script::fill(data, groups, &origin, false, |_| Ok(None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pileus_jinja::Value;
    use serde_json::json;

    fn said(rest: &str) -> Result<Json, String> {
        match rest {
            "bad" => Err("no daemon answers".into()),
            _ => Ok(json!({"web": {"hosts": ["a"]}, "_meta": {"hostvars": {"a": {"x": "{{ evil }}"}}}})),
        }
    }

    #[test]
    fn hosts_without_a_file_whose_text_is_never_a_template() {
        provide("test-cloud", said);
        let (reader, rest) = of("test-cloud:/x").unwrap();
        assert_eq!(rest, "/x");
        assert!(of("/etc/test-cloud:").is_some() && of("test-clouds:").is_none() && of("hosts").is_none());
        let mut d = Data::default();
        parse(&mut d, "test-cloud:", reader, rest).unwrap();
        let a = d.host("a").unwrap();
        assert!(matches!(d.hosts[a].vars.get("x"), Some(Value::Str(s)) if !s.is_template()));
        assert_eq!(parse(&mut d, "test-cloud:bad", reader, "bad").unwrap_err().brief(), "no daemon answers");
    }
}
