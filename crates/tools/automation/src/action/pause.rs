//! `pause`: waits for a time or for the user.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use pileus_jinja::Dict;

use super::{Cx, Failure, Outcome};

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
    let mut input = String::new();
    match seconds {
        Some(s) => {
            let unit_text = if s == 1 && unit == "seconds" { "second" } else { "seconds" };
            crate::display::out(&format!("Pausing for {s} {unit_text}{hidden}"));
            if let Some(p) = &prompt {
                crate::display::out(&format!("[{name}]\n{p}{hidden}:"));
            }
            crate::delay::asked(Duration::from_secs(u64::try_from(s).unwrap_or(1)));
        }
        None => {
            let text = prompt.unwrap_or_else(|| "Press enter to continue, Ctrl+C to interrupt".into());
            if std::io::stdin().is_terminal() {
                input = crate::callback::ask(&format!("[{name}]\n{text}{hidden}:"));
            } else {
                crate::display::out(&format!("[{name}]\n{text}{hidden}:"));
                crate::display::warning("Not waiting for response to prompt as stdin is not interactive");
            }
        }
    }
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
