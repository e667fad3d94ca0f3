//! Instructions: what each line asks, flags read, variables not yet replaced.

use pileus_base::{Error, Result};
use serde_json::Value;

use super::{
    lines::{Heredoc, Line, fault, one},
    words::split_words,
};

/// A program and its arguments, or a line for the shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Args {
    /// The words; one where it's for the shell.
    pub words: Vec<String>,
    /// Whether it's for the shell.
    pub shell: bool,
}

/// FROM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct From {
    /// The image, variables not replaced.
    pub image: String,
    /// What the stage is called.
    pub name: Option<String>,
    /// `--platform`.
    pub platform: Option<String>,
}

/// COPY and ADD.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Copy {
    /// Whether it's ADD.
    pub add: bool,
    /// `--from`.
    pub from: Option<String>,
    /// `--chown`.
    pub chown: Option<String>,
    /// `--chmod`.
    pub chmod: Option<String>,
    /// What is copied; the last is where to.
    pub words: Vec<String>,
    /// Files written out in the Dockerfile.
    pub heredocs: Vec<Heredoc>,
}

/// HEALTHCHECK.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Health {
    /// `["NONE"]`, `["CMD", …]`, `["CMD-SHELL", line]`.
    pub test: Vec<String>,
    /// Nanoseconds: interval, timeout, start period, start interval; 0 where not given.
    pub times: [i64; 4],
    /// Retries; 0 where not given.
    pub retries: i64,
}

/// What an instruction asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// FROM.
    From(From),
    /// ARG.
    Arg(Vec<(String, Option<String>)>),
    /// ENV.
    Env(Vec<(String, String)>),
    /// LABEL.
    Label(Vec<(String, String)>),
    /// RUN, with here-documents.
    Run(Args, Vec<Heredoc>),
    /// CMD.
    Cmd(Args),
    /// ENTRYPOINT.
    Entrypoint(Args),
    /// SHELL.
    Shell(Vec<String>),
    /// COPY and ADD.
    Copy(Copy),
    /// WORKDIR.
    Workdir(String),
    /// USER.
    User(String),
    /// STOPSIGNAL.
    Stopsignal(String),
    /// MAINTAINER.
    Maintainer(String),
    /// EXPOSE.
    Expose(Vec<String>),
    /// VOLUME.
    Volume(Vec<String>),
    /// HEALTHCHECK.
    Healthcheck(Health),
    /// ONBUILD, the rest as it is.
    Onbuild(String),
}

