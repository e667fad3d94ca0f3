//! Instructions: what each line asks, flags read, variables not yet replaced.

use pileus_base::{Error, Result};

use super::{
    flags::Flags,
    lines::{Heredoc, Line, announced},
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
    /// `--checksum`.
    pub checksum: Option<String>,
    /// What is copied.
    pub sources: Vec<String>,
    /// Where to.
    pub to: String,
    /// Files written out in the Dockerfile.
    pub docs: Vec<Heredoc>,
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

/// What needs BuildKit, in the reference's words.
pub(crate) fn needs_buildkit(flag: &str) -> String {
    format!(
        "the --{flag} option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled"
    )
}

/// Reads a line's instruction.
///
/// # Errors
/// 400 in the reference's words, with the line.
pub(crate) fn instruction(line: &Line) -> Result<Command> {
    read(line)
        .map_err(|why| Error::bad_request(format!("dockerfile parse error line {}: {why}", line.number)))
}

fn read(line: &Line) -> Said<Command> {
    let word = line.keyword.as_str();
    let words = line.parts.words.as_slice();
    let (texts, switches): (&[&str], &[&str]) = match word {
        "FROM" => (&["platform"], &[]),
        "COPY" => (&["from", "chown", "chmod", "exclude"], &["link", "parents"]),
        "ADD" => (&["chown", "chmod", "checksum", "exclude"], &["link", "keep-git-dir", "unpack"]),
        "HEALTHCHECK" => (&["interval", "timeout", "start-period", "start-interval", "retries"], &[]),
        "RUN" => (&["mount", "network", "security", "device"], &[]),
        _ => (&[], &[]),
    };
    let known = FLAGGED.contains(&word);
    let flags = Flags::read(if known { &line.flags } else { &[] }, texts, switches)?;
    // Said when the instruction's turn comes in the reference; nothing is built in vain here.
    let newer = ["parents", "exclude", "keep-git-dir", "unpack", "mount", "network", "security", "device"];
    if let Some(flag) = flags.any(&newer) {
        return Err(needs_buildkit(flag));
    }
    let least = || format!("{word} requires at least one argument");
    let exactly = || match words {
        [one] => Ok(one.clone()),
        _ => Err(format!("{word} requires exactly one argument")),
    };
    let args = || Args { words: words.to_vec(), shell: !line.parts.json };
    let pairs = || {
        let pairs: Vec<_> = words.chunks_exact(2).map(|p| (p[0].clone(), p[1].clone())).collect();
        match pairs.iter().any(|(name, _)| name.is_empty()) {
            _ if pairs.is_empty() => Err(least()),
            true => Err(format!("{word} names can not be blank")),
            false => Ok(pairs),
        }
    };
    Ok(match word {
        "FROM" => {
            let name = match words {
                [_] => None,
                [_, of, name] if of.eq_ignore_ascii_case("as") => Some(stage_name(name)?),
                _ => return Err("FROM requires either one or three arguments".into()),
            };
            Command::From(From { image: words[0].clone(), name, platform: flags.get("platform") })
        }
        "ARG" if words.is_empty() => return Err(least()),
        "ARG" => {
            let split = words.iter().map(|w| match w.split_once('=') {
                Some(("", _)) => Err("ARG names can not be blank".to_owned()),
                Some((n, v)) => Ok((n.to_owned(), Some(v.to_owned()))),
                None => Ok((w.clone(), None)),
            });
            Command::Arg(split.collect::<Said<_>>()?)
        }
        "ENV" => Command::Env(pairs()?),
        "LABEL" => Command::Label(pairs()?),
        "RUN" => Command::Run(args(), line.heredocs.clone()),
        "CMD" => Command::Cmd(args()),
        "ENTRYPOINT" => Command::Entrypoint(args()),
        "SHELL" if words.is_empty() => return Err(least()),
        "SHELL" if !line.parts.json => {
            return Err("SHELL requires the arguments to be in JSON form".into());
        }
        "SHELL" => Command::Shell(words.to_vec()),
        "COPY" | "ADD" => Command::Copy(copy(line, &flags)?),
        "WORKDIR" => Command::Workdir(exactly()?),
        "USER" => Command::User(exactly()?),
        "STOPSIGNAL" => Command::Stopsignal(exactly()?),
        "MAINTAINER" => Command::Maintainer(exactly()?),
        "EXPOSE" | "VOLUME" | "HEALTHCHECK" | "ONBUILD" if words.is_empty() && line.inner.is_none() => {
            return Err(least());
        }
        "EXPOSE" => {
            let mut ports = words.to_vec();
            ports.sort();
            Command::Expose(ports)
        }
        "VOLUME" => {
            let paths: Vec<String> = words.iter().map(|w| w.trim().to_owned()).collect();
            if paths.iter().any(String::is_empty) {
                return Err("VOLUME specified can not be an empty string".into());
            }
            Command::Volume(paths)
        }
        "HEALTHCHECK" => Command::Healthcheck(health(&words[0], &words[1..], line.parts.json, &flags)?),
        "ONBUILD" => Command::Onbuild(trigger(line)?),
        _ => return Err(format!("unknown instruction: {word}")),
    })
}

/// Instructions whose flags are looked at, or refused.
const FLAGGED: &[&str] = &[
    "ADD",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

type Said<T> = std::result::Result<T, String>;

fn copy(line: &Line, flags: &Flags) -> Said<Copy> {
    let word = &line.keyword;
    let Some((to, sources)) = line.parts.words.split_last().filter(|(_, s)| !s.is_empty()) else {
        return Err(format!(
            "{word} requires at least two arguments, but only one was provided. Destination could not be determined"
        ));
    };
    let is_doc = |w: &String| !line.heredocs.is_empty() && announced(w).is_some();
    if is_doc(to) {
        return Err(format!("{word} cannot accept a heredoc as a destination"));
    }
    Ok(Copy {
        add: word == "ADD",
        from: flags.get("from"),
        chown: flags.get("chown"),
        chmod: flags.get("chmod"),
        checksum: flags.get("checksum"),
        sources: sources.iter().filter(|s| !is_doc(s)).cloned().collect(),
        to: to.clone(),
        docs: line.heredocs.clone(),
    })
}

fn trigger(line: &Line) -> Said<String> {
    let inner = line.inner.as_deref().map(|i| i.keyword.as_str()).unwrap_or_default();
    match inner {
        "ONBUILD" => return Err("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".into()),
        "MAINTAINER" | "FROM" => return Err(format!("{inner} isn't allowed as an ONBUILD trigger")),
        _ => {}
    }
    let mut text = line.original["ONBUILD".len()..].trim_start().to_owned();
    for doc in &line.heredocs {
        text.push_str(&format!("\n{}{}", doc.text, doc.name));
    }
    Ok(text)
}

fn stage_name(name: &str) -> Said<String> {
    let lower = name.to_lowercase();
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c);
    if lower.starts_with(|c: char| c.is_ascii_lowercase()) && lower.chars().all(fine) {
        return Ok(lower);
    }
    Err(format!(
        "invalid name for build stage: {}, name can't start with a number or contain symbols",
        super::quote(name)
    ))
}

fn health(kind: &str, command: &[String], json: bool, flags: &Flags) -> Said<Health> {
    let kind = kind.to_uppercase();
    let mut health = Health::default();
    match (kind.as_str(), command) {
        ("NONE", []) => {
            health.test = vec![kind];
            return Ok(health);
        }
        ("NONE", _) => return Err("HEALTHCHECK NONE takes no arguments".into()),
        ("CMD", []) => return Err("Missing command after HEALTHCHECK CMD".into()),
        ("CMD", command) => {
            health.test.push(if json { "CMD" } else { "CMD-SHELL" }.into());
            health.test.extend_from_slice(command);
        }
        (kind, _) => return Err(format!("Unknown type {} in HEALTHCHECK (try CMD)", super::quote(kind))),
    }
    for (i, name) in ["interval", "timeout", "start-period", "start-interval"].into_iter().enumerate() {
        let Some(text) = flags.get(name) else { continue };
        let ns = duration(&text).ok_or_else(|| format!("time: invalid duration {}", super::quote(&text)))?;
        if ns != 0 && ns < 1_000_000 {
            return Err(format!("Interval {} cannot be less than 1ms", super::quote(name)));
        }
        health.times[i] = ns;
    }
    if let Some(text) = flags.get("retries") {
        health.retries = text
            .parse::<i32>()
            .map_err(|_| format!("strconv.ParseInt: parsing {}: invalid syntax", super::quote(&text)))?
            .into();
        if health.retries < 0 {
            return Err(format!("--retries cannot be negative ({})", health.retries));
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
        instruction(&Dockerfile::read(text)?.lines[0])
    }

    #[test]
    fn forms_are_told_apart() {
        let args = |words: &[&str], shell| Args { words: words.iter().map(|w| (*w).into()).collect(), shell };
        assert_eq!(of("CMD [\"a\", \"b\"]").unwrap(), Command::Cmd(args(&["a", "b"], false)));
        assert!(matches!(of("CMD [a]").unwrap(), Command::Cmd(Args { shell: true, .. })));
        assert_eq!(of("ENV a b  c").unwrap(), Command::Env(vec![("a".into(), "b  c".into())]));
        let Command::From(f) = of("FROM --platform=linux/amd64 x AS Y").unwrap() else { panic!() };
        assert_eq!((f.image.as_str(), f.name.as_deref()), ("x", Some("y")));
        let Command::Copy(c) = of("COPY --from=a --chown=1:2 x y /z/").unwrap() else { panic!() };
        assert_eq!((c.from.as_deref(), c.sources.len(), c.to.as_str()), (Some("a"), 2, "/z/"));
        let Command::Healthcheck(h) = of("HEALTHCHECK --interval=1m30s CMD true").unwrap() else { panic!() };
        assert_eq!((h.times[0], h.test[0].as_str()), (90_000_000_000, "CMD-SHELL"));
        let doc = of("ONBUILD RUN <<E\nx\nE\n").unwrap();
        assert_eq!(doc, Command::Onbuild("RUN <<E\nx\nE".into()));
    }

    #[test]
    fn faults_are_the_references() {
        for (text, why) in [
            ("FOO b", "unknown instruction: FOO"),
            ("FROM a b", "FROM requires either one or three arguments"),
            (
                "FROM a as 1",
                "invalid name for build stage: \"1\", name can't start with a number or contain symbols",
            ),
            ("COPY --x=1 a b", "unknown flag: --x"),
            ("ENV =a", "ENV names can not be blank"),
            ("WORKDIR", "WORKDIR requires exactly one argument"),
            ("EXPOSE", "EXPOSE requires at least one argument"),
            ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
            ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
            ("HEALTHCHECK X", "Unknown type \"X\" in HEALTHCHECK (try CMD)"),
            ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
            ("HEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative (-1)"),
        ] {
            assert_eq!(of(text).unwrap_err().message(), format!("dockerfile parse error line 1: {why}"));
        }
        let copy = of("COPY a").unwrap_err().message().to_owned();
        assert!(copy.contains("COPY requires at least two arguments, but only one was provided."));
        assert!(of("RUN --mount=type=cache x").unwrap_err().message().contains("requires BuildKit"));
    }
}
