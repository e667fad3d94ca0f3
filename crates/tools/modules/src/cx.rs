//! The context of one module call: checked parameters, modes, warnings, children and hooks.

use std::io;
use std::path::PathBuf;

use serde_json::Value;

use crate::result::{Fail, Map};
use crate::sys::process::{Exec, Output};
use crate::{Call, Fetch, Stream};

/// What a module asks the controller to fetch.
#[derive(Debug, Clone, Default)]
pub struct FetchRequest {
    /// The URL.
    pub url: String,
    /// The method, `GET` by default.
    pub method: String,
    /// Header lines to send.
    pub headers: Vec<(String, String)>,
    /// The body to send.
    pub body: Vec<u8>,
    /// Seconds until it gives up.
    pub timeout_s: u64,
    /// Whether certificates are checked.
    pub validate_certs: bool,
    /// `all`, `none`, `safe` …
    pub follow_redirects: String,
    /// User and password for basic authentication.
    pub auth: Option<(String, String)>,
    /// Send them with the first request, before being asked.
    pub force_basic_auth: bool,
    /// A proxy may be used.
    pub use_proxy: bool,
    /// A Unix socket to connect to.
    pub unix_socket: Option<String>,
    /// Certificate and key of the client, and the authorities to trust: PEM texts.
    pub client_cert: Option<String>,
    /// See `client_cert`.
    pub client_key: Option<String>,
    /// See `client_cert`.
    pub ca_path: Option<String>,
    /// A proxy to go through.
    pub proxy: Option<String>,
    /// Headers that a redirected request doesn't get.
    pub unredirected: Vec<String>,
}

/// What came back.
#[derive(Debug, Clone, Default)]
pub struct FetchReply {
    /// The status code; -1 when there was no answer.
    pub status: i64,
    /// The reason or the error.
    pub reason: String,
    /// The URL after redirects.
    pub url: String,
    /// Header lines.
    pub headers: Vec<(String, String)>,
    /// The body, decoded from its transfer encoding.
    pub body: Vec<u8>,
    /// The cookies that were set on the way, by name and value.
    pub cookies: Vec<(String, String)>,
}

/// One running call.
pub(crate) struct Cx<'a> {
    pub params: Map,
    pub check: bool,
    pub diff: bool,
    pub environment: Vec<(String, String)>,
    pub cwd: Option<PathBuf>,
    pub tmpdir: PathBuf,
    pub warnings: Vec<String>,
    /// The Python interpreter the controller would use here, when it knows one.
    pub interpreter: Option<String>,
    /// The result's `diff` stays outside of diff mode too.
    pub keep_diff: bool,
    pub stream: Option<&'a mut Stream<'a>>,
    pub fetch: Option<&'a mut Fetch<'a>>,
}

impl<'a> Cx<'a> {
    /// A context without parameters yet.
    pub fn new(call: Call<'a>) -> Self {
        Cx {
            params: Map::new(),
            check: call.check,
            diff: call.diff,
            environment: call.environment,
            cwd: call.cwd,
            tmpdir: call.tmpdir.unwrap_or_else(std::env::temp_dir),
            warnings: Vec::new(),
            interpreter: call
                .args
                .get("_ansible_python_interpreter")
                .and_then(Value::as_str)
                .map(str::to_string),
            keep_diff: false,
            stream: call.stream,
            fetch: call.fetch,
        }
    }

    /// A text parameter; `None` when absent or null.
    pub fn str(&self, key: &str) -> Option<&str> {
        self.params.get(key)?.as_str()
    }

    /// A text parameter, owned; empty when absent.
    pub fn string(&self, key: &str) -> String {
        self.str(key).unwrap_or_default().to_string()
    }

    /// A text parameter that is neither absent nor empty.
    pub fn text(&self, key: &str) -> Option<String> {
        self.str(key).filter(|s| !s.is_empty()).map(str::to_string)
    }

    /// A boolean parameter, false when absent.
    pub fn bool(&self, key: &str) -> bool {
        self.params.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A boolean parameter that may be absent.
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.params.get(key).and_then(Value::as_bool)
    }

    /// A whole number.
    pub fn int(&self, key: &str) -> Option<i64> {
        self.params.get(key).and_then(Value::as_i64)
    }

    /// A list of texts; empty when absent.
    pub fn list(&self, key: &str) -> Vec<String> {
        self.opt_list(key).unwrap_or_default()
    }

    /// A list of texts that may be absent.
    pub fn opt_list(&self, key: &str) -> Option<Vec<String>> {
        let items = self.params.get(key)?.as_array()?;
        Some(items.iter().map(crate::py::str).collect())
    }

    /// Any parameter; null when absent.
    pub fn raw(&self, key: &str) -> &Value {
        self.params.get(key).unwrap_or(&Value::Null)
    }

    /// Adds a warning to the result.
    pub fn warn(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }

    /// Runs a program to its end with the C locale and captures its output.
    pub fn exec(&mut self, argv: &[&str]) -> io::Result<Output> {
        self.exec_with(Exec::new(argv).locale_c())
    }

    /// Runs a program as described, in the task's environment and directory.
    pub fn exec_with(&mut self, mut exec: Exec) -> io::Result<Output> {
        let mut env = self.environment.clone();
        env.append(&mut exec.env);
        exec.env = env;
        if exec.cwd.is_none() {
            exec.cwd.clone_from(&self.cwd);
        }
        exec.run(self.stream.as_deref_mut())
    }

    /// The value of a variable in the environment children get.
    pub fn env(&self, name: &str) -> Option<String> {
        let set = self.environment.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        set.or_else(|| std::env::var(name).ok())
    }

    /// Where a program is, by the task's PATH and the system directories.
    pub fn find_bin(&self, name: &str) -> Option<String> {
        crate::sys::path::find_bin(name, self.env("PATH").as_deref())
    }

    /// Like [`Cx::find_bin`], failing as the reference does.
    pub fn need_bin(&self, name: &str) -> Result<String, Fail> {
        self.find_bin(name).ok_or_else(|| {
            let paths = crate::sys::path::search_path(self.env("PATH").as_deref()).join(":");
            Fail::msg(format!("Failed to find required executable \"{name}\" in paths: {paths}"))
        })
    }
}
