//! `wait_for`: until a port opens or closes, a file is there or gone, a text appears, connections end.

mod drained;

use std::io::Read;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cx::Cx;
use crate::map;
use crate::net::resolve;
use crate::re::{Flags, Match, Regex};
use crate::result::{Fail, Map, Reply, os_error};
use crate::sys::clock;

/// What is waited for, and until when.
struct Wait {
    host: String,
    port: Option<i64>,
    path: Option<String>,
    search: Option<(String, Regex)>,
    connect: Duration,
    sleep: Duration,
    end: Instant,
    found: Option<(Vec<u8>, Match)>,
}

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let start = Instant::now();
    let (port, file, state) = (cx.int("port"), cx.text("path"), cx.string("state"));
    let wrong = |text: &str| Err(Fail::msg(text).with("elapsed", 0));
    if port.is_some_and(|p| p != 0) && file.is_some() {
        return wrong("port and path parameter can not both be passed to wait_for");
    }
    if file.is_some() && state == "stopped" {
        return wrong("state=stopped should only be used for checking a port in the wait_for module");
    }
    if file.is_some() && state == "drained" {
        return wrong("state=drained should only be used for checking a port in the wait_for module");
    }
    let excluded = cx.opt_list("exclude_hosts");
    if excluded.is_some() && state != "drained" {
        return wrong("exclude_hosts should only be with state=drained");
    }
    let states = cx.list("active_connection_states");
    for name in &states {
        if drained::state(name).is_none() {
            return wrong(&format!("unknown active_connection_state ({name}) defined"));
        }
    }
    let search = match cx.text("search_regex") {
        None => None,
        Some(text) => {
            let flags = Flags { multi_line: true, ascii: true, ..Flags::default() };
            let regex = Regex::new(&text, flags).map_err(Fail::msg)?;
            Some((text, regex))
        }
    };
    let seconds = |key: &str| Duration::from_secs(cx.int(key).unwrap_or(0).max(0).unsigned_abs());
    let (delay, timeout) = (seconds("delay"), seconds("timeout"));
    let mut wait = Wait {
        host: cx.string("host"),
        port: port.filter(|p| *p != 0),
        path: file,
        search,
        connect: seconds("connect_timeout"),
        sleep: seconds("sleep"),
        end: start,
        found: None,
    };
    clock::pause(delay);
    wait.end = Instant::now() + timeout;
    let outcome = if wait.port.is_none() && wait.path.is_none() && state != "drained" {
        clock::pause(timeout);
        Ok(())
    } else {
        match state.as_str() {
            "stopped" | "absent" => wait.gone(),
            "drained" => wait.drained(&states, &excluded.unwrap_or_default()),
            _ => wait.there(),
        }
    };
    let elapsed = start.elapsed().as_secs();
    if let Err(message) = outcome {
        let message = match message {
            Failed::Late(text) => cx.text("msg").unwrap_or(text),
            Failed::At(text) => text,
        };
        return Err(Fail::msg(message).with("elapsed", elapsed));
    }
    let (groups, named) = wait.groups();
    Ok(map! {
        "state" => state, "port" => port, "search_regex" => cx.raw("search_regex"), "match_groups" => groups,
        "match_groupdict" => named, "path" => cx.raw("path"), "elapsed" => elapsed, "changed" => false,
    })
}

/// Why it did not come.
enum Failed {
    /// The time is over.
    Late(String),
    /// It can't be looked at.
    At(String),
}

impl Wait {
    fn over(&self) -> bool {
        Instant::now() >= self.end
    }

    /// Waits for the next look, not beyond the end.
    fn next(&self) {
        clock::pause(self.sleep.max(Duration::from_millis(10)));
    }

    fn port(&self) -> u16 {
        u16::try_from(self.port.unwrap_or(0)).unwrap_or(0)
    }

    fn gone(&self) -> Result<(), Failed> {
        while !self.over() {
            let gone = match &self.path {
                Some(file) => std::fs::metadata(file).is_err(),
                None => resolve::connect(&self.host, self.port(), self.connect).is_err(),
            };
            if gone {
                return Ok(());
            }
            self.next();
        }
        Err(Failed::Late(match &self.path {
            Some(file) => format!("Timeout when waiting for {file} to be absent."),
            None => format!("Timeout when waiting for {}:{} to stop.", self.host, self.port()),
        }))
    }

    fn there(&mut self) -> Result<(), Failed> {
        while !self.over() {
            let seen = match self.path.clone() {
                Some(file) => self.file(&file)?,
                None => self.answers(),
            };
            if seen {
                return Ok(());
            }
            self.next();
        }
        let what = match &self.path {
            Some(file) => file.clone(),
            None => format!("{}:{}", self.host, self.port()),
        };
        Err(Failed::Late(match (&self.search, &self.path) {
            (Some((text, _)), _) => format!("Timeout when waiting for search string {text} in {what}"),
            (None, Some(_)) => format!("Timeout when waiting for file {what}"),
            (None, None) => format!("Timeout when waiting for {what}"),
        }))
    }

