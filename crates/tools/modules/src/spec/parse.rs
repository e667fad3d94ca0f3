//! Reading the line language of the argument specs.

use serde_json::Value;

use super::{Param, Rule, Spec, Type};

/// The modules of a table: name and text of its spec (the header line included).
pub fn modules(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let starts: Vec<usize> = std::iter::once(0)
        .chain(table.match_indices('\n').map(|(at, _)| at + 1))
        .filter(|at| table[*at..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        .collect();
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([table.len()]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| {
        let text = &table[start..end];
        (text.split(':').next().unwrap_or_default(), text)
    })
}

/// One module's spec.
pub fn spec(text: &str) -> Spec {
    let mut lines = text.lines();
    let flags = lines.next().and_then(|line| line.split_once(':')).map_or("", |(_, flags)| flags);
    let lines: Vec<&str> = lines.filter(|line| !line.trim().is_empty()).collect();
    let mut spec = body(&lines, 2);
    for flag in flags.split_whitespace() {
        match flag {
            "check" => spec.check_mode = true,
            "file" => spec.file_args = true,
            _ => {}
        }
    }
    if spec.file_args {
        for line in FILE_ARGS.lines() {
            let param = param(line.trim());
            if !spec.params.iter().any(|p| p.name == param.name) {
                spec.params.push(param);
            }
        }
    }
    spec
}

const FILE_ARGS: &str = "mode:raw
owner:str
group:str
seuser:str
serole:str
setype:str
selevel:str
attributes:str =attr
unsafe_writes:bool ?false";

fn body(lines: &[&str], indent: usize) -> Spec {
    let mut spec = Spec::default();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at].trim();
        let nested = lines[at + 1..].iter().take_while(|l| l.len() - l.trim_start().len() > indent).count();
        if let Some(rule) = line.strip_prefix('@') {
            spec.rules.extend(self::rule(rule));
        } else {
            let mut param = param(line);
            if nested > 0 {
                param.options = Some(body(&lines[at + 1..at + 1 + nested], indent + 2));
            }
            spec.params.push(param);
        }
        at += 1 + nested;
    }
    spec
}

fn param(line: &str) -> Param {
    let (line, default) = match line.split_once(" ?") {
        Some((line, json)) => (line, serde_json::from_str(json).ok()),
        None => (line, None),
    };
    let (line, choices) = match line.split_once(" {") {
        Some((line, rest)) => (line, rest.trim_end_matches('}').split('|').map(str::to_string).collect()),
        None => (line, Vec::new()),
    };
    let (line, aliases) = match line.split_once(" =") {
        Some((line, rest)) => (line, rest.trim().split(',').map(str::to_string).collect()),
        None => (line, Vec::new()),
    };
    let (name, kind) = line.split_once(':').unwrap_or((line, "str"));
    let (kind, elements) = match kind.split_once('<') {
        Some((kind, rest)) => (kind, Some(self::kind(rest.trim_end_matches('>')))),
        None => (kind, None),
    };
    let no_log = if name.contains('#') { Some(true) } else { name.contains('~').then_some(false) };
    let default = match default {
        Some(Value::String(s)) if s == "@HOSTNAME@" => {
            Some(format!("ansible-generated on {}", crate::sys::hostname()).into())
        }
        other => other,
    };
    Param {
        name: name.trim_end_matches(['!', '#', '~']).to_string(),
        kind: self::kind(kind.trim()),
        elements,
        required: name.contains('!'),
        no_log,
        aliases,
        choices,
        default,
        options: None,
    }
}

fn kind(name: &str) -> Type {
    match name {
        "bool" => Type::Bool,
        "int" => Type::Int,
        "float" => Type::Float,
        "list" => Type::List,
        "dict" => Type::Dict,
        "path" => Type::Path,
        "json" | "jsonarg" => Type::Json,
        "bytes" => Type::Bytes,
        "raw" => Type::Raw,
        _ => Type::Str,
    }
}

fn rule(line: &str) -> Option<Rule> {
    let (kind, rest) = line.split_once(' ')?;
    let names = |text: &str| text.split(',').map(str::to_string).collect::<Vec<_>>();
    Some(match kind {
        "mutually_exclusive" => Rule::MutuallyExclusive(names(rest)),
        "required_together" => Rule::RequiredTogether(names(rest)),
        "required_one_of" => Rule::RequiredOneOf(names(rest)),
        "required_by" => {
            let (name, needs) = rest.split_once(' ')?;
            Rule::RequiredBy(name.to_string(), names(needs))
        }
        "required_if" => {
            let mut words = rest.split(' ');
            let name = words.next()?.to_string();
            let value = serde_json::from_str(words.next()?).ok()?;
            let needs = names(words.next()?);
            Rule::RequiredIf(name, value, needs, words.next() == Some("any"))
        }
        _ => return None,
    })
}
