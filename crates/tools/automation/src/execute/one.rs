//! One task on one host: conditions, loop, arguments, action, retries.

mod attempt;
mod looping;

use std::sync::Arc;

use pileus_jinja::{Args, Dict, Value};

use crate::action::{self};
use crate::inventory::Name;
use crate::playbook::keyword::items;
use crate::playbook::{K, Task};
use crate::vars::Vars;
use crate::{Error, display};

use super::fields::{self, Fields};
use super::include::{self, Wanted};
use super::result::{Item, TaskResult};
use super::{Run, World};

/// What a worker tells before a task is done.
#[derive(Debug)]
pub enum Event {
    /// An item of a loop is done.
    Item(Box<TaskResult>, Box<Item>),
    /// Another attempt follows.
    Retry(Box<TaskResult>, i64),
    /// The task is done.
    Done(Box<TaskResult>),
}

/// One task on one host.
pub struct One<'a> {
    /// The world.
    pub world: &'a Arc<World>,
    /// The play.
    pub run: &'a Arc<Run>,
    /// The host.
    pub host: &'a Name,
    /// The task.
    pub task: &'a Arc<Task>,
    /// Where events go.
    pub report: &'a dyn Fn(Event),
}

/// One execution: its result, why it failed, the keywords it had, the include it asks for.
struct Done {
    value: Dict,
    error: Option<Error>,
    fields: Arc<Fields>,
    include: Option<Wanted>,
}

fn skipped(condition: &Value) -> Dict {
    let d = Dict::new();
    d.insert("changed", false);
    d.insert("skipped", true);
    d.insert("skip_reason", "Conditional result was False");
    d.insert("false_condition", plain(condition));
    d
}

/// A condition as it is shown: text without trust.
fn plain(v: &Value) -> Value {
    match v {
        Value::Str(s) => Value::Str(s.clone().untrust().at(None)),
        other => other.clone(),
    }
}

/// The name of a task as shown, rendered as far as it can be.
pub fn name_of(world: &World, task: &Task, vars: &Vars) -> String {
    let own = match task.name() {
        Some(v) => match world.resolve(v, vars) {
            Ok(v) => v.to_text().unwrap_or_default(),
            Err(_) => v.as_str().unwrap_or_default().to_owned(),
        },
        None => String::new(),
    };
    let own = if own.is_empty() { unnamed(task) } else { own };
    match &task.frame.role {
        // what reads a role has a name of its own
        Some(_) if &*task.action == "include_role" => own,
        Some(role) if !task.implicit || own != "meta" => {
            let shown = if role.collection.is_some() { &role.full_name } else { &role.name };
            if own.starts_with(&format!("{shown} : ")) { own } else { format!("{shown} : {own}") }
        }
        _ => own,
    }
}

/// What a task without a name is called: its action; of an included role also the role, as written.
fn unnamed(task: &Task) -> String {
    let action = task.shown_action().to_owned();
    let role = task.args.get("name").or_else(|| task.args.get("role")).and_then(|n| n.to_text().ok());
    match role {
        Some(role) if &*task.action == "include_role" => format!("{action} : {role}"),
        _ => action,
    }
}

