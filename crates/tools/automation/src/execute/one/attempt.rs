//! One run of an action: tries until it holds, and the judgement of its result.

use super::super::fields::Fields;
use super::super::result::{TaskResult, flag};
use super::*;
use crate::Error;
use crate::action::{self, Failure};
use crate::playbook::K;
use crate::playbook::keyword::items;
use crate::vars::Vars;
use pileus_jinja::{Dict, Value};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

/// The longest `timeout`, in seconds.
const MOST_SECONDS: i64 = 100_000_000;

impl One<'_> {
    /// Runs the action until it is as `until` wants it.
    pub(super) fn attempts(&self, vars: &mut Vars, fields: Fields, args: Dict, so_far: &TaskResult) -> Done {
        let has_until = self.task.keyword(K::Until).is_some();
        let attempts = match fields.retries {
            None => {
                if has_until {
                    4
                } else {
                    1
                }
            }
            Some(n) if n <= 0 => 1,
            Some(n) => n + 1,
        };
        let fields = Arc::new(fields);
        let mut last = (Dict::new(), None);
        for attempt in 1..=attempts {
            let (value, mut error) = match self.act(vars, &fields, &args) {
                Ok(v) => v,
                Err(e) => return Done { value: failure(&e), error: Some(e), fields, include: None },
            };
            if attempts > 1 {
                value.insert("attempts", attempt);
            }
            if let Some(r) = &fields.register {
                vars.set(r, Value::Dict(clean(&value)));
            }
            if !flag(&value, "unreachable") {
                self.judge(vars, &value, &mut error);
            }
            if let Some(r) = &fields.register {
                vars.set(r, Value::Dict(clean(&value)));
            }
            last = (value.clone(), error);
            if attempts == 1 {
                break;
            }
            let ok = if has_until {
                match self.conditions(K::Until, vars) {
                    Ok(r) => r.is_ok(),
                    Err(e) => {
                        let e = Error::new("Task failed.").at(self.task.origin.clone()).because(e);
                        return Done { value: failure(&e), error: Some(e), fields, include: None };
                    }
                }
            } else {
                !flag(&value, "failed")
            };
            if ok {
                break;
            }
            if attempt < attempts {
                let shown = TaskResult { value: value.copy(), fields: fields.clone(), ..so_far.clone() };
                shown.value.insert("retries", attempts);
                (self.report)(Event::Retry(Box::new(shown), attempts - attempt));
                crate::delay::asked(Duration::from_secs_f64(fields.delay_s.max(0.0)));
            } else {
                value.insert("attempts", attempts - 1);
                value.insert("failed", true);
            }
        }
        let (value, mut error) = last;
        if flag(&value, "failed") {
            if error.is_none() {
                error = Some(self.unsuccessful("Action failed.", &value));
            }
            if !value.contains("exception") {
                value.insert("exception", super::NO_TRACEBACK);
            }
        }
        let fields = match value.get("_ansible_no_log").is_some_and(|v| v.truth().unwrap_or(true)) {
            true => Arc::new(Fields { no_log: true, ..(*fields).clone() }),
            false => fields,
        };
        if !fields.notify.is_empty() && flag(&value, "changed") {
            value.insert("_ansible_notify", Value::list(fields.notify.iter().map(Value::from).collect()));
        }
        if let Some(to) = &fields.delegate_to {
            let d = Dict::new();
            d.insert("ansible_delegated_host", &**to);
            for name in ["ansible_host", "ansible_port", "ansible_user", "ansible_connection"] {
                let scope = Vars::new(self.world, Some(self.run), Some(to), None);
                if let Some(v) = scope.rendered(name) {
                    d.insert(name, v);
                }
            }
            if !d.contains("ansible_host") {
                d.insert("ansible_host", &**to);
            }
            value.insert("_ansible_delegated_vars", Value::Dict(d));
        }
        Done { value, error, fields, include: None }
    }

    /// Runs the action once.
    pub(super) fn act(
        &self,
        vars: &mut Vars,
        fields: &Arc<Fields>,
        args: &Dict,
    ) -> Result<(Dict, Option<Error>), Error> {
        if !(0..=MOST_SECONDS).contains(&fields.timeout_s) {
            let e = Error::new(format!(
                "Timeout {} is invalid, it must be between 0 and {MOST_SECONDS}.",
                fields.timeout_s
            ));
            let e = Error::new("Task failed.").at(self.task.origin.clone()).because(e);
            return Ok((failure(&e), Some(e)));
        }
        let outcome = if fields.timeout_s > 0 {
            match self.within(vars, fields, args) {
                Some(outcome) => outcome,
                None => return Ok(self.timed_out(fields.timeout_s)),
            }
        } else {
            action::run(&mut action::Cx {
                world: self.world,
                run: self.run,
                host: self.host,
                task: self.task,
                vars,
                fields,
                args: args.copy(),
            })
        };
        crate::interrupt::pass();
        let task_failed = |e: Error| Error::new("Task failed.").at(self.task.origin.clone()).because(e);
        match outcome {
            Ok(value) => {
                let what = match action::on_controller(&self.task.action) {
                    true => "Action failed.",
                    false => "Module failed.",
                };
                let cause = raised(&value);
                finish(&value);
                let error = flag(&value, "failed").then(|| match cause {
                    None => self.unsuccessful(what, &value),
                    Some(cause) => {
                        let error = task_failed(Error::new(what).because(cause));
                        if !value.contains("msg") {
                            value.insert("msg", error.brief());
                        }
                        error
                    }
                });
                Ok((value, error))
            }
            Err(Failure::Result(value)) => {
                value.insert("failed", true);
                finish(&value);
                let error = self.unsuccessful("Action failed.", &value);
                Ok((value, Some(error)))
            }
            Err(Failure::Raised(value)) => {
                value.insert("failed", true);
                finish(&value);
                let msg = value.get("msg").and_then(|m| m.to_text().ok()).unwrap_or_default();
                Ok((value, Some(task_failed(Error::new(msg)))))
            }
            Err(Failure::Error(e)) => {
                let e = task_failed(e);
                Ok((failure(&e), Some(e)))
            }
            Err(Failure::Unreachable(msg)) => {
                let d = Dict::new();
                d.insert("unreachable", true);
                d.insert("changed", false);
                let e = task_failed(Error::new(msg));
                d.insert("msg", e.brief());
                d.insert("exception", super::NO_TRACEBACK);
                Ok((d, Some(e)))
            }
        }
    }

    /// Runs the action within the task's `timeout`; `None` where it takes longer. What it does then goes on without us.
    fn within(&self, vars: &Vars, fields: &Arc<Fields>, args: &Dict) -> Option<action::Outcome> {
        let (tell, told) = channel();
        let (world, run, host, task) =
            (self.world.clone(), self.run.clone(), self.host.clone(), self.task.clone());
        let (fields_of_it, args, mut vars) = (fields.clone(), args.copy(), vars.clone());
        let work = move || {
            let outcome = action::run(&mut action::Cx {
                world: &world,
                run: &run,
                host: &host,
                task: &task,
                vars: &mut vars,
                fields: &fields_of_it,
                args,
            });
            // nobody waits any more once the time is up
            let _ = tell.send(outcome);
        };
        std::thread::Builder::new().name("timed".into()).stack_size(16 << 20).spawn(work).ok()?;
        told.recv_timeout(Duration::from_secs(u64::try_from(fields.timeout_s).unwrap_or(0))).ok()
    }

    fn timed_out(&self, period_s: i64) -> (Dict, Option<Error>) {
        let e = Error::new(format!("Timed out after {period_s} second(s)."));
        let e = Error::new("Task failed.").at(self.task.origin.clone()).because(e);
        let d = failure(&e);
        d.insert("changed", false);
        let how = Dict::new();
        how.insert("frame", "Configure `DISPLAY_TRACEBACK` to see a traceback on timeout errors.");
        how.insert("period", period_s);
        d.insert("timedout", Value::Dict(how));
        (d, Some(e))
    }

    /// The error of a result that says itself that it failed; it gets a message if it has none.
    fn unsuccessful(&self, what: &str, value: &Dict) -> Error {
        let of = |cause: Option<Error>| {
            let e = match cause {
                Some(cause) => Error::new(what).because(cause),
                None => Error::new(what),
            };
            Error::new("Task failed.").at(self.task.origin.clone()).because(e)
        };
        match value.get("msg").filter(|m| !m.is_none()).and_then(|m| m.to_text().ok()) {
            Some(msg) if msg.is_empty() => of(None),
            Some(msg) => of(Some(Error::new(msg))),
            None => {
                let e = of(Some(Error::new("Unknown error.")));
                value.insert("msg", e.brief());
                e
            }
        }
    }

    /// `changed_when` and `failed_when`. Where they can't be evaluated the result failed, and says why.
    pub(super) fn judge(&self, vars: &mut Vars, value: &Dict, error: &mut Option<Error>) {
        let asked = |k: K| self.task.keyword(k).is_some_and(|v| !items(v).is_empty());
        if asked(K::ChangedWhen) {
            match self.conditions(K::ChangedWhen, vars) {
                Ok(changed) => value.insert("changed", changed.is_ok()),
                Err(e) => {
                    value.insert("failed", true);
                    value.insert("changed_when_result", e.brief())
                }
            };
        }
        if let Some(r) = self.register() {
            vars.set(&r, Value::Dict(clean(value)));
        }
        if asked(K::FailedWhen) {
            match self.conditions(K::FailedWhen, vars) {
                Ok(failed) => {
                    let failed = failed.is_ok();
                    let was_failed = flag(value, "failed");
                    value.insert("failed", failed);
                    value.insert("failed_when_result", failed);
                    if !failed {
                        *error = None;
                        let exception = value.remove("exception");
                        if was_failed {
                            let exception = exception.unwrap_or_else(|| Value::str(super::NO_TRACEBACK));
                            value.insert("failed_when_suppressed_exception", exception);
                        }
                    }
                }
                Err(e) => {
                    value.insert("failed", true);
                    value.insert("failed_when_result", e.brief());
                }
            }
        }
    }
}

