//! `ansible-console`: modules typed line by line, each run on the hosts of the pattern that holds.
//!
//! Every line runs as `ansible PATTERN -m MODULE -a ARGUMENTS` does, with the options that hold then.

use std::ffi::OsString;
use std::io::{BufRead, IsTerminal, Write};

use crate::config::Config;
use crate::{Error, display};

use super::args::{Count, Given, Grammar, Takes, flag};
use super::{common, flags, pull};

fn grammar() -> Grammar {
    let mut g = Grammar::new("ansible-console", "REPL console for executing Ansible tasks.")
        .arguments(Count::Optional, "pattern", "host pattern")
        .with(flags::base())
        .with(flags::runas())
        .with(flags::inventory())
        .with(flags::connect())
        .with(flags::check())
        .with(flags::vaults())
        .with([
            flags::forks(),
            flags::module_path(),
            flags::playbook_dir(),
            flags::extra_vars(),
            flag(
                &["--task-timeout"],
                "task_timeout",
                Takes::Int,
                "set task timeout limit in seconds, must be positive integer.",
            ),
            flag(&["--step"], "step", Takes::Flag, "one-step-at-a-time: confirm each task before running"),
        ]);
    g.groups = vec![flags::BECOME_GROUP, flags::CONNECTION_GROUP];
    g.epilog = "This is not a live session/connection: each task is executed in the background and returns its results.";
    g
}

/// The whole program; the exit code.
pub fn main(args: &[OsString]) -> i32 {
    common::run(&grammar(), args, run)
}

/// What holds for the next line.
struct Console {
    pattern: String,
    /// Options of the command line that stay: inventories, passwords …
    options: Vec<String>,
    forks: i64,
    r#become: bool,
    become_user: Option<String>,
    become_method: Option<String>,
    remote_user: Option<String>,
    check: bool,
    diff: bool,
    timeout: Option<String>,
    verbosity: usize,
}

const HELP: &str = "MODULE [ARGUMENTS]   run a module on the hosts of the pattern
! COMMAND            run a shell command (also: shell COMMAND)
cd [PATTERN]         choose hosts; without one: all
list [groups]        the hosts of the pattern, or the groups
become [yes|no]      become another user
become_user USER     whom to become
become_method NAME   how
remote_user USER     whom to log in as
check [yes|no]       only predict changes
diff [yes|no]        show differences
forks N, timeout S, verbosity N
exit                 leave (also: quit, Ctrl-D)";

fn run(given: &Given, config: &'static Config) -> Result<i32, Error> {
    let mut options = Vec::new();
    for (dest, option) in [
        ("inventory", "-i"),
        ("extra_vars", "-e"),
        ("vault_ids", "--vault-id"),
        ("vault_password_files", "--vault-password-file"),
        ("module_path", "-M"),
    ] {
        options.extend(given.values(dest).iter().flat_map(|v| [option.to_owned(), v.clone()]));
    }
    for (dest, option) in [
        ("private_key_file", "--private-key"),
        ("connection", "-c"),
        ("ssh_common_args", "--ssh-common-args"),
        ("ssh_extra_args", "--ssh-extra-args"),
        ("sftp_extra_args", "--sftp-extra-args"),
        ("scp_extra_args", "--scp-extra-args"),
        ("connection_password_file", "--connection-password-file"),
        ("become_password_file", "--become-password-file"),
        ("basedir", "--playbook-dir"),
        ("subset", "-l"),
    ] {
        options
            .extend(given.value(dest).map(|v| format!("{option}={v}")).filter(|_| option.starts_with("--")));
        if !option.starts_with("--") {
            options.extend(given.value(dest).into_iter().flat_map(|v| [option.to_owned(), v.to_owned()]));
        }
    }
    for (dest, option) in [
        ("ask_pass", "-k"),
        ("become_ask_pass", "-K"),
        ("ask_vault_pass", "-J"),
        ("flush_cache", "--flush-cache"),
    ] {
        if given.on(dest) {
            options.push(option.to_owned());
        }
    }
    let text = |name: &str| given.value(name).map(str::to_owned);
    let mut console = Console {
        pattern: given.args.first().cloned().unwrap_or_else(|| "all".into()),
        options,
        forks: given.int("forks").unwrap_or_else(|| config.int("DEFAULT_FORKS")),
        r#become: given.on("become"),
        become_user: text("become_user"),
        become_method: text("become_method"),
        remote_user: text("remote_user"),
        check: given.on("check"),
        diff: given.on("diff"),
        timeout: text("task_timeout"),
        verbosity: given.count("verbosity") as usize,
    };
    if given.on("listhosts") {
        return pull::child("ansible", &console.command(&["--list-hosts"]), None).map(|(code, _)| code);
    }
    display::out("Welcome to the ansible console. Type help or ? to list commands.\n");
    let stdin = std::io::stdin();
    loop {
        print!("{}", console.prompt());
        // who reads us may have gone
        let _ = std::io::stdout().flush();
        let mut line = String::new();
        match stdin.lock().read_line(&mut line) {
            Ok(0) => break,
            Ok(_) if !console.line(line.trim())? => break,
            Ok(_) => {}
            Err(e) => return Err(Error::new(format!("the console's input: {e}"))),
        }
    }
    if !stdin.is_terminal() {
        display::out("");
    }
    display::out("Exiting Ansible-console.");
    Ok(0)
}

