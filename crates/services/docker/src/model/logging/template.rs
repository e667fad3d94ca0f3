//! Tags: the part of Go's text templates that the reference's option `tag` is written in. Fields, strings, numbers,
//! pipelines and the functions are there; control structures and variables aren't.
//!
//! ```text
//! {{.Name}}/{{.ID | upper}}-{{printf "%s" (index .ContainerLabels "a")}}
//! ```
//! Sources: Go's package text/template; Docker's documentation, "Customize log driver output".

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::origin::{Origin, short};

/// What an expression gives.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(String),
    Number(i64),
    List(Vec<String>),
    Map(BTreeMap<String, String>),
}

impl Value {
    /// As Go prints it.
    fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(n) => n.to_string(),
            Self::List(all) => format!("[{}]", all.join(" ")),
            Self::Map(all) => {
                let all: Vec<String> = all.iter().map(|(k, v)| format!("{k}:{v}")).collect();
                format!("map[{}]", all.join(" "))
            }
        }
    }
    fn json(&self) -> Json {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(n) => json!(n),
            Self::List(all) => json!(all),
            Self::Map(all) => json!(all),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// `.Name`, and where it stands.
    Field(String, usize),
    /// A function.
    Word(String),
    Text(String),
    Number(i64),
    Pipe,
    Open,
    Close,
}

/// Fills a template in.
///
/// # Errors
/// Go's words.
pub(super) fn render(template: &str, origin: &Origin<'_>) -> Result<String, String> {
    let (mut out, mut rest, mut at) = (String::new(), template, 0);
    let mut trim = false;
    while let Some(begin) = rest.find("{{") {
        let mut text = &rest[..begin];
        let inner = &rest[begin + 2..];
        let end = end(inner).ok_or("template: log-tag:1: unclosed action")?;
        let mut action = &inner[..end];
        if trim {
            text = text.trim_start();
        }
        if action.starts_with("- ") {
            action = &action[1..];
            text = text.trim_end();
        }
        trim = action.ends_with(" -");
        out += text;
        let place = at + begin + 2 + (end - action.len());
        let action = action.strip_suffix(" -").unwrap_or(action);
        if !action.trim_start().starts_with("/*") {
            out += &expression(action, place, origin)?.shown();
        }
        at += begin + 2 + end + 2;
        rest = &inner[end + 2..];
    }
    out += if trim { rest.trim_start() } else { rest };
    Ok(out)
}

/// Where an action ends; not within a string.
fn end(inner: &str) -> Option<usize> {
    let (mut quote, mut escaped) = (None, false);
    for (n, c) in inner.char_indices() {
        match quote {
            Some('"') if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if c == '"' || c == '`' => quote = Some(c),
            None if inner[n..].starts_with("}}") => return Some(n),
            None => {}
        }
    }
    None
}

fn expression(text: &str, at: usize, origin: &Origin<'_>) -> Result<Value, String> {
    let tokens = tokens(text, at)?;
    if tokens.is_empty() {
        return Err("template: log-tag:1: missing value for command".into());
    }
    let mut reader = Reader { tokens: &tokens, next: 0, origin };
    let value = reader.pipeline()?;
    match reader.tokens.get(reader.next) {
        None => Ok(value),
        Some(token) => Err(format!("template: log-tag:1: unexpected {token:?} in command")),
    }
}

fn tokens(text: &str, at: usize) -> Result<Vec<Token>, String> {
    let bad = |c: char| format!("template: log-tag:1: unexpected {c:?} in command");
    let (mut out, mut chars) = (Vec::new(), text.char_indices().peekable());
    while let Some((n, c)) = chars.next() {
        let word = |chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>| {
            let mut word = String::new();
            while let Some((_, c)) = chars.next_if(|(_, c)| c.is_alphanumeric() || *c == '_') {
                word.push(c);
            }
            word
        };
        match c {
            c if c.is_whitespace() => {}
            '|' => out.push(Token::Pipe),
            '(' => out.push(Token::Open),
            ')' => out.push(Token::Close),
            '.' => out.push(Token::Field(word(&mut chars), at + n)),
            '`' => {
                let text: String = chars.by_ref().map(|(_, c)| c).take_while(|c| *c != '`').collect();
                out.push(Token::Text(text));
            }
            '"' => {
                let (mut quoted, mut escaped) = (String::from('"'), false);
                for (_, c) in chars.by_ref() {
                    quoted.push(c);
                    match c {
                        _ if escaped => escaped = false,
                        '\\' => escaped = true,
                        '"' => break,
                        _ => {}
                    }
                }
                // Go's escapes are JSON's, as far as tags go.
                let text = serde_json::from_str(&quoted)
                    .map_err(|_| "template: log-tag:1: unterminated quoted string")?;
                out.push(Token::Text(text));
            }
            c if c.is_ascii_digit() || c == '-' => {
                let number = format!("{c}{}", word(&mut chars));
                let bad = |_| format!("template: log-tag:1: bad number syntax: {number:?}");
                out.push(Token::Number(number.parse().map_err(bad)?));
            }
            c if c.is_alphabetic() => out.push(Token::Word(format!("{c}{}", word(&mut chars)))),
            c => return Err(bad(c)),
        }
    }
    Ok(out)
}

