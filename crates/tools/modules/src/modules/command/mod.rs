//! `command` and `shell`: one program, or one line for a shell; `creates`, `removes`, `chdir`, `stdin`.

pub mod words;

use serde_json::{Value, json};

use crate::cx::Cx;
use crate::result::{Fail, Map, Reply, os_error};
use crate::sys::process::{Exec, quote};
use crate::sys::{clock, path};

/// Runs `shell`.
pub fn shell(cx: &mut Cx<'_>) -> Reply {
    cx.params.insert("_uses_shell".into(), true.into());
    run(cx)
}

/// Runs `command` (or `shell`, by `_uses_shell`).
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let shell = cx.bool("_uses_shell");
    let line = cx.text("_raw_params").or_else(|| cx.text("cmd"));
    let argv = cx.opt_list("argv").filter(|a| !a.is_empty());
    if !shell && let Some(executable) = cx.text("executable") {
        cx.warn(format!(
            "As of Ansible 2.4, the parameter 'executable' is no longer supported with the 'command' module. Not using '{executable}'."
        ));
    }
    let words: Option<Vec<String>> = match (&argv, &line) {
        (Some(argv), _) => Some(argv.clone()),
        (None, Some(line)) if !shell => Some(words::split(line).map_err(Fail::msg)?),
        _ => None,
    };
    let cmd = match (&words, &line) {
        (Some(words), _) => json!(words),
        (None, Some(line)) => json!(line),
        (None, None) => Value::Null,
    };
    let mut result = crate::map! {
        "changed" => false, "stdout" => "", "stderr" => "", "rc" => Value::Null, "cmd" => cmd,
        "start" => Value::Null, "end" => Value::Null, "delta" => Value::Null, "msg" => "",
    };
    let chdir = cx.text("chdir");
    if let Some(dir) = &chdir
        && let Err(e) = std::fs::read_dir(dir)
    {
        let mut fail = Fail::msg("Unable to change directory before execution.");
        result.remove("msg");
        for (key, value) in result {
            fail = fail.with(&key, value);
        }
        return Err(fail.with("exception", os_error(&e, Some(dir))));
    }
    let base = chdir.clone().or_else(|| cx.cwd.as_ref().map(|d| d.to_string_lossy().into_owned()));
    if let Some(skipped) = skip(cx, base.as_deref(), &mut result) {
        return Ok(skipped);
    }
    if cx.check {
        result.insert("rc".into(), 0.into());
        result.insert("msg".into(), "Command would have run if not in check mode".into());
        // With creates or removes the answer is known: the command would run.
        let conditional = cx.text("creates").is_some() || cx.text("removes").is_some();
        if conditional {
            result.insert("changed".into(), true.into());
        } else {
            result.insert("skipped".into(), true.into());
        }
        return Ok(result);
    }
    execute(cx, shell, words, line, base, result)
}

/// What `creates` and `removes` decide.
fn skip(cx: &Cx<'_>, base: Option<&str>, result: &mut Map) -> Option<Map> {
    let verb = if cx.check { "Would" } else { "Did" };
    let found = |pattern: &str| {
        let pattern = base.map_or_else(|| pattern.to_string(), |dir| path::join(dir, pattern));
        !crate::modules::file::glob::glob(&pattern).is_empty()
    };
    let (short, long) = match (cx.text("creates"), cx.text("removes")) {
        (Some(creates), _) if found(&creates) => (
            format!("skipped, since {creates} exists"),
            format!("{verb} not run command since '{creates}' exists"),
        ),
        (_, Some(removes)) if !found(&removes) => (
            format!("skipped, since {removes} does not exist"),
            format!("{verb} not run command since '{removes}' does not exist"),
        ),
        _ => return None,
    };
    result.insert("stdout".into(), short.into());
    result.insert("msg".into(), long.into());
    result.insert("rc".into(), 0.into());
    Some(result.clone())
}

