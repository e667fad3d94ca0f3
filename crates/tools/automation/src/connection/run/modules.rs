//! Native modules over a connection: in this process, by the host's helper, in the background; and what the helper asks
//! for while one runs.

use std::path::PathBuf;

use pileus_modules::frame::Frame;
use pileus_modules::{Call, FetchRequest, Map, Stream};
use serde_json::Value;

use super::super::helper::fetch_request;
use super::super::permit::Permit;
use super::super::{Become, Error, Helper};
use super::{Connection, as_whom};

/// A native module's call.
#[derive(Debug, Clone, Default)]
pub struct ModuleCall {
    /// Its name, short or full.
    pub name: String,
    /// Its arguments, templated.
    pub args: Map,
    /// Check mode.
    pub check: bool,
    /// Diff mode.
    pub diff: bool,
    /// The task's environment.
    pub environment: Vec<(String, String)>,
    /// The directory its children start in.
    pub cwd: Option<PathBuf>,
    /// Where it makes temporary files (`remote_tmp`).
    pub tmpdir: Option<PathBuf>,
}

/// A module that outlives the connection.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id, unique on the host.
    pub jid: String,
    /// Seconds after which it is ended; 0: never.
    pub limit_s: u64,
    /// The directory of its state (`async_dir`).
    pub directory: String,
}

impl Connection {
    /// Runs a native module: in this process for `local` without become, else by the helper.
    /// `None`: there is no such native module, or this host can't run the helper; then Python's is left.
    pub fn module(
        &self,
        call: &ModuleCall,
        r#become: Option<&Become>,
        stream: Option<&mut Stream<'_>>,
    ) -> Result<Option<Map>, Error> {
        if !pileus_modules::exists(&call.name) {
            return Ok(None);
        }
        if self.transport.name() == "local" && r#become.is_none() {
            self.say(|| format!("EXEC {} (native, in this process)", call.name));
            return Ok(Some(self.module_here(call, stream)));
        }
        let Some(helper) = self.helper(r#become)? else { return Ok(None) };
        self.say(|| format!("EXEC {} (native, by the helper{})", call.name, as_whom(r#become)));
        let frame = module_frame(call, "module").with("stream", stream.is_some());
        let (mut stream, mut permit) = (stream, Permit::of(call));
        let result = helper.ask(frame, |helper, mut answer| {
            if let Some(Value::Object(result)) = answer.head.remove("result") {
                return Some(Ok(result));
            }
            if answer.flag("stream") {
                if let Some(stream) = stream.as_deref_mut() {
                    stream(&answer.blob);
                }
            } else if answer.head.contains_key("fetch")
                && let Err(error) = self.fetched(helper, &answer, &mut permit)
            {
                return Some(Err(error));
            }
            None
        })??;
        Ok(Some(result))
    }

    fn module_here(&self, call: &ModuleCall, mut stream: Option<&mut Stream<'_>>) -> Map {
        let live = stream.is_some();
        let mut forward = |bytes: &[u8]| {
            if let Some(stream) = stream.as_deref_mut() {
                stream(bytes);
            }
        };
        let fetcher = self.fetcher.clone();
        let mut fetch = |request: &FetchRequest| match &fetcher {
            Some(fetcher) => fetcher(request),
            None => Err("no URL can be fetched here".to_string()),
        };
        let mut native = Call::new(&call.name, call.args.clone());
        native.check = call.check;
        native.diff = call.diff;
        native.environment = call.environment.clone();
        native.cwd = call.cwd.clone();
        native.tmpdir = call.tmpdir.clone();
        if live {
            native.stream = Some(&mut forward);
        }
        if fetcher.is_some() {
            native.fetch = Some(&mut fetch);
        }
        let _running = crate::interrupt::Module::begin();
        pileus_modules::run(native)
    }

    /// Starts a native module that outlives the connection; its result says where `async_status` looks.
    pub fn module_async(
        &self,
        call: &ModuleCall,
        job: &Job,
        r#become: Option<&Become>,
    ) -> Result<Option<Map>, Error> {
        if !pileus_modules::exists(&call.name) {
            return Ok(None);
        }
        let Some(helper) = self.helper(r#become)? else { return Ok(None) };
        self.say(|| {
            format!("EXEC {} (native, in the background, as {}{})", call.name, job.jid, as_whom(r#become))
        });
        let frame = module_frame(call, "async")
            .with("jid", job.jid.as_str())
            .with("limit_s", job.limit_s)
            .with("dir", job.directory.as_str());
        let result = helper.ask(frame, |_, mut answer| match answer.head.remove("result") {
            Some(Value::Object(result)) => Some(result),
            _ => None,
        })?;
        Ok(Some(result))
    }

    fn fetched(&self, helper: &Helper, question: &Frame, permit: &mut Permit) -> Result<(), Error> {
        let reply = match (&self.fetcher, question.head.get("fetch").and_then(Value::as_object)) {
            (Some(fetcher), Some(fields)) => {
                let request = fetch_request(fields, question.blob.clone());
                let reply = permit.check(&request).and_then(|()| fetcher(&request));
                if let Ok(reply) = &reply {
                    permit.learn(&request, reply);
                }
                reply
            }
            _ => Err("the controller fetches no URLs".to_string()),
        };
        let answer = Frame::new(question.id()).with("op", "fetched");
        helper.send(&match reply {
            Err(error) => answer.with("error", error),
            Ok(reply) => answer
                .with("status", reply.status)
                .with("reason", reply.reason)
                .with("url", reply.url)
                .with("headers", serde_json::json!(reply.headers))
                .blob(reply.body),
        })
    }
}

fn module_frame(call: &ModuleCall, op: &str) -> Frame {
    let environment: Map = call.environment.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
    let mut frame = Frame::new(0)
        .with("op", op)
        .with("name", call.name.as_str())
        .with("args", call.args.clone())
        .with("check", call.check)
        .with("diff", call.diff)
        .with("env", environment);
    if let Some(directory) = &call.cwd {
        frame = frame.with("cwd", directory.to_string_lossy());
    }
    if let Some(directory) = &call.tmpdir {
        frame = frame.with("tmpdir", directory.to_string_lossy());
    }
    frame
}
