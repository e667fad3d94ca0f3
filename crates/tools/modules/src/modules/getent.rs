//! `getent`: entries of the system's databases, as facts.

use serde_json::Value;

use crate::cx::Cx;
use crate::map;
use crate::result::{Fail, Map, Reply};

/// Databases whose fields colons part.
const COLONS: [&str; 4] = ["passwd", "shadow", "group", "gshadow"];

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let (database, key) = (cx.string("database"), cx.str("key").map(str::to_string));
    let program = cx.need_bin("getent")?;
    let mut argv = vec![program.as_str(), database.as_str()];
    argv.extend(key.as_deref());
    let service = cx.str("service").map(str::to_string);
    if let Some(service) = &service {
        argv.extend(["-s", service.as_str()]);
    }
    let done = cx.exec(&argv).map_err(|e| Fail::msg(e.to_string()))?;
    let separator = cx
        .str("split")
        .map(str::to_string)
        .or_else(|| COLONS.contains(&database.as_str()).then(|| ":".to_string()));
    let tree = format!("getent_{database}");
    let missing = || key.clone().unwrap_or_default();
    match done.rc {
        0 => {
            let mut entries = Map::new();
            for line in done.stdout().lines() {
                let words: Vec<&str> = match &separator {
                    Some(separator) => line.split(separator.as_str()).collect(),
                    None => line.split_whitespace().collect(),
                };
                let Some((first, rest)) = words.split_first() else { continue };
                let rest = Value::from(rest.to_vec());
                // A second line of the same name makes the entry a list of both.
                match entries.get_mut(*first) {
                    Some(Value::Array(list)) if list.first().is_some_and(Value::is_array) => list.push(rest),
                    Some(old) => *old = Value::Array(vec![old.clone(), rest]),
                    None => {
                        entries.insert((*first).to_string(), rest);
                    }
                }
            }
            Ok(map! { "ansible_facts" => map! { tree => entries } })
        }
        1 => Err(Fail::msg("Missing arguments, or database unknown.")),
        2 if !cx.bool("fail_key") => {
            let mut entries = Map::new();
            entries.insert(missing(), Value::Null);
            Ok(
                map! { "msg" => "One or more supplied key could not be found in the database.", "ansible_facts" => map! { tree => entries } },
            )
        }
        2 => Err(Fail::msg("One or more supplied key could not be found in the database.")),
        3 => Err(Fail::msg("Enumeration not supported on this database.")),
        _ => Err(Fail::msg("Unexpected failure!")),
    }
}
