//! `hostvars`, and `vars`: mappings that render in the right place what is read from them.

use std::fmt;
use std::sync::Arc;

use pileus_jinja::value::ValueIter;
use pileus_jinja::{Args, Dict, Error, Object, Scope, State, Value};

use crate::execute::{Run, World};
use crate::inventory::Name;
use crate::vault::EncryptedString;

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
        // an encrypted string is opened by who uses it
        Some(Value::Object(o)) if o.downcast::<EncryptedString>().is_some() => Ok(Some(Value::Object(o))),
        Some(v) => world.resolve(&v, vars).map(Some),
        None => Ok(None),
    }
}

/// What Python's mappings answer to.
fn method(of: &dyn Object, name: &str, args: &Args) -> Option<Result<Value, Error>> {
    let pairs = || -> Result<Vec<(Value, Value)>, Error> {
        let keys = of.iter().unwrap_or_else(|| Ok(Box::new(std::iter::empty())))?;
        keys.map(|k| Ok((k.clone(), of.item(&k)?.unwrap_or_default()))).collect()
    };
    Some(match name {
        "keys" => of.iter()?.map(|keys| Value::list(keys.collect())),
        "values" => pairs().map(|p| Value::list(p.into_iter().map(|(_, v)| v).collect())),
        "items" => {
            pairs().map(|p| Value::list(p.into_iter().map(|(k, v)| Value::Tuple([k, v].into())).collect()))
        }
        "get" => of
            .item(&args.first())
            .map(|v| v.unwrap_or_else(|| args.pos.get(1).cloned().unwrap_or(Value::None))),
        _ => return None,
    })
}

/// A value with nothing left to open.
fn settled(v: Value) -> Result<Value, Error> {
    Ok(match v {
        Value::List(l) => Value::list(l.items().into_iter().map(settled).collect::<Result<_, _>>()?),
        Value::Dict(d) => {
            let pairs: Result<Dict, Error> =
                d.items().into_iter().map(|(k, v)| Ok((k, settled(v)?))).collect();
            Value::Dict(pairs?)
        }
        Value::Object(o) => match o.resolve() {
            Some(v) => v?,
            None => Value::Object(o),
        },
        v => v,
    })
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
    fn call_method(&self, _: &State<'_>, name: &str, args: &Args) -> Option<Result<Value, Error>> {
        method(self, name, args)
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
    fn call_method(&self, _: &State<'_>, name: &str, args: &Args) -> Option<Result<Value, Error>> {
        method(self, name, args)
    }
    fn write_text(&self, out: &mut String) -> Result<(), Error> {
        let keys = self.iter().unwrap_or_else(|| Ok(Box::new(std::iter::empty())))?;
        let all: Result<Dict, Error> =
            keys.map(|k| Ok((k.clone(), settled(self.item(&k)?.unwrap_or_default())?))).collect();
        out.push_str(&Value::Dict(all?).repr());
        Ok(())
    }
    fn is_mapping(&self) -> bool {
        true
    }
}
