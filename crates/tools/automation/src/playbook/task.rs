//! One task: its action, its keywords, what surrounds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pileus_jinja::{Dict, Origin, Value};

use super::frame::Frame;
use super::keyword::{K, Keywords};

/// A task or a handler.
#[derive(Debug)]
pub struct Task {
    /// Tells tasks apart.
    pub id: u64,
    /// The module or action, as it resolves (`debug`, `ns.coll.name`).
    pub action: Arc<str>,
    /// As it was written.
    pub written: Arc<str>,
    /// Its arguments, unrendered.
    pub args: Dict,
    /// Text that renders to further arguments (`args: "{{ … }}"`, `module: "{{ … }}"`); later ones win.
    pub args_templates: Vec<Value>,
    /// Its own keywords together with those inherited.
    pub keywords: Keywords,
    /// Its own variables.
    pub vars: Option<Dict>,
    /// `with_NAME`.
    pub loop_with: Option<Arc<str>>,
    /// What surrounds it.
    pub frame: Arc<Frame>,
    /// Where it was written.
    pub origin: Option<Arc<Origin>>,
    /// Whether it is a handler.
    pub handler: bool,
    /// Put there by the engine (flushing handlers, a role's end).
    pub implicit: bool,
    /// Whether `local_action` wrote it.
    pub local: bool,
}

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A number for a new task.
pub fn next_id() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Task {
    /// A task that the engine itself puts somewhere: `meta: what`.
    pub fn meta(what: &str, frame: &Arc<Frame>) -> Arc<Self> {
        Arc::new(Self::made("meta", Dict::from_iter([(Value::str("_raw_params"), Value::str(what))]), frame))
    }
    /// A task made by the engine.
    pub fn made(action: &str, args: Dict, frame: &Arc<Frame>) -> Self {
        Self {
            id: next_id(),
            action: action.into(),
            written: action.into(),
            args,
            args_templates: Vec::new(),
            keywords: frame.keywords.within(&Keywords::default()),
            vars: None,
            loop_with: None,
            frame: frame.clone(),
            origin: None,
            handler: false,
            implicit: true,
            local: false,
        }
    }
    /// The same task with another action: that which a template of it gives.
    #[must_use]
    pub fn acting(&self, action: Arc<str>, written: &str) -> Self {
        Self {
            id: self.id,
            action,
            written: written.into(),
            args: self.args.clone(),
            args_templates: self.args_templates.clone(),
            keywords: self.keywords.clone(),
            vars: self.vars.clone(),
            loop_with: self.loop_with.clone(),
            frame: self.frame.clone(),
            origin: self.origin.clone(),
            handler: self.handler,
            implicit: self.implicit,
            local: self.local,
        }
    }
    /// A keyword's value as written or inherited.
    pub fn keyword(&self, k: K) -> Option<&Value> {
        self.keywords.get(k)
    }
    /// The name as written; empty where it has none.
    pub fn name(&self) -> Option<&Value> {
        self.keywords.get(K::Name)
    }
    /// `meta`'s action.
    pub fn meta_action(&self) -> Option<String> {
        (&*self.action == "meta").then(|| {
            self.args.get("_raw_params").and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
        })
    }
    /// The full name of the action.
    pub fn full_action(&self) -> String {
        if self.action.contains('.') {
            self.action.to_string()
        } else {
            format!("ansible.builtin.{}", self.action)
        }
    }
    /// Where its arguments are written.
    pub fn args_origin(&self) -> Option<Arc<Origin>> {
        let template = || self.args_templates.last().and_then(Value::origin);
        self.args.origin().or_else(template).cloned().or_else(|| self.origin.clone())
    }
    /// What is shown where it has no name.
    pub fn shown_action(&self) -> &str {
        &self.written
    }
    /// Whether it waits for its turn in a loop.
    pub fn loops(&self) -> bool {
        self.keywords.get(K::Loop).is_some()
    }
}
