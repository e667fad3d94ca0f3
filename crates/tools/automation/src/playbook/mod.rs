//! Plays, blocks, tasks and roles: parsing and validation.
//!
//! ```text
//! file ──source──► values with places ──play::parse──► Play ──Builder──► blocks of tasks, each in its Frame
//! ```
//!
//! All is read once; a task carries its inherited keywords and the variables that surround it, so that running it
//! parses nothing again.

pub mod block;
pub mod build;
pub mod checked;
pub mod files;
pub mod frame;
mod groups;
pub mod keyword;
pub mod names;
pub mod play;
mod raw;
pub mod rejected;
pub mod role;
pub mod split;
pub mod task;

use std::sync::Arc;

use pileus_jinja::{Dict, Value};

pub use block::{Block, Node};
pub use build::Builder;
pub use files::Files;
pub use frame::Frame;
pub use keyword::{K, Keywords};
pub use play::Play;
pub use role::Role;
pub use task::Task;

use crate::Error;

/// Renders what static imports need before anything runs.
pub trait Static {
    /// `value` with the play's variables and those of the frame.
    ///
    /// # Errors
    /// Where something in it is undefined or wrong.
    fn render(&self, value: &Value, play: &Play, frame: &Arc<Frame>) -> Result<Value, Error>;
}

/// Renders with nothing but a dict.
pub trait Imports {
    /// The value of `import_playbook`, with the variables known by then.
    ///
    /// # Errors
    /// Where something in it is undefined or wrong.
    fn render_import(&self, value: &Value, vars: &Dict) -> Result<Value, Error>;
}

/// The plays of the playbook `path`, imported ones in their places.
///
/// # Errors
/// Where a file cannot be read, or an entry is neither a play nor an import.
pub fn plays(
    files: &Files,
    path: &str,
    imports: &dyn Imports,
    when: &[Value],
    vars: &Dict,
) -> Result<Vec<Play>, Error> {
    let value = files.load(path)?;
    let directory = build::directory(path);
    crate::python::places::add(&crate::source::paths::unfrack(&directory));
    let Some(list) = value.as_list() else {
        if value.is_none() {
            return Err(
                Error::parser(format!("Empty playbook, nothing to do: {path}")).at(value.origin().cloned())
            );
        }
        return Err(Error::parser(format!(
            "A playbook must be a list of plays, got a {} instead: {path}",
            checked::class(&value)
        ))
        .at(value.origin().cloned()));
    };
    if list.items().is_empty() {
        return Err(Error::parser("A playbook must contain at least one play").at(value.origin().cloned()));
    }
    let mut out = Vec::new();
    for entry in list.items() {
        let Some(map) = entry.as_dict() else {
            return Err(Error::parser(
                "playbook entries must be either valid plays or 'import_playbook' statements",
            )
            .at(entry.origin().cloned()));
        };
        let key = ["import_playbook", "ansible.builtin.import_playbook", "ansible.legacy.import_playbook"]
            .into_iter()
            .find(|k| map.contains(k));
        let Some(key) = key else {
            let mut play = play::parse(&entry, &directory, (!vars.is_empty()).then_some(vars))?;
            if !when.is_empty() {
                // a condition of the import holds for every task
                let mut kw = (*play.frame.keywords).clone();
                kw.set(K::When, Value::list(when.to_vec()));
                let mut frame = (*play.frame).clone();
                frame.keywords = Arc::new(kw);
                play.frame = Arc::new(frame);
            }
            out.push(play);
            continue;
        };
        let mut inner_when = when.to_vec();
        let inner_vars = vars.copy();
        let mut tags = Vec::new();
        for (k, v) in map.items() {
            let name = k.to_text().unwrap_or_default();
            match name.as_str() {
                n if n == key => {}
                "vars" => {
                    if let Value::Dict(d) = checked::checked(K::Vars, &v, "PlaybookInclude", &k)? {
                        for (k, v) in d.items() {
                            inner_vars.insert(k, v);
                        }
                    }
                }
                "when" => inner_when.extend(keyword::items(&v)),
                "tags" => tags = keyword::items(&checked::checked(K::Tags, &v, "PlaybookInclude", &k)?),
                n if keyword::find(n, keyword::on::PLAY | keyword::on::BLOCK).is_some() => {}
                n => {
                    return Err(Error::parser(format!(
                        "'{n}' is not a valid attribute for a PlaybookInclude"
                    ))
                    .at(k.origin().cloned()));
                }
            }
        }
        let Some(named) = map.get(key).filter(|v| !v.is_none()) else {
            return Err(Error::parser("playbook import parameter is missing").at(entry.origin().cloned()));
        };
        let Value::Str(_) = &named else {
            return Err(Error::parser(format!(
                "playbook import parameter must be a string indicating a file path, got {} instead",
                checked::class(&named)
            ))
            .at(entry.origin().cloned()));
        };
        let named = imports.render_import(&named, &inner_vars)?.to_text().map_err(Error::from)?;
        let file = files.playbook(named.trim(), &directory);
        let _level = build::Level::enter().map_err(|e| e.at(entry.origin().cloned()))?;
        let mut inner = plays(files, &file, imports, &inner_when, &inner_vars)
            .map_err(|e| e.at(entry.origin().cloned()))?;
        for p in &mut inner {
            if !tags.is_empty() {
                let mut outer = Keywords::default();
                outer.set(K::Tags, Value::list(tags.clone()));
                let mut frame = (*p.frame).clone();
                frame.keywords = Arc::new(outer.within(&frame.keywords));
                p.frame = Arc::new(frame);
                p.keywords = outer.within(&p.keywords);
            }
        }
        out.extend(inner);
    }
    Ok(out)
}