fn execute(
    cx: &mut Cx<'_>,
    shell: bool,
    words: Option<Vec<String>>,
    line: Option<String>,
    base: Option<String>,
    mut result: Map,
) -> Reply {
    let argv: Vec<String> = if shell {
        let line = match words {
            Some(words) => words.iter().map(|w| quote(w)).collect::<Vec<_>>().join(" "),
            None => line.unwrap_or_default(),
        };
        vec![cx.text("executable").unwrap_or_else(|| "/bin/sh".into()), "-c".into(), line]
    } else {
        let words = words.unwrap_or_default();
        if cx.flag("expand_argument_vars").unwrap_or(true) {
            words.iter().map(|w| path::expand_user(&path::expand_vars(w, |name| cx.env(name)))).collect()
        } else {
            words
        }
    };
    if argv.is_empty() {
        return Err(Fail::msg("Argument 'args' to run_command must be list or string")
            .with("rc", 257)
            .with("cmd", Value::Null));
    }
    let mut exec = Exec::new(&argv);
    if let Some(mut input) = cx.str("stdin").map(|s| s.as_bytes().to_vec()) {
        if cx.flag("stdin_add_newline").unwrap_or(true) {
            input.push(b'\n');
        }
        exec = exec.stdin(input);
    }
    if let Some(dir) = base {
        exec = exec.cwd(dir);
    }
    let (start, nanos) = clock::now();
    let began = std::time::Instant::now();
    let output = cx.exec_with(exec).map_err(|e| {
        Fail::msg("Error executing command.")
            .with("cmd", argv.iter().map(|a| quote(a)).collect::<Vec<_>>().join(" "))
            .with("rc", e.raw_os_error().unwrap_or(257))
            .with("stdout", "")
            .with("stderr", "")
            .with("exception", os_error(&e, argv.first().map(String::as_str)).replacen(": '", ": b'", 1))
    })?;
    let delta = began.elapsed();
    let end = i128::from(start) * 1_000_000_000 + i128::from(nanos) + delta.as_nanos() as i128;
    let strip = cx.flag("strip_empty_ends").unwrap_or(true);
    let text = |text: String| if strip { text.trim_end_matches(['\r', '\n']).to_string() } else { text };
    result.insert("rc".into(), output.rc.into());
    result.insert("stdout".into(), text(output.stdout()).into());
    result.insert("stderr".into(), text(output.stderr()).into());
    result.insert("changed".into(), true.into());
    result.insert("start".into(), clock::datetime(start, nanos).into());
    result.insert(
        "end".into(),
        clock::datetime((end / 1_000_000_000) as i64, (end % 1_000_000_000) as u32).into(),
    );
    result.insert("delta".into(), clock::timedelta(delta.as_nanos()).into());
    if output.rc != 0 {
        result.insert("msg".into(), "non-zero return code".into());
        result.insert("failed".into(), true.into());
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use crate::{Call, Map, run};

    fn call(module: &str, args: serde_json::Value) -> Map {
        let serde_json::Value::Object(args) = args else { panic!("an object") };
        run(Call::new(module, args))
    }

    #[test]
    fn words_shell_and_failures() {
        let result = call("command", serde_json::json!({"_raw_params": "printf '%s|' 'a b' c"}));
        assert_eq!(result["stdout"], "a b|c|");
        assert_eq!(result["cmd"], serde_json::json!(["printf", "%s|", "a b", "c"]));
        let result = call("shell", serde_json::json!({"_raw_params": "echo x | tr x y; exit 3"}));
        assert_eq!(
            (&result["stdout"], &result["rc"], &result["failed"]),
            (&"y".into(), &3.into(), &true.into())
        );
        let result = call("command", serde_json::json!({"_raw_params": "nonexist foo"}));
        assert_eq!((&result["rc"], &result["msg"]), (&2.into(), &"Error executing command.".into()));
    }

    #[test]
    fn creates_and_input() {
        let result = call("command", serde_json::json!({"_raw_params": "false", "creates": "/etc/passw*"}));
        assert_eq!(result["msg"], "Did not run command since '/etc/passw*' exists");
        let result = call("command", serde_json::json!({"argv": ["cat"], "stdin": "x", "chdir": "/"}));
        assert_eq!(result["stdout"], "x");
    }
}