/// Reads a line's instruction.
///
/// # Errors
/// 400 in the reference's words.
pub(crate) fn instruction(line: &Line, escape: char) -> Result<Command> {
    let word = line.keyword.as_str();
    let (flags, rest) = flags(line)?;
    let known: &[&str] = match word {
        "FROM" => &["platform"],
        "COPY" => &["from", "chown", "chmod", "link", "parents", "exclude"],
        "ADD" => &["chown", "chmod", "link", "checksum", "keep-git-dir", "exclude"],
        "HEALTHCHECK" => &["interval", "timeout", "start-period", "start-interval", "retries"],
        "RUN" => &["mount", "network", "security"],
        _ => &[],
    };
    if let Some((name, _)) = flags.iter().find(|(n, _)| !known.contains(&n.as_str())) {
        return Err(fault(line.number, format!("unknown flag: --{name}")));
    }
    let newer = ["link", "parents", "exclude", "checksum", "keep-git-dir", "mount", "network", "security"];
    if let Some((name, _)) = flags.iter().find(|(n, _)| newer.contains(&n.as_str())) {
        return Err(Error::bad_request(format!(
            "the --{name} option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled"
        )));
    }
    let flag = |n: &str| flags.iter().find(|(name, _)| name == n).map(|(_, v)| v.clone());
    let rest = rest.as_str();
    let needs = |least: &str| fault(line.number, format!("{word} requires {least}"));
    if rest.is_empty() && word != "CMD" && word != "ENTRYPOINT" {
        let least = match word {
            "FROM" => "either one or three arguments",
            "COPY" | "ADD" => {
                "at least two arguments, but only one was provided. Destination could not be determined"
            }
            "WORKDIR" | "USER" | "STOPSIGNAL" | "MAINTAINER" => "exactly one argument",
            _ => "at least one argument",
        };
        return Err(needs(least));
    }
    let words = || split_words(rest, escape);
    Ok(match word {
        "FROM" => {
            let words = words();
            let name = match words.as_slice() {
                [_] => None,
                [_, of, name] if of.eq_ignore_ascii_case("as") => Some(stage_name(line, name)?),
                _ => return Err(needs("either one or three arguments")),
            };
            Command::From(From { image: words[0].clone(), name, platform: flag("platform") })
        }
        "ARG" => Command::Arg(
            words()
                .iter()
                .map(|w| match w.split_once('=') {
                    Some((n, v)) => (n.to_owned(), Some(v.to_owned())),
                    None => (w.clone(), None),
                })
                .collect(),
        ),
        "ENV" => Command::Env(pairs(line, rest, escape)?),
        "LABEL" => Command::Label(pairs(line, rest, escape)?),
        "RUN" => Command::Run(args(rest), line.heredocs.clone()),
        "CMD" => Command::Cmd(args(rest)),
        "ENTRYPOINT" => Command::Entrypoint(args(rest)),
        "SHELL" => match args(rest) {
            Args { words, shell: false } if !words.is_empty() => Command::Shell(words),
            _ => return Err(fault(line.number, "SHELL requires the arguments to be in JSON form")),
        },
        "COPY" | "ADD" => {
            let words = list(rest, escape);
            if words.len() < 2 {
                return Err(needs(
                    "at least two arguments, but only one was provided. Destination could not be determined",
                ));
            }
            Command::Copy(Copy {
                add: word == "ADD",
                from: flag("from"),
                chown: flag("chown"),
                chmod: flag("chmod"),
                words,
                heredocs: line.heredocs.clone(),
            })
        }
        "WORKDIR" => Command::Workdir(rest.to_owned()),
        "USER" => Command::User(rest.to_owned()),
        "STOPSIGNAL" => Command::Stopsignal(rest.to_owned()),
        "MAINTAINER" => Command::Maintainer(rest.to_owned()),
        "EXPOSE" => Command::Expose(words()),
        "VOLUME" => Command::Volume(list(rest, escape)),
        "HEALTHCHECK" => Command::Healthcheck(health(line, rest, &flag)?),
        _ => {
            let inner = one(line.number, rest)?;
            if matches!(inner.keyword.as_str(), "ONBUILD" | "FROM" | "MAINTAINER") {
                return Err(Error::bad_request(match inner.keyword.as_str() {
                    "ONBUILD" => "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned(),
                    other => format!("{other} isn't allowed as an ONBUILD trigger"),
                }));
            }
            Command::Onbuild(rest.to_owned())
        }
    })
}

fn stage_name(line: &Line, name: &str) -> Result<String> {
    let lower = name.to_lowercase();
    let begins = lower.starts_with(|c: char| c.is_ascii_lowercase());
    if begins && lower.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) {
        return Ok(lower);
    }
    Err(fault(
        line.number,
        format!(
            "invalid name for build stage: \"{name}\", name can't start with a number or contain symbols"
        ),
    ))
}

type Flags = Vec<(String, String)>;

fn flags(line: &Line) -> Result<(Flags, String)> {
    let mut flags = Vec::new();
    let mut rest = line.rest.as_str();
    if matches!(line.keyword.as_str(), "FROM" | "COPY" | "ADD" | "RUN" | "HEALTHCHECK") {
        while let Some(after) = rest.strip_prefix("--") {
            let (word, below) = after.split_once(char::is_whitespace).unwrap_or((after, ""));
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            if value.is_empty() && !matches!(name, "link" | "parents" | "keep-git-dir") {
                return Err(fault(line.number, format!("missing a value on flag: {name}")));
            }
            flags.push((name.to_owned(), value.to_owned()));
            rest = below.trim_start();
        }
    }
    Ok((flags, rest.to_owned()))
}

/// JSON of texts, or a line for the shell.
fn args(rest: &str) -> Args {
    match json(rest) {
        Some(words) => Args { words, shell: false },
        None if rest.is_empty() => Args { words: Vec::new(), shell: true },
        None => Args { words: vec![rest.to_owned()], shell: true },
    }
}

fn json(rest: &str) -> Option<Vec<String>> {
    let list: Value = serde_json::from_str(rest).ok().filter(|_| rest.starts_with('['))?;
    list.as_array()?.iter().map(|v| v.as_str().map(str::to_owned)).collect()
}

fn list(rest: &str, escape: char) -> Vec<String> {
    json(rest).unwrap_or_else(|| split_words(rest, escape))
}