    /// Whether the file is there, with the text in it when one is asked for.
    fn file(&mut self, file: &str) -> Result<bool, Failed> {
        match std::fs::metadata(file) {
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => return Ok(false),
            Err(e) => {
                return Err(Failed::At(format!("Failed to stat {file}, {}", crate::result::strerror(&e))));
            }
            Ok(_) if self.search.is_none() => return Ok(true),
            Ok(_) => {}
        }
        // A file that can't be read yet may be readable later.
        let Ok(bytes) = std::fs::read(file) else { return Ok(false) };
        Ok(self.matches(bytes))
    }

    fn matches(&mut self, bytes: Vec<u8>) -> bool {
        let Some((_, regex)) = &self.search else { return true };
        match regex.search(&bytes) {
            Some(found) => {
                self.found = Some((bytes, found));
                true
            }
            None => false,
        }
    }

    /// Whether the port accepts a connection, and says the text when one is asked for.
    fn answers(&mut self) -> bool {
        let left = self.end.saturating_duration_since(Instant::now());
        let limit = self.connect.min(left).max(Duration::from_millis(1));
        let Ok(mut stream) = resolve::connect(&self.host, self.port(), limit) else { return false };
        if self.search.is_none() {
            return true;
        }
        let (mut said, mut buffer) = (Vec::new(), [0u8; 1024]);
        loop {
            let left = self.end.saturating_duration_since(Instant::now());
            if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
                return false;
            }
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return false,
                Ok(n) => said.extend_from_slice(&buffer[..n]),
            }
            if self.matches(said.clone()) {
                return true;
            }
        }
    }

    fn drained(&self, states: &[String], excluded: &[String]) -> Result<(), Failed> {
        let unknown = || Failed::At("[Errno -2] Name or service not known".into());
        let own = resolve::addresses(&self.host);
        if own.is_empty() {
            return Err(unknown());
        }
        let mut others = Vec::new();
        for host in excluded {
            let found = resolve::addresses(host);
            if found.is_empty() {
                return Err(unknown());
            }
            others.extend(found);
        }
        let states: Vec<u8> = states.iter().filter_map(|s| drained::state(s)).collect();
        while !self.over() {
            let active = drained::active(&own, self.port(), &others, &states)
                .map_err(|(file, e)| Failed::At(os_error(&e, Some(file))))?;
            if active == 0 {
                return Ok(());
            }
            self.next();
        }
        Err(Failed::Late(format!("Timeout when waiting for {}:{} to drain", self.host, self.port())))
    }

    /// The groups of the match, as texts, and those that have names.
    fn groups(&self) -> (Vec<Value>, Map) {
        let (Some((text, found)), Some((_, regex))) = (&self.found, &self.search) else {
            return Default::default();
        };
        let value =
            |at: usize| found.group(text, at).map_or(Value::Null, |bytes| crate::py::text(bytes).into());
        let all = (1..=regex.groups()).map(value).collect();
        let mut named: Vec<_> = regex.group_names().collect();
        named.sort_by_key(|(_, at)| *at);
        (all, named.into_iter().map(|(name, at)| (name.to_string(), value(at))).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{Call, Map, run};

    fn call(args: Value) -> Map {
        let Value::Object(args) = args else { panic!("an object") };
        run(Call::new("wait_for", args))
    }

    #[test]
    fn ports_files_and_texts() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(call(json!({"port": port}))["port"], port);
        drop(listener);
        assert_eq!(call(json!({"port": port, "state": "stopped"}))["state"], "stopped");
        let file = std::env::temp_dir().join(format!("pileus-wait-{}", crate::files::write::unique()));
        let file = file.to_string_lossy().into_owned();
        assert_eq!(call(json!({"path": file, "state": "absent"}))["path"], file);
        std::fs::write(&file, "a\ncompleted data 123\n").unwrap();
        let seen =
            call(json!({"path": file, "search_regex": "^completed (?P<what>\\w+) ([0-9]+)", "timeout": 5}));
        assert_eq!(
            (&seen["match_groups"], &seen["match_groupdict"]),
            (&json!(["data", "123"]), &json!({"what": "data"}))
        );
        let late = call(json!({"path": file, "search_regex": "nope", "timeout": 0, "msg": "m"}));
        assert_eq!((&late["failed"], &late["msg"]), (&true.into(), &"m".into()));
        std::fs::remove_file(&file).unwrap();
        let wrong = call(json!({"path": file, "port": 1}));
        assert_eq!(wrong["msg"], "port and path parameter can not both be passed to wait_for");
    }
}
