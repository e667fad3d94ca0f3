//! Static imports of tasks and roles.

use super::super::block::Node;
use super::super::frame::Frame;
use super::super::keyword::K;
use super::super::raw::Raw;
use super::*;
use crate::Error;
use pileus_jinja::Dict;
use std::cell::Cell;
use std::sync::Arc;

/// How deep files may import each other: one that imports itself never ends.
const MAX_LEVELS: u32 = 50;

thread_local! {
    static LEVELS: Cell<u32> = const { Cell::new(0) };
}

/// One level of imports, until it is dropped.
pub(crate) struct Level;

impl Level {
    /// Goes a level deeper.
    ///
    /// # Errors
    /// Where that is too deep.
    pub(crate) fn enter() -> Result<Self, Error> {
        if LEVELS.get() >= MAX_LEVELS {
            return Err(Error::parser(format!(
                "Files import each other more than {MAX_LEVELS} levels deep: does one import itself?"
            )));
        }
        LEVELS.set(LEVELS.get() + 1);
        Ok(Self)
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        LEVELS.set(LEVELS.get() - 1);
    }
}

impl Builder<'_> {
    pub(super) fn import_tasks(
        &self,
        raw: Raw,
        frame: &Arc<Frame>,
        handler: bool,
        out: &mut Vec<Node>,
    ) -> Result<(), Error> {
        known_args(&raw, &["file", "_raw_params"], "import_tasks")?;
        if raw.keywords.get(K::Loop).is_some() {
            return Err(Error::parser(
                "You cannot use loops on 'import_tasks' statements. You should use 'include_tasks' instead.",
            )
            .at(raw.origin.clone()));
        }
        let vars = raw.keywords.get(K::Vars).and_then(|v| v.as_dict().cloned());
        let named = raw.args.get("_raw_params").or_else(|| raw.args.get("file"));
        let Some(named) = named.filter(|n| !n.is_none()) else {
            return Err(Error::parser("No file specified for import_tasks").at(raw.origin.clone()));
        };
        let probe = Arc::new((**frame).clone().with_params(vars.as_ref()));
        let file = self.render.render(&named, self.play, &probe).map_err(|e| {
            Error::parser(
                "Error when evaluating the dynamic path.\nWhen using static imports, the parent dynamic include will be evaluated at parse time"
                    .to_owned(),
            )
            .because(e)
            .at(raw.origin.clone())
        });
        let file = file?.to_text().map_err(Error::from)?;
        let Some(path) = self.find_tasks(&file, frame, handler) else {
            return Err(Error::not_found(format!(
                "Unable to retrieve file contents.\nCould not find or access '{}' on the Ansible Controller.\nIf you are using a module and expect the file to exist on the remote, see the remote_src option",
                self.missing(&file, frame)
            ))
            .at(raw.origin.clone()));
        };
        let _level = Level::enter().map_err(|e| e.at(raw.origin.clone()))?;
        let items = self.read_list(&path)?;
        let mut inner = frame.inside(&raw.keywords).with_params(vars.as_ref());
        inner.directory = directory(&path);
        let inner = Arc::new(inner);
        for b in self.blocks(&items, &inner, handler)? {
            out.push(Node::Block(b));
        }
        Ok(())
    }

    pub(super) fn import_role(
        &self,
        raw: Raw,
        frame: &Arc<Frame>,
        handler: bool,
        out: &mut Vec<Node>,
    ) -> Result<(), Error> {
        role_args(&raw, "import_role")?;
        if handler {
            return Err(
                Error::parser("Using 'import_role' as a handler is not supported.").at(raw.origin.clone())
            );
        }
        if raw.keywords.get(K::Loop).is_some() {
            return Err(Error::parser(
                "You cannot use loops on 'import_role' statements. You should use 'include_role' instead.",
            )
            .at(raw.origin.clone()));
        }
        let vars = raw.keywords.get(K::Vars).and_then(|v| v.as_dict().cloned());
        let probe = Arc::new((**frame).clone().with_params(vars.as_ref()));
        let args = Dict::new();
        for (k, v) in raw.args.items() {
            args.insert(k, self.render.render(&v, self.play, &probe)?);
        }
        let request = self.role_request(&args, &raw.keywords, raw.origin.clone(), true);
        let inner = frame.inside(&raw.keywords).with_params(vars.as_ref());
        for b in self.role_blocks(request, &Arc::new(inner))? {
            out.push(Node::Block(b));
        }
        Ok(())
    }
}

pub(super) fn include_keywords(raw: &Raw, class_name: &str) -> Result<(), Error> {
    for (k, _) in raw.keywords.iter() {
        if !INCLUDE_KEYWORDS.contains(&k) {
            return Err(Error::parser(format!("'{}' is not a valid attribute for a {class_name}", k.name()))
                .at(raw.origin.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_end() {
        let all: Vec<Level> = (0..MAX_LEVELS).map(|_| Level::enter().unwrap()).collect();
        assert!(Level::enter().is_err());
        drop(all);
        assert!(Level::enter().is_ok());
    }
}
