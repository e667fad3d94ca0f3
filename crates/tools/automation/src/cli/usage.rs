//! The usage line and the help of a command, laid out as `argparse` does.

use std::fmt::Write as _;

use super::args::{Count, Flag, Grammar, Takes};

const MAX_HELP_COLUMN: usize = 24;

fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse::<usize>().ok()).filter(|c| *c > 0);
    columns.unwrap_or(80).max(20) - 2
}

fn metavar(f: &Flag) -> String {
    if !f.choices.is_empty() {
        return format!("{{{}}}", f.choices.join(","));
    }
    f.dest.to_uppercase()
}

fn takes_value(f: &Flag) -> bool {
    matches!(f.takes, Takes::Value | Takes::Int | Takes::Append)
}

/// `usage: …`, wrapped.
pub fn usage(g: &Grammar) -> String {
    let mut options = vec!["[-h]".to_owned()];
    let mut i = 0;
    while i < g.flags.len() {
        let f = &g.flags[i];
        let one = |f: &Flag| {
            if takes_value(f) { format!("{} {}", f.names[0], metavar(f)) } else { f.names[0].to_owned() }
        };
        let mut parts = vec![one(f)];
        while f.exclusive != 0 && g.flags.get(i + 1).is_some_and(|n| n.exclusive == f.exclusive) {
            i += 1;
            parts.push(one(&g.flags[i]));
        }
        options.push(format!("[{}]", parts.join(" | ")));
        i += 1;
    }
    let mut positional = Vec::new();
    if !g.actions.is_empty() {
        let names: Vec<&str> = g.actions.iter().map(|(n, _)| *n).collect();
        positional.push(format!("{{{}}}", names.join(",")));
        positional.push("...".to_owned());
    }
    match g.count {
        Count::None => {}
        Count::Optional => positional.push(format!("[{}]", g.metavar)),
        Count::One => positional.push(g.metavar.to_owned()),
        Count::Any => positional.push(format!("[{} ...]", g.metavar)),
        Count::Some => positional.push(format!("{} [{} ...]", g.metavar, g.metavar)),
    }
    let whole: Vec<&str> = options.iter().chain(&positional).map(String::as_str).collect();
    let line = format!("usage: {} {}", g.program, whole.join(" "));
    if line.len() <= width() {
        return line + "\n";
    }
    let indent = " ".repeat("usage: ".len() + g.program.len() + 1);
    let mut out = format!("usage: {}", g.program);
    let mut column = out.len();
    for (n, part) in options.iter().enumerate() {
        if n > 0 && column + 1 + part.len() > width() {
            let _ = write!(out, "\n{indent}{part}");
            column = indent.len() + part.len();
        } else {
            let _ = write!(out, " {part}");
            column += 1 + part.len();
        }
    }
    if !positional.is_empty() {
        let _ = write!(out, "\n{indent}{}", positional.join(" "));
    }
    out + "\n"
}

/// The whole help.
pub fn help(g: &Grammar) -> String {
    let mut out = usage(g);
    if !g.about.is_empty() {
        let _ = write!(out, "\n{}\n", wrap(g.about, width()).join("\n"));
    }
    if !g.args_help.is_empty() || !g.actions.is_empty() {
        out.push_str("\npositional arguments:\n");
        if !g.actions.is_empty() {
            let names: Vec<&str> = g.actions.iter().map(|(n, _)| *n).collect();
            let _ = writeln!(out, "  {{{}}}", names.join(","));
            for (name, what) in &g.actions {
                entry(&mut out, &format!("  {name}"), what);
            }
        }
        if !g.args_help.is_empty() {
            entry(&mut out, g.metavar, g.args_help);
        }
    }
    out.push_str("\noptions:\n");
    let mut flags: Vec<(Vec<&str>, String, String)> =
        vec![(vec!["-h", "--help"], "-h, --help".into(), "show this help message and exit".into())];
    flags.extend(g.flags.iter().filter(|f| f.group.is_empty()).map(described));
    flags.sort();
    for (_, head, help) in &flags {
        entry(&mut out, head, help);
    }
    for (title, below) in &g.groups {
        let _ = write!(out, "\n{title}:\n");
        for line in wrap(below, width() - 2) {
            let _ = writeln!(out, "  {line}");
        }
        out.push('\n');
        let mut flags: Vec<_> = g.flags.iter().filter(|f| f.group == *title).map(described).collect();
        flags.sort();
        for (_, head, help) in &flags {
            entry(&mut out, head, help);
        }
    }
    if !g.epilog.is_empty() {
        let _ = write!(out, "\n{}\n", wrap(g.epilog, width()).join("\n"));
    }
    out
}

fn described(f: &Flag) -> (Vec<&'static str>, String, String) {
    let names: Vec<String> = f
        .names
        .iter()
        .map(|n| if takes_value(f) { format!("{n} {}", metavar(f)) } else { (*n).to_owned() })
        .collect();
    let mut help = f.help.to_owned();
    // the reference doesn't say so of this one
    let told = f.dest == "vault_password_files";
    if matches!(f.takes, Takes::Append | Takes::Count) && !help.is_empty() && !told {
        help = format!("{}. This argument may be specified multiple times.", help.trim_end_matches('.'));
    }
    (f.names.to_vec(), names.join(", "), help)
}

fn entry(out: &mut String, head: &str, help: &str) {
    let lines = wrap(help, width() - MAX_HELP_COLUMN);
    let head = format!("  {head}");
    let mut lines = lines.iter();
    if head.len() + 2 <= MAX_HELP_COLUMN {
        let first = lines.next().map(String::as_str).unwrap_or_default();
        let _ = writeln!(out, "{}", format!("{head:MAX_HELP_COLUMN$}{first}").trim_end());
    } else {
        let _ = writeln!(out, "{head}");
    }
    for line in lines {
        let _ = writeln!(out, "{:MAX_HELP_COLUMN$}{line}", "");
    }
}

/// Words in lines of at most `width`.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut out = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.len() + 1 + word.len() > width {
            out.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        out.push(line);
    }
    out
}