/// The exception of a failed module, with what caused it; in the result it is a traceback, of which there is none.
fn raised(d: &Dict) -> Option<Error> {
    fn told(event: &Value) -> Option<Error> {
        let event = event.as_dict()?;
        let error = Error::new(event.get("msg")?.to_text().ok()?);
        let cause = event.get("chain").and_then(|c| told(&c.as_dict()?.get("event")?));
        Some(match cause {
            Some(cause) => error.because(cause),
            None => error,
        })
    }
    if !flag(d, "failed") {
        return None;
    }
    let error = told(&d.get("exception")?.as_dict()?.get("event")?)?;
    d.insert("exception", super::NO_TRACEBACK);
    Some(error)
}

/// What every result of an action gets.
pub(super) fn finish(d: &Dict) {
    if !d.contains("changed") && !flag(d, "skipped") {
        d.insert("changed", false);
    }
    if !d.contains("failed") {
        let rc = d.get("rc");
        let bad = match &rc {
            None | Some(Value::None) => false,
            Some(Value::Int(n)) => *n != 0,
            Some(Value::Str(s)) => &**s != "0",
            Some(_) => false,
        };
        d.insert("failed", bad);
    }
    for (text, lines) in [("stdout", "stdout_lines"), ("stderr", "stderr_lines")] {
        if let Some(Value::Str(s)) = d.get(text)
            && !d.contains(lines)
        {
            d.insert(lines, Value::list(split_lines(&s).into_iter().map(Value::str).collect()));
        }
    }
}

/// Python's `splitlines`.
pub(super) fn split_lines(s: &str) -> Vec<&str> {
    s.split_inclusive(['\n', '\r']).map(|l| l.trim_end_matches(['\n', '\r'])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dict(json: &str) -> Dict {
        match Value::from(serde_json::from_str::<serde_json::Value>(json).unwrap()) {
            Value::Dict(d) => d,
            _ => Dict::new(),
        }
    }

    #[test]
    fn an_exception_tells_what_caused_it() {
        let d = dict(
            r#"{"failed": true, "exception": {"event": {"msg": "one", "chain": {"event": {"msg": "two"}}}}}"#,
        );
        assert_eq!(raised(&d).unwrap().brief(), "one: two");
        assert_eq!(d.get("exception").unwrap().as_str(), Some(super::super::NO_TRACEBACK));
        assert!(raised(&dict(r#"{"failed": true, "msg": "no", "exception": "text"}"#)).is_none());
    }
}