/// `a=b c=d`, or the old form `a b`.
fn pairs(line: &Line, rest: &str, escape: char) -> Result<Vec<(String, String)>> {
    let words = split_words(rest, escape);
    if !words[0].contains('=') {
        return match rest.split_once(char::is_whitespace) {
            Some((name, value)) => Ok(vec![(name.to_owned(), value.trim().to_owned())]),
            None => Err(fault(line.number, format!("{} must have two arguments", line.keyword))),
        };
    }
    words
        .iter()
        .map(|w| match w.split_once('=') {
            Some(("", _)) => Err(fault(line.number, format!("{} names can not be blank", line.keyword))),
            Some((n, v)) => Ok((n.to_owned(), v.to_owned())),
            None => Err(fault(
                line.number,
                format!("Syntax error - can't find = in \"{w}\". Must be of the form: name=value"),
            )),
        })
        .collect()
}

fn health(line: &Line, rest: &str, flag: &dyn Fn(&str) -> Option<String>) -> Result<Health> {
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let mut health = Health::default();
    for (i, name) in ["interval", "timeout", "start-period", "start-interval"].into_iter().enumerate() {
        if let Some(text) = flag(name) {
            health.times[i] = duration(&text)
                .ok_or_else(|| fault(line.number, format!("time: invalid duration \"{text}\"")))?;
        }
    }
    if let Some(text) = flag("retries") {
        health.retries = text.parse().map_err(|_| {
            fault(line.number, format!("strconv.ParseInt: parsing \"{text}\": invalid syntax"))
        })?;
    }
    match kind.to_ascii_uppercase().as_str() {
        "NONE" if command.trim().is_empty() => health.test = vec!["NONE".into()],
        "NONE" => return Err(fault(line.number, "HEALTHCHECK NONE takes no arguments")),
        "CMD" => {
            let args = args(command.trim());
            if args.words.is_empty() {
                return Err(fault(line.number, "missing command after HEALTHCHECK CMD"));
            }
            health.test.push(if args.shell { "CMD-SHELL" } else { "CMD" }.into());
            health.test.extend(args.words);
        }
        other => {
            return Err(fault(line.number, format!("unknown type \"{other}\" in HEALTHCHECK (try CMD)")));
        }
    }
    Ok(health)
}

/// Go's durations: `1m30s`, `500ms`.
fn duration(text: &str) -> Option<i64> {
    let mut all = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit = &rest[end..];
        let len = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        all += number
            * match &unit[..len] {
                "ns" => 1.0,
                "us" | "µs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                _ => return None,
            };
        rest = &unit[len..];
    }
    (!text.is_empty()).then_some(all as i64)
}

#[cfg(test)]
mod tests {
    use super::{super::Dockerfile, *};

    fn of(text: &str) -> Result<Command> {
        let d = Dockerfile::read(text)?;
        instruction(&d.lines[0], d.escape)
    }

    #[test]
    fn forms_are_told_apart() {
        assert_eq!(of("CMD [\"a\", \"b\"]").unwrap(), Command::Cmd(args("[\"a\",\"b\"]")));
        assert!(matches!(of("CMD [a]").unwrap(), Command::Cmd(Args { shell: true, .. })));
        assert_eq!(of("ENV a b  c").unwrap(), Command::Env(vec![("a".into(), "b  c".into())]));
        let Command::From(f) = of("FROM --platform=linux/amd64 x AS Y").unwrap() else { panic!() };
        assert_eq!((f.image.as_str(), f.name.as_deref()), ("x", Some("y")));
        let Command::Copy(c) = of("COPY --from=a --chown=1:2 x y /z/").unwrap() else { panic!() };
        assert_eq!((c.from.as_deref(), c.words.len()), (Some("a"), 3));
        let Command::Healthcheck(h) = of("HEALTHCHECK --interval=1m30s CMD true").unwrap() else { panic!() };
        assert_eq!((h.times[0], h.test[0].as_str()), (90_000_000_000, "CMD-SHELL"));
    }

    #[test]
    fn faults_are_the_references() {
        let text = |t: &str| of(t).unwrap_err().message().to_owned();
        assert!(
            text("ENV a=b c")
                .contains("Syntax error - can't find = in \"c\". Must be of the form: name=value")
        );
        assert!(text("FROM a b").contains("FROM requires either one or three arguments"));
        assert!(text("COPY a").contains("COPY requires at least two arguments"));
        assert!(text("COPY --x=1 a b").contains("unknown flag: --x"));
        assert!(text("ONBUILD ONBUILD RUN x").contains("Chaining ONBUILD"));
    }
}
