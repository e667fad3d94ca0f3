//! Builds values out of parse events: anchors, merges, repeated keys, tags, and the limits on all of it.
//!
//! Not recursive: a stack of open collections, so depth is bounded by [`crate::Limits`] alone. An alias
//! copies what its anchor held; the copy's nodes are counted before it is made, which is what stops a bomb.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use crate::{
    Document, Error, Limits, Options, Timestamps, UnknownTags, Warning,
    parser::{Parser, What},
    resolve::{self, Scalar},
    value::{Kind, Map, Span, Value},
};

const CORE: &str = "tag:yaml.org,2002:";

pub(crate) fn check_size(text: &str, options: &Options) -> Result<(), Error> {
    let limit = options.limits.bytes;
    if text.len() > limit {
        return Err(Error::new(format!("the text is {} bytes long, the limit is {limit}", text.len())));
    }
    Ok(())
}

/// Reads all documents, or refuses a second one when `single`.
pub(crate) fn documents(text: &str, options: &Options, single: bool) -> Result<Vec<Document>, Error> {
    check_size(text, options)?;
    check_characters(text)?;
    let mut composer = Composer {
        text,
        options,
        open: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        aliases: 0,
        warnings: Vec::new(),
        root: None,
    };
    let mut done: Vec<Document> = Vec::new();
    let mut parser = Parser::new(text).ok_or_else(|| Error::new("memory is short"))?;
    let mut first = Span::default();
    loop {
        let (what, at) = parser.next().map_err(|e| Error::parse(e, text))?;
        match what {
            What::DocumentStart if single && !done.is_empty() => {
                return Err(Error::new("but found another document")
                    .during("expected a single document in the stream", Some(first))
                    .at(at, text));
            }
            What::DocumentStart => {
                first = at;
                composer.anchors.clear();
            }
            What::DocumentEnd => done.push(Document {
                value: composer.root.take().unwrap_or_else(Value::null),
                warnings: std::mem::take(&mut composer.warnings),
            }),
            What::Scalar { anchor, tag, text, plain } => {
                composer.scalar(&text, plain, anchor, tag.as_deref(), at)?;
            }
            What::Sequence { anchor, tag } => {
                composer.start(Body::Seq(Vec::new()), anchor, tag.as_deref(), at)?;
            }
            What::Mapping { anchor, tag } => {
                composer.start(Body::Map(Pairs::default()), anchor, tag.as_deref(), at)?;
            }
            What::SequenceEnd | What::MappingEnd => composer.end()?,
            What::Alias(anchor) => composer.alias(&anchor, at)?,
            What::StreamStart => {}
            What::StreamEnd => break,
        }
    }
    Ok(done)
}

fn check_characters(text: &str) -> Result<(), Error> {
    let bad = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{85}' => false,
        '\u{fffe}' | '\u{ffff}' | '\u{7f}' => true,
        c => c < ' ' || ('\u{80}'..'\u{a0}').contains(&c),
    };
    let (mut line, mut column) = (1, 1);
    for c in text.chars() {
        if bad(c) {
            let problem =
                format!("unacceptable character #x{:04x}: special characters are not allowed", c as u32);
            let mut error = Error::new(problem);
            error.at = Some(Span { line, column });
            return Err(error);
        }
        if c == '\n' {
            (line, column) = (line + 1, 1);
        } else {
            column += 1;
        }
    }
    Ok(())
}

struct Open {
    body: Body,
    anchor: Option<String>,
    tag: Option<Arc<str>>,
    span: Span,
    /// Nodes counted when it was opened, so that an anchor knows its size.
    since: usize,
}

enum Body {
    Seq(Vec<Value>),
    Map(Pairs),
}

/// A mapping under way.
#[derive(Default)]
struct Pairs {
    /// What `<<` brought, in order of precedence from last to first.
    merged: Vec<(Value, Value)>,
    own: Vec<(Value, Value)>,
    key: Option<Key>,
}

enum Key {
    Plain(Value),
    Merge,
}

struct Composer<'a> {
    text: &'a str,
    options: &'a Options,
    open: Vec<Open>,
    /// Value and size in nodes of each anchor; `None` while its collection is open.
    anchors: HashMap<String, Option<(Value, usize)>>,
    nodes: usize,
    aliases: usize,
    warnings: Vec<Warning>,
    root: Option<Value>,
}