struct Reader<'a> {
    tokens: &'a [Token],
    next: usize,
    origin: &'a Origin<'a>,
}

impl Reader<'_> {
    fn pipeline(&mut self) -> Result<Value, String> {
        let mut value = self.command(None)?;
        while self.tokens.get(self.next) == Some(&Token::Pipe) {
            self.next += 1;
            value = self.command(Some(value))?;
        }
        Ok(value)
    }

    /// An operand, or a function with its operands; what is piped in is the last of these.
    fn command(&mut self, piped: Option<Value>) -> Result<Value, String> {
        if let Some(Token::Word(name)) = self.tokens.get(self.next) {
            self.next += 1;
            let mut operands = Vec::new();
            while let Some(value) = self.operand()? {
                operands.push(value);
            }
            operands.extend(piped);
            return call(name, &operands);
        }
        match (self.operand()?, piped) {
            (Some(value), None) => Ok(value),
            (Some(_), Some(_)) => Err("template: log-tag:1: can't give argument to non-function".into()),
            (None, _) => Err("template: log-tag:1: missing value for command".into()),
        }
    }

    fn operand(&mut self) -> Result<Option<Value>, String> {
        let Some(token) = self.tokens.get(self.next) else { return Ok(None) };
        let value = match token {
            Token::Field(name, at) => field(self.origin, name).ok_or_else(|| {
                format!(
                    "template: log-tag:1:{at}: executing \"log-tag\" at <.{name}>: can't evaluate field {name} in type *logger.Info"
                )
            })?,
            Token::Text(text) => Value::Text(text.clone()),
            Token::Number(n) => Value::Number(*n),
            Token::Word(name) => {
                self.next += 1;
                return call(name, &[]).map(Some);
            }
            Token::Open => {
                self.next += 1;
                let value = self.pipeline()?;
                if self.tokens.get(self.next) != Some(&Token::Close) {
                    return Err("template: log-tag:1: unclosed left paren".into());
                }
                value
            }
            Token::Close | Token::Pipe => return Ok(None),
        };
        self.next += 1;
        Ok(Some(value))
    }
}

/// A field or a method of the container's.
fn field(o: &Origin<'_>, name: &str) -> Option<Value> {
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    match name {
        "ID" => Some(Value::Text(short(o.id))),
        "FullID" | "ContainerID" => text(o.id),
        "Name" => text(o.name),
        "ContainerName" => Some(Value::Text(format!("/{}", o.name))),
        "ImageID" => Some(Value::Text(short(o.image_id))),
        "ImageFullID" | "ContainerImageID" => text(o.image_id),
        "ImageName" | "ContainerImageName" => text(o.image),
        "DaemonName" => text("docker"),
        "Command" => Some(Value::Text(o.command.join(" "))),
        "Hostname" => Some(Value::Text(super::remote::host())),
        "ContainerEntrypoint" => text(o.command.first().map_or("", String::as_str)),
        "ContainerArgs" => Some(Value::List(o.command.get(1..).unwrap_or_default().to_vec())),
        "ContainerEnv" => Some(Value::List(o.env.to_vec())),
        "ContainerLabels" => Some(Value::Map(o.labels.clone())),
        "ContainerCreated" => Some(Value::Text(crate::events::rfc3339(o.created_ns))),
        _ => None,
    }
}