impl Console {
    fn prompt(&self) -> String {
        let user = self.remote_user.clone().unwrap_or_else(crate::log::user);
        let sign = if self.r#become { '#' } else { '$' };
        let color = if self.r#become { "red" } else { "cyan" };
        display::paint(&format!("{user}@{} [f:{}]{sign} ", self.pattern, self.forks), color)
    }

    /// The arguments of `ansible` with what holds now, and `more`.
    fn command(&self, more: &[&str]) -> Vec<String> {
        let mut out = vec![self.pattern.clone(), format!("--forks={}", self.forks)];
        out.extend(self.options.iter().cloned());
        out.extend(std::iter::repeat_n("-v".to_owned(), self.verbosity));
        for (on, option) in [(self.r#become, "-b"), (self.check, "-C"), (self.diff, "-D")] {
            if on {
                out.push(option.to_owned());
            }
        }
        for (value, option) in [
            (&self.become_user, "--become-user"),
            (&self.become_method, "--become-method"),
            (&self.remote_user, "--user"),
            (&self.timeout, "--task-timeout"),
        ] {
            out.extend(value.as_ref().map(|v| format!("{option}={v}")));
        }
        out.extend(more.iter().map(|m| (*m).to_owned()));
        out
    }

    /// Does what a line says; whether the console goes on.
    fn line(&mut self, line: &str) -> Result<bool, Error> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let yes = || if rest.is_empty() { None } else { Some(crate::truth::holds(rest)) };
        let told = |set: bool, what: &str| display::verbose(1, &format!("{what} changed to {set}"));
        let named = || (!rest.is_empty()).then(|| rest.to_owned());
        match word {
            "" => {}
            _ if line.starts_with('#') => {}
            "exit" | "quit" | "EOF" => return Ok(false),
            "help" | "?" => display::out(HELP),
            "cd" => self.pattern = if rest.is_empty() || rest == "/*" { "all".into() } else { rest.into() },
            "list" if rest == "groups" => {
                let args = ["groups | list | to_yaml"].map(|e| format!("msg={{{{ {e} }}}}"));
                self.module("debug", &args[0])?;
            }
            "list" => {
                pull::child("ansible", &self.command(&["--list-hosts"]), None)?;
            }
            "become" => {
                self.r#become = yes().unwrap_or(!self.r#become);
                told(self.r#become, "become");
            }
            "check" => {
                self.check = yes().unwrap_or(!self.check);
                told(self.check, "check mode");
            }
            "diff" => {
                self.diff = yes().unwrap_or(!self.diff);
                told(self.diff, "diff mode");
            }
            "become_user" if !rest.is_empty() => self.become_user = named(),
            "become_method" if !rest.is_empty() => self.become_method = named(),
            "remote_user" if !rest.is_empty() => self.remote_user = named(),
            "timeout" if !rest.is_empty() => self.timeout = named(),
            "forks" | "verbosity" => match (word, rest.parse::<i64>()) {
                ("forks", Ok(n)) if n > 0 => self.forks = n,
                ("verbosity", Ok(n)) if n >= 0 => self.verbosity = usize::try_from(n).unwrap_or(0),
                _ => display::error_text(&format!("{word} must be a whole number")),
            },
            "become_user" | "become_method" | "remote_user" | "timeout" => {
                display::out(&format!("Please specify a value, e.g. `{word} VALUE`"));
            }
            "!" => self.module("shell", rest)?,
            _ if word.starts_with('!') => self.module("shell", line.trim_start_matches('!'))?,
            _ => self.module(word, rest)?,
        }
        Ok(true)
    }

    fn module(&self, name: &str, args: &str) -> Result<(), Error> {
        let mut more = vec!["-m", name];
        if !args.is_empty() {
            more.extend(["-a", args]);
        }
        pull::child("ansible", &self.command(&more), None).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_holds_for_the_next_line() {
        let mut console = Console {
            pattern: "all".into(),
            options: vec!["-i".into(), "hosts".into()],
            forks: 5,
            r#become: false,
            become_user: None,
            become_method: None,
            remote_user: None,
            check: false,
            diff: false,
            timeout: None,
            verbosity: 0,
        };
        for line in ["cd web", "become yes", "become_user www", "check", "forks 3"] {
            assert!(console.line(line).unwrap());
        }
        let words = console.command(&["-m", "ping"]).join(" ");
        assert_eq!(words, "web --forks=3 -i hosts -b -C --become-user=www -m ping");
        assert!(!console.line("exit").unwrap());
    }
}