impl Composer<'_> {
    fn limits(&self) -> &Limits {
        &self.options.limits
    }

    fn count(&mut self, nodes: usize, at: Span) -> Result<(), Error> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > self.limits().nodes {
            let limit = self.limits().nodes;
            return Err(self.over(format!("the document expands to more than {limit} values"), at));
        }
        Ok(())
    }

    fn over(&self, problem: String, at: Span) -> Error {
        let mut error = Error::new(problem);
        error.at = Some(at);
        error
    }

    fn start(
        &mut self,
        body: Body,
        anchor: Option<String>,
        tag: Option<&str>,
        span: Span,
    ) -> Result<(), Error> {
        let limit = self.limits().depth;
        if self.open.len() >= limit {
            return Err(self.over(format!("nesting is deeper than {limit} levels"), span));
        }
        let since = self.nodes;
        self.count(1, span)?;
        let plain = if matches!(body, Body::Seq(_)) { "seq" } else { "map" };
        let tag = self
            .tag(tag, &[plain, "set", "omap", "pairs"], span)?
            .filter(|t| t.strip_prefix(CORE) != Some(plain));
        if let Some(name) = &anchor {
            self.anchors.insert(name.clone(), None);
        }
        self.open.push(Open { body, anchor, tag, span, since });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        let Some(Open { body, anchor, tag, span, since }) = self.open.pop() else { return Ok(()) };
        let kind = match body {
            Body::Seq(items) => Kind::Seq(items),
            Body::Map(pairs) => Kind::Map(self.unique(pairs)),
        };
        let value = Value { kind, span, tag };
        if let Some(name) = anchor {
            self.anchors.insert(name, Some((value.clone(), self.nodes - since)));
            self.count(0, span)?;
        }
        self.push(value, false)
    }

    fn alias(&mut self, anchor: &str, at: Span) -> Result<(), Error> {
        self.aliases += 1;
        let limit = self.limits().aliases;
        if self.aliases > limit {
            return Err(self.over(format!("more than {limit} aliases are used"), at));
        }
        let (value, size) = match self.anchors.get(anchor) {
            Some(Some(found)) => found,
            Some(None) => return Err(Error::new("found unconstructable recursive node").at(at, self.text)),
            None => return Err(Error::new(format!("found undefined alias {anchor:?}")).at(at, self.text)),
        };
        let (size, mut value) =
            (*size, if self.nodes + *size > self.limits().nodes { Value::null() } else { value.clone() });
        self.count(size, at)?;
        if !matches!(value.kind, Kind::Map(_) | Kind::Seq(_)) {
            value.span = at;
        }
        self.push(value, false)
    }

    fn scalar(
        &mut self,
        text: &str,
        plain: bool,
        anchor: Option<String>,
        tag: Option<&str>,
        span: Span,
    ) -> Result<(), Error> {
        self.count(1, span)?;
        let known = ["str", "int", "float", "bool", "null", "timestamp", "binary", "merge"];
        let tag = self.tag(tag, &known, span)?;
        let mut merge = false;
        let mut kept = None;
        let kind = match tag.as_deref() {
            Some("!" | "tag:yaml.org,2002:str") => Kind::Str(text.to_owned()),
            Some(full) => match full.strip_prefix(CORE) {
                Some(core) => self.typed(core, text, span)?.unwrap_or_else(|| {
                    kept = Some(Arc::from(full));
                    Kind::Str(text.to_owned())
                }),
                None => {
                    kept = Some(Arc::from(full));
                    Kind::Str(text.to_owned())
                }
            },
            None if plain => match resolve::plain(text) {
                Scalar::Null => Kind::Null,
                Scalar::Bool(b) => Kind::Bool(b),
                Scalar::Int(i) => Kind::Int(i),
                Scalar::BigInt(s) => Kind::BigInt(s),
                Scalar::Float(f) => Kind::Float(f),
                Scalar::Date if self.options.timestamps == Timestamps::Date => Kind::Date(text.to_owned()),
                Scalar::Merge => {
                    merge = true;
                    Kind::Str(text.to_owned())
                }
                Scalar::Date | Scalar::Str => Kind::Str(text.to_owned()),
            },
            None => Kind::Str(text.to_owned()),
        };
        if plain && tag.is_none() && text == "=" && !self.at_key() {
            return Err(self.no_constructor("value", span));
        }
        if merge && !self.at_key() {
            return Err(self.no_constructor("merge", span));
        }
        let value = Value { kind, span, tag: kept };
        if let Some(name) = anchor {
            self.anchors.insert(name, Some((value.clone(), 1)));
        }
        self.push(value, merge)
    }

    /// Whether a mapping's key is next.
    fn at_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { body: Body::Map(pairs), .. }) if pairs.key.is_none())
    }

    fn no_constructor(&self, name: &str, span: Span) -> Error {
        Error::new(format!("could not determine a constructor for the tag '{CORE}{name}'"))
            .at(span, self.text)
    }

    /// A scalar with one of YAML's own tags; `None` where the text stays with its tag.
    fn typed(&self, core: &str, text: &str, span: Span) -> Result<Option<Kind>, Error> {
        let kind = match core {
            "null" => Some(Kind::Null),
            "bool" => match resolve::plain(text) {
                Scalar::Bool(b) => Some(Kind::Bool(b)),
                _ => None,
            },
            "int" => match resolve::int(text) {
                Some(Scalar::Int(i)) => Some(Kind::Int(i)),
                Some(Scalar::BigInt(s)) => Some(Kind::BigInt(s)),
                _ => None,
            },
            "float" => match (resolve::float(text), resolve::int(text)) {
                (Some(f), _) => Some(Kind::Float(f)),
                (None, Some(Scalar::Int(i))) => Some(Kind::Float(i as f64)),
                _ => text.replace('_', "").to_lowercase().parse().ok().map(Kind::Float),
            },
            "timestamp" if self.options.timestamps == Timestamps::Date => Some(Kind::Date(text.to_owned())),
            "timestamp" => Some(Kind::Str(text.to_owned())),
            _ => return Ok(None),
        };
        match kind {
            Some(kind) => Ok(Some(kind)),
            None => {
                let problem = format!("could not construct {core} from {text:?}");
                Err(Error::new(problem).at(span, self.text))
            }
        }
    }

    fn tag(&self, tag: Option<&str>, known: &[&str], span: Span) -> Result<Option<Arc<str>>, Error> {
        let Some(full) = tag else { return Ok(None) };
        let core = full.strip_prefix(CORE).is_some_and(|name| known.contains(&name));
        if !core && full != "!" && self.options.unknown_tags == UnknownTags::Refuse {
            let problem = format!("could not determine a constructor for the tag '{full}'");
            return Err(Error::new(problem).at(span, self.text));
        }
        Ok(Some(Arc::from(full)))
    }

    fn push(&mut self, value: Value, merge: bool) -> Result<(), Error> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(value);
            return Ok(());
        };
        let since = open.span;
        match &mut open.body {
            Body::Seq(items) => items.push(value),
            Body::Map(pairs) => match pairs.key.take() {
                None if merge => pairs.key = Some(Key::Merge),
                None if matches!(value.kind, Kind::Seq(_) | Kind::Map(_)) => {
                    return Err(Error::new("found unhashable key")
                        .during("while constructing a mapping", Some(since))
                        .at(value.span, self.text));
                }
                None => pairs.key = Some(Key::Plain(value)),
                Some(Key::Plain(key)) => pairs.own.push((key, value)),
                Some(Key::Merge) => {
                    let error = |what: &str, at| {
                        Err(Error::new(what)
                            .during("while constructing a mapping", Some(since))
                            .at(at, self.text))
                    };
                    match value.kind {
                        Kind::Map(map) => pairs.merged.extend(map),
                        Kind::Seq(maps) => {
                            // The first of the list has the last word.
                            for item in maps.into_iter().rev() {
                                match item.kind {
                                    Kind::Map(map) => pairs.merged.extend(map),
                                    _ => {
                                        return error(
                                            "expected a mapping for merging, but found scalar",
                                            item.span,
                                        );
                                    }
                                }
                            }
                        }
                        _ => {
                            return error(
                                "expected a mapping or list of mappings for merging, but found scalar",
                                value.span,
                            );
                        }
                    }
                }
            },
        }
        Ok(())
    }

    /// Merged pairs first, then the mapping's own; the last of equal keys wins, in the first's place.
    fn unique(&mut self, pairs: Pairs) -> Map {
        let mut seen: HashMap<String, (usize, bool, Span)> = HashMap::new();
        let mut out: Vec<(Value, Value)> = Vec::with_capacity(pairs.own.len() + pairs.merged.len());
        let all =
            pairs.merged.into_iter().map(|p| (p, false)).chain(pairs.own.into_iter().map(|p| (p, true)));
        for ((key, value), own) in all {
            match seen.entry(identity(&key)) {
                Entry::Vacant(slot) => {
                    slot.insert((out.len(), own, key.span));
                    out.push((key, value));
                }
                Entry::Occupied(mut slot) => {
                    let (index, earlier_own, earlier) = *slot.get();
                    if own && earlier_own {
                        let message = format!(
                            "duplicate key `{}`, first at line {}; the last value is used",
                            key.to_key(),
                            earlier.line
                        );
                        self.warnings.push(Warning { message, key: key.clone(), at: key.span });
                    }
                    slot.insert((index, own, key.span));
                    out[index] = (key, value);
                }
            }
        }
        Map(out)
    }
}

/// What makes two keys one in a Python dict: `1`, `1.0` and `true` are the same.
fn identity(key: &Value) -> String {
    match &key.kind {
        Kind::Null => "null".into(),
        Kind::Bool(b) => format!("n{}", i64::from(*b)),
        Kind::Int(i) => format!("n{i}"),
        Kind::BigInt(s) => format!("n{s}"),
        Kind::Float(f) if *f == f.trunc() && f.abs() < 9e15 => format!("n{}", *f as i64),
        Kind::Float(f) => format!("n{f}"),
        Kind::Str(s) => format!("s{s}"),
        Kind::Date(s) => format!("d{s}"),
        Kind::Seq(_) | Kind::Map(_) => format!("j{}", key.to_json()),
    }
}
