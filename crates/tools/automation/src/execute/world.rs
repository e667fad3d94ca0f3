//! What lives as long as the program: files, inventory, engine, options, what is known of hosts.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::{Mutex, RwLock};
use pileus_jinja::{Dict, Engine, Value};

use crate::callback::Callbacks;
use crate::inventory::{Inventory, Name};
use crate::playbook::{Files, Frame, Imports, Play, Static};
use crate::vars::{HostData, Vars};
use crate::{Error, config, lookup};

/// What the command line says.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--check`.
    pub check: bool,
    /// `--diff`.
    pub diff: bool,
    /// `--forks`.
    pub forks: usize,
    /// `--tags`.
    pub tags: Vec<String>,
    /// `--skip-tags`.
    pub skip_tags: Vec<String>,
    /// `--limit`.
    pub limit: Option<String>,
    /// `--inventory`.
    pub inventory: Vec<String>,
    /// `--step`.
    pub step: bool,
    /// `--start-at-task`.
    pub start_at: Option<String>,
    /// `--force-handlers`.
    pub force_handlers: bool,
    /// `--flush-cache`.
    pub flush_cache: bool,
    /// Defaults of keywords: `become`, `become_user`, `connection`, `remote_user`, `timeout` … by name.
    pub keywords: HashMap<&'static str, Value>,
    /// Passwords asked for: `ansible_password`, `ansible_become_password`.
    pub passwords: HashMap<&'static str, String>,
}

/// What lives as long as the program.
pub struct World {
    /// Files.
    pub files: Arc<Files>,
    /// Hosts.
    pub inventory: Arc<dyn Inventory>,
    /// The command line.
    pub options: Options,
    /// `-e`.
    pub extra: Dict,
    /// Who hears of results.
    pub callbacks: Callbacks,
    /// Whether dicts of the same name are merged (`hash_behaviour`).
    pub merge_hashes: bool,
    /// Whether facts are variables too (`inject_facts_as_vars`).
    pub inject_facts: bool,
    engine: OnceLock<Engine>,
    hosts: RwLock<HashMap<Name, Arc<HostData>>>,
    /// Connections.
    pub connections: crate::action::remote::Connections,
    /// `set_stats`.
    pub custom_stats: Mutex<Vec<(String, String, Value)>>,
    /// This very world, for what the engine calls back.
    me: Weak<World>,
    /// Hosts lost so far: whether they could not be reached.
    pub lost: Mutex<HashMap<Name, bool>>,
    /// Where `--start-at-task` still looks.
    pub starting: Mutex<Option<String>>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World")
    }
}

impl World {
    /// A world.
    pub fn new(
        files: Arc<Files>,
        inventory: Arc<dyn Inventory>,
        options: Options,
        extra: Dict,
        callbacks: Callbacks,
    ) -> Arc<Self> {
        let config = config::current();
        Arc::new_cyclic(|me| Self {
            files,
            inventory,
            starting: Mutex::new(options.start_at.clone()),
            options,
            extra,
            callbacks,
            merge_hashes: config.text("DEFAULT_HASH_BEHAVIOUR") == Some("merge"),
            inject_facts: config.bool("INJECT_FACTS_AS_VARS"),
            engine: OnceLock::new(),
            hosts: RwLock::default(),
            connections: crate::action::remote::Connections::default(),
            custom_stats: Mutex::default(),
            lost: Mutex::default(),
            me: me.clone(),
        })
    }
    /// The template engine, with the lookups.
    pub fn engine(&self) -> &Engine {
        self.engine.get_or_init(|| lookup::engine(&self.me))
    }
    /// Renders what is a template in `value`; a value without any is given as it is.
    ///
    /// # Errors
    /// Where something in it is undefined or wrong.
    pub fn resolve(
        &self,
        value: &Value,
        scope: &dyn pileus_jinja::Scope,
    ) -> Result<Value, pileus_jinja::Error> {
        if !crate::vars::has_template(value) {
            return Ok(value.clone());
        }
        self.engine().resolve(value, scope)
    }
    /// Whether a conditional holds; a truth value needs no engine.
    ///
    /// # Errors
    /// Where it cannot be evaluated, or gives no truth value.
    pub fn condition(
        &self,
        when: &Value,
        scope: &dyn pileus_jinja::Scope,
        allow_broken: bool,
    ) -> Result<bool, pileus_jinja::Error> {
        match when {
            Value::Bool(b) => Ok(*b),
            other => {
                let delimited = other.as_str().map(str::trim).is_some_and(|text| {
                    [("{{", "}}"), ("{%", "%}")].iter().any(|(a, b)| text.starts_with(a) && text.ends_with(b))
                });
                if delimited {
                    crate::display::deprecated_at(
                        "Conditionals should not be surrounded by templating delimiters such as {{ }} or {% %}.",
                        "2.23",
                        other.origin(),
                    );
                }
                self.engine().condition(other, scope, allow_broken)
            }
        }
    }
    /// This world.
    pub fn me(&self) -> Option<Arc<World>> {
        self.me.upgrade()
    }
    /// What is known of a host.
    pub fn host(&self, name: &str) -> Arc<HostData> {
        if let Some(found) = self.hosts.read().get(name) {
            return found.clone();
        }
        let fresh = Arc::new(HostData::default());
        if !self.options.flush_cache
            && let Some(facts) = crate::vars::cache::kept(name)
        {
            fresh.add_facts(&facts);
        }
        self.hosts.write().entry(name.into()).or_insert(fresh).clone()
    }
    /// Keeps a host's facts for the next run, where a cache is configured.
    pub fn keep_facts(&self, host: &str, data: &HostData) {
        crate::vars::cache::keep(host, &data.facts);
    }
    /// The Python that `ansible_playbook_python` names.
    pub fn python(&self) -> String {
        static FOUND: OnceLock<String> = OnceLock::new();
        FOUND
            .get_or_init(|| {
                let path = std::env::var("PATH").unwrap_or_default();
                let found = path
                    .split(':')
                    .map(|d| format!("{d}/python3"))
                    .find(|p| std::path::Path::new(p).is_file());
                found.unwrap_or_else(|| "/usr/bin/python3".into())
            })
            .clone()
    }
}

impl Static for World {
    fn render(&self, value: &Value, play: &Play, frame: &Arc<Frame>) -> Result<Value, Error> {
        let Some(me) = self.me() else { return Ok(value.clone()) };
        let vars = Vars::in_frame(&me, play, frame);
        Ok(self.resolve(value, &vars)?)
    }
}

impl Imports for World {
    fn render_import(&self, value: &Value, vars: &Dict) -> Result<Value, Error> {
        let Some(me) = self.me() else { return Ok(value.clone()) };
        let mut scope = Vars::new(&me, None, None, None);
        for (k, v) in vars.items() {
            if let Some(k) = k.as_str()
                && !self.extra.contains(k)
            {
                scope.set(k, v);
            }
        }
        Ok(self.resolve(value, &scope)?)
    }
}
