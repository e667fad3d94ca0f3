//! Running a Python (or otherwise foreign) module on a target.
//!
//! New-style modules go as one bundle on the interpreter's standard input, with nothing written on the target. Others
//! (old-style, WANT_JSON, JSON-args, binary) are files there, in a directory of the user's that is removed afterwards.

use std::sync::atomic::{AtomicU64, Ordering};

use pileus_modules::Map;
use pileus_modules::frame::Frame;
use serde_json::{Value, json};

use super::host::{Host, HostError, warnings};
use crate::connection::{Become, Connection, Error, Job, Output};

/// One call of a module in Python.
#[derive(Debug, Clone, Default)]
pub struct PythonCall {
    /// Its name; found by ansible-core's rules unless `path` says where it is.
    pub name: String,
    /// Its file.
    pub path: Option<String>,
    /// Its arguments, templated.
    pub args: Map,
    /// Check and diff mode, no_log, verbosity.
    pub check: bool,
    /// See `check`.
    pub diff: bool,
    /// See `check`.
    pub no_log: bool,
    /// See `check`.
    pub verbosity: u8,
    /// The task's environment.
    pub environment: Vec<(String, String)>,
    /// The target's Python.
    pub interpreter: String,
    /// Other interpreters (`ansible_ruby_interpreter` …) and what else the bundle wants of the variables.
    pub vars: Map,
    /// Collections to search for short names.
    pub collections: Vec<String>,
    /// Directories with `library` and `module_utils` (the playbook's, roles').
    pub paths: Vec<String>,
    /// `remote_tmp`.
    pub remote_tmp: Option<String>,
    /// Whether files stay on the target (`ANSIBLE_KEEP_REMOTE_FILES`), which also makes bundles files.
    pub keep_files: bool,
    /// Whether a bundle may come on standard input (`pipelining`); files otherwise.
    pub pipelining: bool,
}

/// The version that modules are told.
const VERSION: &str = "2.19.14";