fn call(name: &str, operands: &[Value]) -> Result<Value, String> {
    let wrong = |want: &str| {
        format!(
            "template: log-tag:1: executing \"log-tag\" at <{name}>: wrong number or type of args for {name}: want {want} got {}",
            operands.len()
        )
    };
    let text = |text: String| Ok(Value::Text(text));
    match (name, operands) {
        ("json", [value]) => text(value.json().to_string()),
        ("upper", [Value::Text(t)]) => text(t.to_uppercase()),
        ("lower", [Value::Text(t)]) => text(t.to_lowercase()),
        ("title", [Value::Text(t)]) => {
            let mut start = true;
            let up = |c: char| {
                let first = std::mem::replace(&mut start, !c.is_alphanumeric());
                if first { c.to_uppercase().to_string() } else { c.to_string() }
            };
            text(t.chars().map(up).collect())
        }
        ("split", [Value::Text(t), Value::Text(by)]) => {
            Ok(Value::List(t.split(by.as_str()).map(str::to_owned).collect()))
        }
        ("join", [Value::List(all), Value::Text(by)]) => text(all.join(by)),
        ("pad", [Value::Text(t), Value::Number(before), Value::Number(after)]) => {
            let spaces = |n: i64| " ".repeat(usize::try_from(n.clamp(0, 1024)).unwrap_or(0));
            text(if t.is_empty() {
                String::new()
            } else {
                format!("{}{t}{}", spaces(*before), spaces(*after))
            })
        }
        ("truncate", [Value::Text(t), Value::Number(n)]) => {
            text(t.chars().take(usize::try_from(*n).unwrap_or(0)).collect())
        }
        ("len", [Value::Text(t)]) => Ok(Value::Number(t.len() as i64)),
        ("len", [Value::List(all)]) => Ok(Value::Number(all.len() as i64)),
        ("len", [Value::Map(all)]) => Ok(Value::Number(all.len() as i64)),
        ("index", [Value::Map(all), Value::Text(key)]) => text(all.get(key).cloned().unwrap_or_default()),
        ("index", [Value::List(all), Value::Number(n)]) => {
            let found = usize::try_from(*n).ok().and_then(|n| all.get(n));
            found.map(|t| Value::Text(t.clone())).ok_or_else(|| {
                format!("template: log-tag:1: executing \"log-tag\" at <index>: error calling index: index out of range: {n}")
            })
        }
        ("print", all) => text(all.iter().map(Value::shown).collect::<Vec<_>>().join(" ")),
        ("printf", [Value::Text(format), rest @ ..]) => text(printf(format, rest)),
        ("json" | "upper" | "lower" | "title" | "len", _) => Err(wrong("1")),
        ("split" | "join" | "truncate" | "index", _) => Err(wrong("2")),
        ("pad", _) => Err(wrong("3")),
        ("printf", _) => Err(wrong("at least 1")),
        _ => Err(format!("template: log-tag:1: function \"{name}\" not defined")),
    }
}

/// Go's `%s`, `%v`, `%d`, `%q` and `%%`.
fn printf(format: &str, operands: &[Value]) -> String {
    let (mut out, mut operands, mut chars) = (String::new(), operands.iter(), format.chars());
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let Some(verb) = chars.next() else {
            out += "%!(NOVERB)";
            break;
        };
        match (verb, verb != '%') {
            ('%', _) => out.push('%'),
            (verb, _) => match operands.next() {
                None => out += &format!("%!{verb}(MISSING)"),
                Some(value) if verb == 'q' => out += &json!(value.shown()).to_string(),
                Some(value) => out += &value.shown(),
            },
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(template: &str) -> Result<String, String> {
        crate::model::logging::origin::sample(|origin| render(template, origin))
    }

    #[test]
    fn tags_are_made_as_the_reference_does() {
        for (template, tag) in [
            ("plain", "plain"),
            ("{{.Name}}/{{.ImageName}}", "lg/busybox"),
            (
                "{{json .Name}} {{.ID | upper}} {{ printf \"%s-%s\" .Name .ID }}",
                "\"lg\" 0123456789AB lg-0123456789ab",
            ),
            ("{{ index .ContainerLabels \"a.b\" }}{{ len .Name }}", "c2"),
            ("a {{- .Command -}} b", "ash echo >&2b"),
            ("{{ join (split .Command \" \") \"+\" | title }}", "Sh+Echo+>&2"),
            ("{{.ContainerEnv}}{{/* no */}}", "[X=y]"),
            ("{{ truncate .ImageFullID 6 }}{{ \"}}\" }}", "sha256}}"),
        ] {
            assert_eq!(of(template).as_deref(), Ok(tag), "{template}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_go_s_words() {
        assert_eq!(
            of("{{.Nope}}").unwrap_err(),
            "template: log-tag:1:2: executing \"log-tag\" at <.Nope>: can't evaluate field Nope in type *logger.Info"
        );
        assert_eq!(of("{{.Nope").unwrap_err(), "template: log-tag:1: unclosed action");
        assert_eq!(of("{{nope}}").unwrap_err(), "template: log-tag:1: function \"nope\" not defined");
        assert!(of("{{}}").unwrap_err().contains("missing value for command"));
        assert!(of("{{.Name | .ID}}").is_err() && of("{{ (.Name }}").is_err());
    }
}
