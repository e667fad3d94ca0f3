//! Asks hosts over the connections, without playbooks: to try and to measure them.
//!
//! `connect [-c PLUGIN] [-b [USER]] [-e NAME=VALUE]… [-n TIMES] HOST[,HOST…] MODULE [KEY=VALUE]…`
//! `connect … HOST raw COMMAND…`
//! `connect … HOST python:MODULE [KEY=VALUE]…`   by the installed ansible-core

use std::collections::HashMap;
use std::time::Instant;

use pileus_automation::connection::{Become, ModuleCall, Options, Pool, Settings};
use pileus_automation::python::{Host, PythonCall, Setup, discover};

#[derive(Default)]
struct Given(HashMap<String, String>);

impl Settings for Given {
    fn var(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn setting(&self, environment: &[&str], _ini: &[(&str, &str)]) -> Option<String> {
        environment.iter().find_map(|name| std::env::var(name).ok())
    }
}

fn main() {
    let mut args = std::env::args().skip(1).peekable();
    let (mut plugin, mut user, mut given, mut times) = ("ssh".to_string(), None, Given::default(), 1);
    while let Some(flag) = args.next_if(|a| a.starts_with('-')) {
        let mut value = || args.next().unwrap_or_default();
        match flag.as_str() {
            "-c" => plugin = value(),
            "-b" => user = Some(value()),
            "-n" => times = value().parse().unwrap_or(1),
            _ => {
                let value = value();
                let (key, value) = value.split_once('=').unwrap_or((&value, ""));
                given.0.insert(key.into(), value.into());
            }
        }
    }
    let hosts = args.next().unwrap_or_default();
    let words: Vec<String> = args.collect();
    let pool = Pool::new(None);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for host in hosts.split(',') {
            let (pool, words, given, plugin, user) = (&pool, &words, &given, &plugin, &user);
            scope.spawn(move || {
                for _ in 0..times {
                    one(pool, host, plugin, user.as_deref(), given, words);
                }
            });
        }
    });
    eprintln!("{:.3} s", started.elapsed().as_secs_f64());
    pool.close();
}

fn one(pool: &Pool, host: &str, plugin: &str, user: Option<&str>, given: &Given, words: &[String]) {
    let options = Options::resolve(plugin, host, None, None, given);
    let method = given.var("ansible_become_method").unwrap_or_else(|| "sudo".into());
    let user = user.map(|u| Become::resolve(&method, Some(u), None, None, given));
    let outcome = pool.get(&options).and_then(|connection| {
        if words.first().is_some_and(|w| w == "raw") {
            return connection.exec(&words[1..].join(" "), &[], user.as_ref(), None).map(|output| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                format!(
                    "rc: {}, stdout: {:?}, stderr: {:?}",
                    output.rc,
                    text(&output.stdout),
                    text(&output.stderr)
                )
            });
        }
        if let Some(name) = words.first().and_then(|w| w.strip_prefix("python:")) {
            let pairs = words[1..].iter().filter_map(|w| w.split_once('='));
            let call = PythonCall {
                name: name.into(),
                args: pairs.map(|(k, v)| (k.to_string(), v.into())).collect(),
                interpreter: match given.var("ansible_python_interpreter") {
                    Some(path) => path,
                    None => discover(&connection, host, "auto", None)?.path,
                },
                paths: vec![".".into()],
                pipelining: given.var("ansible_pipelining").is_some(),
                ..PythonCall::default()
            };
            let result = pileus_automation::python::run(
                &Host::new(Setup::default()),
                &connection,
                &call,
                user.as_ref(),
                None,
            )?;
            return Ok(serde_json::Value::Object(result).to_string());
        }
        let mut call = ModuleCall {
            name: words.first().cloned().unwrap_or_else(|| "ping".into()),
            ..ModuleCall::default()
        };
        for word in words.iter().skip(1) {
            let (key, value) = word.split_once('=').unwrap_or(("_raw_params", word));
            call.args.insert(key.into(), value.into());
        }
        let result = connection.module(&call, user.as_ref(), None)?;
        Ok(result.map_or("no helper".into(), |map| serde_json::Value::Object(map).to_string()))
    });
    match outcome {
        Ok(text) => println!("{host}: {text}"),
        Err(error) => {
            println!("{host}: {}: {error}", if error.is_unreachable() { "UNREACHABLE" } else { "FAILED" })
        }
    }
}
