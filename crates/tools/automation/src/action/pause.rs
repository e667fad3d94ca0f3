//! `pause`: waits for a time or for the user.

use std::io::Write;
use std::time::{Duration, Instant};

use pileus_jinja::{Dict, Value};

use super::{Cx, Failure, Outcome};
use crate::terminal::{self, Ended, Until};
use crate::{Error, display};

/// What is asked, and how.
struct Asked<'a> {
    name: &'a str,
    prompt: Option<&'a str>,
    hidden: &'a str,
    echo: bool,
}

/// Waits `seconds`, or until the user ends it.
fn timed(seconds: i64, asked: &Asked<'_>) -> Result<String, Failure> {
    let timeout = Duration::from_secs(u64::try_from(seconds).unwrap_or(1));
    let keys = terminal::interactive();
    display::out(&format!("Pausing for {seconds} seconds{}", asked.hidden));
    if keys || asked.prompt.is_some() {
        display::out("(ctrl+C then 'C' = continue early, ctrl+C then 'A' = abort)\r");
    }
    if !keys {
        crate::delay::asked(timeout);
        return Ok(String::new());
    }
    if let Some(p) = asked.prompt {
        display::out(&format!("[{}]\n{p}{}:\r", asked.name, asked.hidden));
    }
    // what is typed meanwhile is nobody's answer
    let until =
        Until { complete: &[], interrupt: &[terminal::INTERRUPT], timeout: Some(timeout), echo: asked.echo };
    match terminal::read(until).map_err(lost)? {
        Ended::Interrupted => go_on(),
        Ended::Line(_) | Ended::TimedOut => Ok(String::new()),
    }
}

/// Waits for a line; where nobody can type one, warns.
fn until_enter(asked: &Asked<'_>, result: &Dict) -> Result<String, Failure> {
    if !terminal::interactive() {
        let told = "Not waiting for response to prompt as stdin is not interactive";
        result.insert("warnings", Value::list(vec![Value::str(told)]));
        return Ok(String::new());
    }
    let text = asked.prompt.unwrap_or("Press enter to continue, Ctrl+C to interrupt");
    say(&format!("[{}]\n{text}{}:", asked.name, asked.hidden));
    let until =
        Until { complete: b"\r\n", interrupt: &[terminal::INTERRUPT], timeout: None, echo: asked.echo };
    let ended = terminal::read(until).map_err(lost)?;
    say("\n");
    match ended {
        Ended::Interrupted => go_on(),
        Ended::Line(line) => Ok(line),
        Ended::TimedOut => Ok(String::new()),
    }
}

/// After Ctrl+C: on, or an end.
fn go_on() -> Result<String, Failure> {
    say("Press 'C' to continue the play or 'A' to abort \r");
    let until = Until { complete: b"c", interrupt: b"a", timeout: None, echo: false };
    let ended = terminal::read(until).map_err(lost)?;
    say("\n");
    match ended {
        Ended::Interrupted => Err(Failure::Error(Error::new("user requested abort!"))),
        Ended::Line(_) | Ended::TimedOut => Ok(String::new()),
    }
}

fn lost(e: std::io::Error) -> Failure {
    Failure::Error(Error::new(e.to_string()))
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // a closed stdout hears nothing
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The action.
pub fn pause(cx: &mut Cx<'_>) -> Outcome {
    cx.supported(&["echo", "minutes", "prompt", "seconds"])?;
    if cx.args.contains("minutes") && cx.args.contains("seconds") {
        return Err(Failure::msg("parameters are mutually exclusive: minutes|seconds"));
    }
    let number = |name: &str| -> Result<Option<i64>, Failure> {
        match cx.args.get(name).filter(|v| !v.is_none()) {
            None => Ok(None),
            Some(v) => v
                .as_int()
                .or_else(|| v.as_str().and_then(|s| s.trim().parse::<f64>().ok()).map(|f| f as i64))
                .or_else(|| v.as_float().map(|f| f as i64))
                .map(Some)
                .ok_or_else(|| Failure::msg(format!("argument '{name}' is of type {} and we were unable to convert to int: {} cannot be converted to an int", v.type_name(), v.repr()))),
        }
    };
    let echo = cx.flag("echo", true)?;
    let (seconds, unit) = match (number("minutes")?, number("seconds")?) {
        (Some(m), _) => (Some(m * 60), "minutes"),
        (_, Some(s)) => (Some(s), "seconds"),
        _ => (None, "minutes"),
    };
    let seconds = seconds.map(|s| s.max(1));
    let name = crate::execute::one::name_of(cx.world, cx.task, cx.vars);
    let prompt = cx.text("prompt");
    let hidden = if echo { "" } else { " (output is hidden)" };
    let start = jiff::Timestamp::now();
    let clock = Instant::now();
    let d = Dict::new();
    let asked = Asked { name: &name, prompt: prompt.as_deref(), hidden, echo };
    let input = match seconds {
        Some(s) => timed(s, &asked)?,
        None => until_enter(&asked, &d)?,
    };
    let stop = jiff::Timestamp::now();
    let took = clock.elapsed().as_secs_f64();
    let (delta, shown) = if unit == "minutes" {
        ((took / 60.0).round(), format!("{:.1}", took / 60.0))
    } else {
        (took.round(), format!("{took:.1}"))
    };
    d.insert("changed", false);
    d.insert("rc", 0i64);
    d.insert("stderr", "");
    d.insert("stdout", format!("Paused for {} {unit}", trim(&shown)));
    d.insert("start", start.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string());
    d.insert("stop", stop.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string());
    d.insert("delta", delta as i64);
    d.insert("echo", echo);
    d.insert("user_input", input);
    Ok(d)
}

fn trim(s: &str) -> &str {
    s
}