impl One<'_> {
    /// Runs the task.
    pub fn run(&self) -> TaskResult {
        let mut vars = Vars::new(self.world, Some(self.run), Some(self.host), Some(self.task));
        for layer in self.task.vars.iter().chain(&self.task.frame.vars) {
            crate::vars::reserved::warn(layer);
        }
        if pileus_jinja::value::looks_like_template(&self.task.written) {
            let written = Value::Str(pileus_jinja::Str::trusted(&*self.task.written));
            // what can't be rendered is no action: the attempt to run it tells
            if let Some(name) = self.world.resolve(&written, &vars).ok().and_then(|v| v.to_text().ok())
                && !pileus_jinja::value::looks_like_template(&name)
            {
                let action = self.world.files.resolve_action(&name, &self.task.frame);
                let task = Arc::new(self.task.acting(action, &name));
                return One { task: &task, ..*self }.run();
            }
        }
        let name = name_of(self.world, self.task, &vars);
        let mut out = TaskResult {
            host: self.host.clone(),
            task: self.task.clone(),
            name,
            value: Dict::new(),
            fields: Arc::default(),
            items: Vec::new(),
            looped: false,
            error: None,
        };
        let looped = match self.loop_items(&vars) {
            Ok(l) => l,
            Err(e) => {
                // a condition may spare it
                match self.conditions(K::When, &vars) {
                    Ok(Err(condition)) => {
                        out.value = skipped(&condition);
                        out.fields = Arc::new(Fields { register: self.register(), ..Fields::default() });
                        return out;
                    }
                    _ => {
                        // a lookup's own failure stands alone
                        let e = if self.task.loop_with.is_some() {
                            e
                        } else {
                            Error::new("Task failed.").at(self.task.origin.clone()).because(e)
                        };
                        return self.failed(out, e, None);
                    }
                }
            }
        };
        match looped {
            None => {
                let done = self.once(&mut vars, &out);
                out.value = done.value;
                out.error = done.error;
                out.fields = done.fields;
                if let Some(wanted) = done.include {
                    out.items.push(Item {
                        value: out.value.clone(),
                        label: Value::None,
                        error: None,
                        include: Some(wanted),
                    });
                }
            }
            Some(list) => {
                out.looped = true;
                self.each(list, &mut vars, &mut out);
            }
        }
        out
    }

    fn register(&self) -> Option<Arc<str>> {
        self.task.keyword(K::Register).and_then(|v| v.as_str().map(Arc::from))
    }

    /// A result that says why.
    fn failed(&self, mut out: TaskResult, error: Error, fields: Option<Arc<Fields>>) -> TaskResult {
        out.value = failure(&error);
        out.error = Some(error);
        out.fields = fields.unwrap_or_else(|| Arc::new(self.static_fields()));
        out
    }

    /// Keywords as far as they are known without rendering.
    fn static_fields(&self) -> Fields {
        let flag = |k: K| self.task.keyword(k).and_then(Value::as_bool).unwrap_or(false);
        Fields {
            register: self.register(),
            ignore_errors: flag(K::IgnoreErrors),
            no_log: flag(K::NoLog),
            run_once: flag(K::RunOnce),
            any_errors_fatal: flag(K::AnyErrorsFatal),
            ..Fields::default()
        }
    }

    /// Whether all conditions of a keyword hold; the first that does not.
    fn conditions(&self, k: K, vars: &Vars) -> Result<Result<(), Value>, Error> {
        let Some(list) = self.task.keyword(k) else { return Ok(Ok(())) };
        let broken = crate::config::current().bool("ALLOW_BROKEN_CONDITIONALS");
        for c in items(list) {
            let holds =
                self.world.condition(&c, vars, broken).map_err(|e| Error::from(e).at(c.origin().cloned()))?;
            if !holds {
                return Ok(Err(c));
            }
        }
        Ok(Ok(()))
    }

    /// One execution, with `item` set where it loops.
    fn once(&self, vars: &mut Vars, so_far: &TaskResult) -> Done {
        let fail = |e: Error, fields: Option<Fields>| Done {
            value: failure(&e),
            error: Some(e),
            fields: Arc::new(fields.unwrap_or_else(|| self.static_fields())),
            include: None,
        };
        let task_failed = |e: Error| Error::new("Task failed.").at(self.task.origin.clone()).because(e);
        // the delegated host's variables are there for conditions already
        let delegate = match self.delegate(vars) {
            Ok(d) => d,
            Err(e) => return fail(task_failed(e), None),
        };
        const DELEGATED: &str = "ansible_delegated_vars";
        match &delegate {
            None => vars.locals.retain(|(name, _)| &**name != DELEGATED),
            Some(to) => {
                let mut of_host = Vars::new(self.world, Some(self.run), Some(to), None);
                // it stands in for the host whose task this is
                of_host.set("inventory_hostname", Value::str(&**self.host));
                if of_host.stored("ansible_host").is_none() {
                    of_host.set("ansible_host", Value::str(&**to));
                }
                let of_host = Value::object(crate::vars::hostvars::AllVars { vars: of_host });
                vars.set(DELEGATED, Value::dict([(Value::str(&**to), of_host)]));
            }
        }
        match self.conditions(K::When, vars) {
            Ok(Ok(())) => {}
            Ok(Err(condition)) => {
                let fields = Fields { no_log: self.no_log(vars), ..self.static_fields() };
                return Done {
                    value: skipped(&condition),
                    error: None,
                    fields: Arc::new(fields),
                    include: None,
                };
            }
            Err(e) => {
                return fail(
                    task_failed(e),
                    Some(Fields {
                        no_log: self.no_log(vars),
                        ignore_errors: self.ignores(vars),
                        ..self.static_fields()
                    }),
                );
            }
        }
        let mut fields = match Fields::render(self.world, self.task, vars) {
            Ok(f) => f,
            Err(e) => return fail(task_failed(e), None),
        };
        fields.delegate_to = delegate;
        if include::is_include(self.task) {
            return match include::wanted(self.world, self.task, vars) {
                Ok(w) => {
                    let d = Dict::new();
                    if let Wanted::Tasks { file, args, .. } = &w {
                        d.insert("include", file.as_str());
                        d.insert("include_args", Value::Dict(args.clone()));
                    } else if let Wanted::Role { args, .. } = &w {
                        d.insert("include_args", Value::Dict(args.clone()));
                    }
                    d.insert("changed", false);
                    Done { value: d, error: None, fields: Arc::new(fields), include: Some(w) }
                }
                Err(e) => fail(task_failed(e), Some(fields)),
            };
        }
        if let Err(e) = fields.render_environment(self.world, self.task, vars) {
            return fail(task_failed(e), Some(fields));
        }
        let args = match self.arguments(vars) {
            Ok(a) => a,
            Err(e) => {
                let e = Error::new(format!(
                    "Finalization of task args for '{}' failed.",
                    self.task.full_action()
                ))
                .at(self.task.args_origin())
                .because(e);
                return fail(task_failed(e), Some(fields));
            }
        };
        fields.args = args.clone();
        self.attempts(vars, fields, args, so_far)
    }

    fn no_log(&self, vars: &Vars) -> bool {
        self.flag(K::NoLog, vars)
    }

    fn ignores(&self, vars: &Vars) -> bool {
        self.flag(K::IgnoreErrors, vars)
    }

    fn flag(&self, k: K, vars: &Vars) -> bool {
        let Some(v) = self.task.keyword(k) else { return false };
        fields::keyword(self.world, k, v, vars).ok().flatten().and_then(|v| v.as_bool()).unwrap_or(false)
    }

    /// Whom the task is delegated to.
    fn delegate(&self, vars: &Vars) -> Result<Option<Arc<str>>, Error> {
        let Some(v) = self.task.keyword(K::DelegateTo) else { return Ok(None) };
        let name = self.world.resolve(v, vars).map_err(|e| Error::from(e).at(v.origin().cloned()))?;
        match &name {
            Value::Str(s) if s.is_empty() && v.as_str().is_some_and(|v| !v.is_empty()) => {
                let written = v.to_text().unwrap_or_default();
                Err(Error::new(format!("Empty hostname produced from delegate_to: \"{written}\"")))
            }
            Value::Str(s) if !s.is_empty() => Ok(Some(s.as_arc().clone())),
            name if name.is_none() || crate::vars::is_omit(name) => Ok(None),
            Value::Str(_) => Ok(None),
            other => Ok(Some(other.to_text().map_err(Error::from)?.into())),
        }
    }

    /// What `module_defaults` say of the action: of its groups first. An inner layer's entry replaces an outer one's.
    fn defaults(&self, vars: &Vars) -> Result<Vec<Dict>, Error> {
        let Some(list) = self.task.keyword(K::ModuleDefaults) else { return Ok(Vec::new()) };
        let engine = &**self.world;
        let mut all: Vec<(String, Value)> = Vec::new();
        for layer in items(list) {
            let layer = match &layer {
                Value::Dict(_) => layer,
                other => engine.resolve(other, vars)?,
            };
            let Value::Dict(layer) = layer else { continue };
            for (name, defaults) in layer.items() {
                let name = engine.resolve(&name, vars)?.to_text().map_err(Error::from)?;
                let name = name.strip_prefix("ansible.legacy.").map(str::to_owned).unwrap_or(name);
                match all.iter_mut().find(|(n, _)| *n == name) {
                    Some((_, known)) => *known = defaults,
                    None => all.push((name, defaults)),
                }
            }
        }
        all.retain(|(name, _)| action::defaults_apply(self.world, self.task, name));
        all.sort_by_key(|(name, _)| !name.starts_with("group/"));
        let mut out = Vec::with_capacity(all.len());
        for (_, defaults) in all {
            match defaults {
                Value::Dict(d) => out.push(d),
                other => {
                    if let Value::Dict(d) = engine.resolve(&other, vars)? {
                        out.push(d);
                    }
                }
            }
        }
        Ok(out)
    }

    /// The arguments, rendered, with `module_defaults` below them.
    fn arguments(&self, vars: &Vars) -> Result<Dict, Error> {
        let engine = &**self.world;
        let out = Dict::new();
        let put = |d: &Dict| -> Result<(), Error> {
            for (k, v) in d.items() {
                if action::keeps_unrendered(&self.task.action, k.as_str().unwrap_or_default()) {
                    out.insert(k, v);
                    continue;
                }
                let value = engine.resolve(&v, vars).map_err(|e| {
                    let at = v.origin().cloned();
                    Error::new(format!("Error while resolving value for {}", k.repr()))
                        .at(at.clone())
                        .because(Error::from(e).at(at))
                })?;
                let k = engine.resolve(&k, vars)?;
                if crate::vars::is_omit(&value) {
                    out.write().shift_remove(&k);
                    continue;
                }
                out.insert(k, value);
            }
            Ok(())
        };
        for defaults in self.defaults(vars)? {
            put(&defaults)?;
        }
        for t in &self.task.args_templates {
            display::warning_of(
                &Error::new(
                    "Using a template for task args is unsafe in some situations (see \
                     https://docs.ansible.com/ansible/devel/reference_appendices/faq.html#argsplat-unsafe).",
                )
                .at(t.origin().cloned()),
            );
            match engine.resolve(t, vars).map_err(|e| Error::from(e).at(t.origin().cloned()))? {
                Value::Dict(d) => put(&d)?,
                v if crate::vars::is_omit(&v) || v.is_none() => {}
                // Text around the template was never a mapping.
                v if action::takes_raw_params(self.task) || !is_whole(t) => {
                    out.insert("_raw_params", v);
                }
                other => {
                    let kind = other.type_name();
                    return Err(Error::new(format!("Task args must resolve to a 'dict' not '{kind}'."))
                        .at(t.origin().cloned()));
                }
            }
        }
        put(&self.task.args)?;
        Ok(out)
    }
}

/// Whether a text is nothing but a template.
fn is_whole(template: &Value) -> bool {
    let text = template.as_str().unwrap_or_default().trim();
    text.starts_with("{{") && text.ends_with("}}")
}

/// A failed result of an error.
pub fn failure(e: &Error) -> Dict {
    let d = Dict::new();
    d.insert("failed", true);
    d.insert("changed", false);
    d.insert("msg", e.brief());
    d.insert("exception", NO_TRACEBACK);
    d
}

/// What failed results say in place of a traceback.
pub const NO_TRACEBACK: &str = "(traceback unavailable)";

/// A result without what is only the engine's.
pub fn clean(d: &Dict) -> Dict {
    d.items().into_iter().filter(|(k, _)| !k.as_str().is_some_and(|k| k.starts_with("_ansible_"))).collect()
}

/// Arguments for a lookup.
pub fn args(list: Vec<Value>) -> Args {
    Args::from(list)
}
