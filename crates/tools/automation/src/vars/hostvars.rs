//! `hostvars`, and `vars`: mappings that render in the right place what is read from them.

use std::fmt;
use std::sync::Arc;

use pileus_jinja::value::ValueIter;
use pileus_jinja::{Error, Object, Scope, Value};

use crate::execute::{Run, World};
use crate::inventory::Name;

use super::Vars;

/// `hostvars`.
pub struct HostVars {
    /// The world.
    pub world: Arc<World>,
    /// The play that runs.
    pub run: Option<Arc<Run>>,
}

impl fmt::Debug for HostVars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostVars")
    }
}

fn read(world: &World, value: Option<Value>, vars: &Vars) -> Result<Option<Value>, Error> {
    match value {
        Some(v) => world.resolve(&v, vars).map(Some),
        None => Ok(None),
    }
}

impl Object for HostVars {
    fn type_name(&self) -> &str {
        "HostVars"
    }
    fn item(&self, key: &Value) -> Result<Option<Value>, Error> {
        let Some(name) = key.as_str() else { return Ok(None) };
        let known = self.world.inventory.hosts().iter().any(|h| &**h == name)
            || matches!(name, "localhost" | "127.0.0.1" | "::1");
        if !known {
            return Ok(None);
        }
        let host: Name = name.into();
        let vars = Vars::new(&self.world, self.run.as_ref(), Some(&host), None);
        Ok(Some(Value::object(AllVars { vars })))
    }
    fn iter(&self) -> Option<Result<ValueIter, Error>> {
        let hosts = self.world.inventory.hosts();
        Some(Ok(Box::new(hosts.into_iter().map(|h| Value::str(&*h)))))
    }
    fn len(&self) -> Option<usize> {
        Some(self.world.inventory.hosts().len())
    }
    fn is_mapping(&self) -> bool {
        true
    }
}

/// `vars`, and a host's entry of `hostvars`.
pub struct AllVars {
    /// The variables.
    pub vars: Vars,
}

impl fmt::Debug for AllVars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostVarsVars")
    }
}

impl Object for AllVars {
    fn type_name(&self) -> &str {
        "HostVarsVars"
    }
    fn item(&self, key: &Value) -> Result<Option<Value>, Error> {
        let Some(name) = key.as_str() else { return Ok(None) };
        if name == "vars" {
            return Ok(None);
        }
        read(&self.vars.world, self.vars.get(name), &self.vars)
    }
    fn iter(&self) -> Option<Result<ValueIter, Error>> {
        let names: Vec<String> = self
            .vars
            .names()
            .into_iter()
            .filter(|n| !matches!(n.as_str(), "vars" | "hostvars") && self.vars.get(n).is_some())
            .collect();
        Some(Ok(Box::new(names.into_iter().map(Value::from))))
    }
    fn len(&self) -> Option<usize> {
        Some(self.vars.names().len())
    }
    fn is_mapping(&self) -> bool {
        true
    }
}