/// Runs it; a failure of the module is a result. With a job it outlives the connection.
pub fn run(
    host: &Host,
    connection: &Connection,
    call: &PythonCall,
    r#become: Option<&Become>,
    job: Option<&Job>,
) -> Result<Map, Error> {
    crate::action::count::python();
    let mut work = Work { host, connection, call, r#become, directory: None };
    let result = work.run(job);
    if let Some(directory) = work.directory.take().filter(|_| !call.keep_files && job.is_none()) {
        // The result counts; a directory that can't be removed stays.
        let _ = connection.exec(&format!("rm -rf {}", quote(&directory)), &[], r#become, None);
    }
    result
}

struct Work<'a> {
    host: &'a Host,
    connection: &'a Connection,
    call: &'a PythonCall,
    r#become: Option<&'a Become>,
    directory: Option<String>,
}

impl Work<'_> {
    fn run(&mut self, job: Option<&Job>) -> Result<Map, Error> {
        let call = self.call;
        let files = job.is_some() || !call.pipelining || call.keep_files;
        let arguments = self.arguments(files)?;
        let built = match self.build(&call.name, call.path.as_deref(), arguments) {
            Ok(built) => built,
            Err(HostError::Failed(message)) => return Ok(failed(&message)),
            Err(error) => return Err(Error::Failed(error.to_string())),
        };
        if let Some(message) = built.text("missing") {
            return Ok(failed(message));
        }
        let told = warnings(&built);
        let style = built.text("style").unwrap_or_default().to_string();
        let shebang = built.text("shebang").unwrap_or_default().trim_start_matches("#!").trim().to_string();
        if shebang.is_empty() && style != "binary" {
            return Err(Error::Failed(format!("module ({}) is missing interpreter line", call.name)));
        }
        let profile = built.text("profile").unwrap_or("legacy").to_string();
        let environment: String =
            call.environment.iter().map(|(k, v)| format!("{k}={} ", quote(v))).collect();
        let output = if style == "new" && !files {
            let command = format!("{environment}{shebang} && sleep 0");
            self.connection.exec(&command, &built.blob, self.r#become, None)?
        } else {
            let (module, arguments) = self.transfer(&built, &style)?;
            let command = match job {
                None => format!(
                    "{environment}{shebang} {} {}",
                    quote(&module),
                    arguments.as_deref().map(quote).unwrap_or_default()
                ),
                Some(job) => self.wrapper(job, &environment, &module, arguments.as_deref())?,
            };
            self.connection.exec(command.trim(), &[], self.r#become, None)?
        };
        let mut result = self.parse(&output, &profile, &shebang)?;
        if job.is_some() {
            result.insert("changed".into(), true.into());
        }
        tidy(&mut result, told);
        Ok(result)
    }

    fn build(&self, name: &str, path: Option<&str>, args: Map) -> Result<Frame, HostError> {
        let call = self.call;
        let mut vars = call.vars.clone();
        vars.insert("ansible_python_interpreter".into(), call.interpreter.as_str().into());
        let environment: Map = call.environment.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
        let mut fields = Map::new();
        fields.insert("name".into(), name.into());
        if let Some(path) = path {
            fields.insert("path".into(), path.into());
        }
        fields.insert("args".into(), args.into());
        fields.insert("vars".into(), vars.into());
        fields.insert("env".into(), environment.into());
        fields.insert("collections".into(), json!(call.collections));
        fields.insert("paths".into(), json!(call.paths));
        self.host.ask(&format!("the module {name}"), "module", fields, &[])
    }

    /// The task's arguments and the reference's internal ones.
    fn arguments(&mut self, files: bool) -> Result<Map, Error> {
        let call = self.call;
        let directory = if files { Some(self.directory()?) } else { None };
        let mut args = call.args.clone();
        let internal = json!({
            "_ansible_check_mode": call.check, "_ansible_no_log": call.no_log, "_ansible_debug": false,
            "_ansible_diff": call.diff, "_ansible_verbosity": call.verbosity, "_ansible_version": VERSION,
            "_ansible_module_name": call.name, "_ansible_syslog_facility": "LOG_USER",
            "_ansible_selinux_special_fs": ["fuse", "nfs", "vboxsf", "ramfs", "9p", "vfat"], "_ansible_socket": null,
            "_ansible_shell_executable": self.connection.options().executable, "_ansible_keep_remote_files": call.keep_files,
            "_ansible_tmpdir": directory, "_ansible_remote_tmp": call.remote_tmp.as_deref().unwrap_or("~/.ansible/tmp"),
            "_ansible_ignore_unknown_opts": false, "_ansible_target_log_info": null, "_ansible_tracebacks_for": [],
        });
        if let Value::Object(internal) = internal {
            args.extend(internal);
        }
        Ok(args)
    }

    /// A fresh directory on the target that only the user can enter.
    fn directory(&mut self) -> Result<String, Error> {
        if let Some(directory) = &self.directory {
            return Ok(directory.clone());
        }
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let base = self.call.remote_tmp.as_deref().unwrap_or("~/.ansible/tmp");
        let base = match base.strip_prefix('~') {
            Some(rest) => format!("\"${{HOME:-/tmp}}\"{}", quote(rest)),
            None => quote(base),
        };
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!(
            "ansible-tmp-{}.{}-{}-{count}",
            since.as_secs(),
            since.subsec_nanos(),
            std::process::id()
        );
        // A home that can't be written to (nobody's) has /tmp instead.
        let command = format!(
            "umask 77; for b in {base} /tmp; do mkdir -p \"$b\" 2>/dev/null; d=\"$b/{name}\"; mkdir \"$d\" 2>/dev/null && echo \"$d\" && exit 0; done; exit 1"
        );
        let output = self.connection.exec(&command, &[], self.r#become, None)?;
        if output.rc != 0 {
            return Err(Error::Unreachable(format!(
                "Failed to create temporary directory. In some cases, you may have been able to authenticate and did not have \
                 permissions on the target directory. Consider changing the remote tmp path in ansible.cfg to a path rooted in \
                 \"/tmp\", for more error information use -vvv. Failed command was: {command}, exited with result {}",
                output.rc
            )));
        }
        let directory = String::from_utf8_lossy(&output.stdout).trim().to_string();
        self.directory = Some(directory.clone());
        Ok(directory)
    }

    /// Puts the module and its arguments there.
    fn transfer(&mut self, built: &Frame, style: &str) -> Result<(String, Option<String>), Error> {
        let directory = self.directory()?;
        let file = built.text("path").and_then(|p| p.rsplit('/').next()).unwrap_or("module");
        let module = format!("{directory}/AnsiballZ_{file}");
        self.connection.put(&mut built.blob.as_slice(), &module, Some(0o700), self.r#become)?;
        let arguments = match built.text("args").filter(|_| style != "new") {
            None => None,
            Some(text) => {
                let path = format!("{directory}/args");
                self.connection.put(&mut text.as_bytes(), &path, Some(0o600), self.r#become)?;
                Some(path)
            }
        };
        Ok((module, arguments))
    }

    /// The command that runs the module in the background by the reference's async_wrapper.
    fn wrapper(
        &mut self,
        job: &Job,
        environment: &str,
        module: &str,
        arguments: Option<&str>,
    ) -> Result<String, Error> {
        let built = self
            .build("ansible.legacy.async_wrapper", None, Map::new())
            .map_err(|e| Error::Failed(e.to_string()))?;
        let directory = self.directory()?;
        let wrapper = format!("{directory}/async_wrapper.py");
        self.connection.put(&mut built.blob.as_slice(), &wrapper, Some(0o700), self.r#become)?;
        let keep = if self.call.keep_files { " -preserve_tmp" } else { "" };
        Ok(format!(
            "{environment}ANSIBLE_ASYNC_DIR={} {} {} {} {} {} {}{keep}",
            quote(&job.directory),
            self.call.interpreter,
            quote(&wrapper),
            quote(&job.jid),
            job.limit_s,
            quote(module),
            arguments.map_or("_".into(), quote),
        ))
    }

    fn parse(&self, output: &Output, profile: &str, interpreter: &str) -> Result<Map, Error> {
        let mut fields = Map::new();
        fields.insert("profile".into(), profile.into());
        let answer = self.host.ask("a module's result", "parse", fields, &output.stdout);
        if let Ok(mut answer) = answer
            && let Some(Value::Object(mut result)) = answer.head.remove("value")
        {
            let told = warnings(&answer);
            merge_warnings(&mut result, told);
            return Ok(result);
        }
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let missing =
            [": No such file or directory", ": not found", ": command not found"].iter().any(|end| {
                stderr.contains(&format!("{interpreter}{end}"))
                    || stdout.contains(&format!("{interpreter}{end}"))
            });
        let message = if missing {
            format!(
                "The module interpreter '{interpreter}' was not found. Consider overriding the configured interpreter path for \
                 this host. See stdout/stderr for the returned output."
            )
        } else {
            "Module result deserialization failed. See stdout/stderr for the returned output.".to_string()
        };
        let mut result = failed(&message);
        result.insert("module_stdout".into(), stdout.into());
        result.insert("module_stderr".into(), stderr.into());
        result.insert("rc".into(), output.rc.into());
        Ok(result)
    }
}

fn failed(message: &str) -> Map {
    let mut map = Map::new();
    map.insert("failed".into(), true.into());
    map.insert("msg".into(), message.into());
    map
}

fn merge_warnings(result: &mut Map, told: Vec<String>) {
    if told.is_empty() {
        return;
    }
    if let Some(list) = result.entry("warnings").or_insert_with(|| json!([])).as_array_mut() {
        list.extend(told.into_iter().map(Value::from));
    }
}

/// What the reference does to every result: lines beside texts, `results` renamed when it is no list.
fn tidy(result: &mut Map, told: Vec<String>) {
    super::values::strip(result);
    merge_warnings(result, told);
    if result.get("results").is_some_and(|r| !r.is_array())
        && let Some(value) = result.shift_remove("results")
    {
        result.insert("ansible_module_results".into(), value);
        let text = "Found internal 'results' key in module return, renamed to 'ansible_module_results'.";
        merge_warnings(result, vec![text.into()]);
    }
    for name in ["stdout", "stderr"] {
        let lines = format!("{name}_lines");
        if let Some(text) = result.get(name).filter(|_| !result.contains_key(&lines)) {
            let list: Vec<Value> = text.as_str().unwrap_or_default().lines().map(Value::from).collect();
            result.insert(lines, list.into());
        }
    }
}

fn quote(text: &str) -> String {
    crate::connection::quote(text)
}
