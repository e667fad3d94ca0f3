//! Writing YAML as PyYAML's dumper does: block collections (or flow for the innermost), plain scalars where the
//! resolver would read the same text back, else single quotes, else double quotes; lines folded at `width`.

mod analysis;

use analysis::{Analysis, printable};

use std::fmt::Write as _;

use crate::value::repr_float;
use crate::{Error, Value};

/// How to write.
#[derive(Debug, Clone)]
pub struct Style {
    /// Columns of a level.
    pub indent: usize,
    /// Where long text is folded.
    pub width: usize,
    /// Flow collections: all, none, or (`None`) those without collections inside.
    pub flow: Option<bool>,
    /// Keys in order.
    pub sort: bool,
    /// `---` first.
    pub start: bool,
    /// `...` last.
    pub end: bool,
    /// A style for every scalar: `'`, `"` or `|`.
    pub quote: Option<char>,
    /// Text of several lines as `|` blocks.
    pub literal: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            indent: 2,
            width: 80,
            flow: None,
            sort: true,
            start: false,
            end: false,
            quote: None,
            literal: false,
        }
    }
}

/// The document of `v`, with its newline.
///
/// # Errors
/// Where keys have no order or a value is undefined.
pub fn dump(v: &Value, style: &Style) -> Result<String, Error> {
    let mut w = Writer { out: String::new(), column: 0, style };
    if style.start {
        w.put("---");
        if !is_block(v, style) {
            w.put(" ");
        }
    }
    let top = matches!(v, Value::List(_) | Value::Tuple(_) | Value::Dict(_));
    if style.start && is_block(v, style) {
        w.newline(0);
    }
    // text that is the whole document goes on indented
    let indent = if is_scalar(v) { style.indent } else { 0 };
    w.node(v, indent, false, false, 0)?;
    w.out.push('\n');
    if style.end || (!top && !style.start && w.open_ended(v)) || (!top && style.start && w.open_ended(v)) {
        w.out.push_str("...\n");
    }
    Ok(w.out)
}

fn children(v: &Value) -> Option<Vec<Value>> {
    match v {
        Value::List(l) => Some(l.items()),
        Value::Tuple(t) => Some(t.to_vec()),
        _ => None,
    }
}

fn is_scalar(v: &Value) -> bool {
    !matches!(v, Value::List(_) | Value::Tuple(_) | Value::Dict(_))
}

fn is_block(v: &Value, style: &Style) -> bool {
    let (empty, simple) = match v {
        Value::Dict(d) => {
            (d.is_empty(), d.items().iter().all(|(k, v)| plain_scalar(k, style) && plain_scalar(v, style)))
        }
        v => match children(v) {
            Some(items) => (items.is_empty(), items.iter().all(|v| plain_scalar(v, style))),
            None => return false,
        },
    };
    !empty && !style.flow.unwrap_or(simple)
}

/// PyYAML counts a scalar as simple where it has no style of its own.
fn plain_scalar(v: &Value, style: &Style) -> bool {
    is_scalar(v) && style.quote.is_none()
}

struct Writer<'a> {
    out: String,
    column: usize,
    style: &'a Style,
}

impl Writer<'_> {
    fn put(&mut self, s: &str) {
        self.out.push_str(s);
        self.column += s.chars().count();
    }
    fn newline(&mut self, indent: usize) {
        while self.out.ends_with(' ') {
            self.out.pop();
        }
        self.out.push('\n');
        self.column = 0;
        self.put(&" ".repeat(indent));
    }
    fn open_ended(&self, v: &Value) -> bool {
        match v {
            Value::Str(s) => self.choose(s, false, false) == Kind::Plain,
            _ => self.style.quote.is_none(),
        }
    }

    fn node(&mut self, v: &Value, indent: usize, flow: bool, key: bool, depth: u32) -> Result<(), Error> {
        if depth > 200 {
            return Err(Error::value_error("the value is nested too deeply"));
        }
        if is_scalar(v) {
            return self.scalar(v, indent, flow, key);
        }
        let flow = flow || key || !is_block(v, self.style);
        match v {
            Value::Dict(d) => {
                let mut pairs = d.items();
                if self.style.sort && crate::value::sort_by_key(&mut pairs, false).is_err() {
                    // PyYAML leaves what has no order as it is
                    pairs = d.items();
                }
                if flow {
                    self.flow_map(&pairs, indent, depth)
                } else {
                    self.block_map(&pairs, indent, depth)
                }
            }
            v => {
                let items = children(v).unwrap_or_default();
                if flow {
                    self.flow_list(&items, indent, depth)
                } else {
                    self.block_list(&items, indent, depth)
                }
            }
        }
    }

    fn block_map(&mut self, pairs: &[(Value, Value)], indent: usize, depth: u32) -> Result<(), Error> {
        for (i, (k, v)) in pairs.iter().enumerate() {
            if i > 0 {
                self.newline(indent);
            }
            let simple =
                is_scalar(k) && !matches!(k, Value::Str(s) if s.contains('\n') || s.chars().count() > 118);
            if simple {
                self.node(k, indent, false, true, depth + 1)?;
                self.put(":");
            } else {
                self.put("? ");
                self.node(k, indent + self.style.indent, false, false, depth + 1)?;
                self.newline(indent);
                self.put(":");
            }
            if is_block(v, self.style) {
                // a list below a key stands at the key's own column
                let below = if matches!(v, Value::Dict(_)) { indent + self.style.indent } else { indent };
                self.newline(below);
                self.node(v, below, false, false, depth + 1)?;
            } else {
                self.put(" ");
                self.node(v, indent + self.style.indent, false, false, depth + 1)?;
            }
        }
        Ok(())
    }

    fn block_list(&mut self, items: &[Value], indent: usize, depth: u32) -> Result<(), Error> {
        for (i, v) in items.iter().enumerate() {
            if i > 0 {
                self.newline(indent);
            }
            self.put("-");
            // only what stands in columns of its own is moved to the next level
            let blank = if is_block(v, self.style) { self.style.indent.max(2) - 1 } else { 1 };
            self.put(&" ".repeat(blank));
            self.node(v, indent + self.style.indent, false, false, depth + 1)?;
        }
        Ok(())
    }

    fn flow_list(&mut self, items: &[Value], indent: usize, depth: u32) -> Result<(), Error> {
        self.put("[");
        let inner = indent + self.style.indent;
        for (i, v) in items.iter().enumerate() {
            if i > 0 {
                self.put(",");
            }
            if self.column > self.style.width {
                self.newline(inner);
            } else if i > 0 {
                self.put(" ");
            }
            self.node(v, inner, true, false, depth + 1)?;
        }
        self.put("]");
        Ok(())
    }

    fn flow_map(&mut self, pairs: &[(Value, Value)], indent: usize, depth: u32) -> Result<(), Error> {
        self.put("{");
        let inner = indent + self.style.indent;
        for (i, (k, v)) in pairs.iter().enumerate() {
            if i > 0 {
                self.put(",");
            }
            if self.column > self.style.width {
                self.newline(inner);
            } else if i > 0 {
                self.put(" ");
            }
            self.node(k, inner, true, true, depth + 1)?;
            self.put(": ");
            self.node(v, inner, true, false, depth + 1)?;
        }
        self.put("}");
        Ok(())
    }

    fn scalar(&mut self, v: &Value, indent: usize, flow: bool, key: bool) -> Result<(), Error> {
        let text = match v {
            Value::Undefined(u) => return Err(u.to_error()),
            Value::None => "null".to_owned(),
            Value::Bool(b) => b.to_string(),
            Value::Int(i) => i.to_string(),
            Value::BigInt(b) => b.to_string(),
            Value::Float(f) if f.is_nan() => ".nan".to_owned(),
            Value::Float(f) if f.is_infinite() => if *f > 0.0 { ".inf" } else { "-.inf" }.to_owned(),
            Value::Float(f) => {
                let s = repr_float(*f);
                if s.contains('e') && !s.contains('.') { s.replacen('e', ".0e", 1) } else { s }
            }
            Value::Str(s) => return self.text(s, indent, flow, key),
            Value::Bytes(b) => return self.text(&String::from_utf8_lossy(b), indent, flow, key),
            Value::Object(o) if o.type_name() == "datetime" => o.text(),
            v => return self.text(&v.to_text()?, indent, flow, key),
        };
        match self.style.quote {
            Some('"') => self.put(&format!("!!{} \"{text}\"", tag(v))),
            Some('\'') => self.put(&format!("!!{} '{text}'", tag(v))),
            _ => self.put(&text),
        }
        Ok(())
    }

    fn text(&mut self, s: &str, indent: usize, flow: bool, key: bool) -> Result<(), Error> {
        match self.choose(s, flow, key) {
            Kind::Plain => self.fold(s, indent, !key, ""),
            Kind::Single => {
                self.put("'");
                self.fold(&s.replace('\'', "''"), indent, !key, "'");
                self.put("'");
            }
            Kind::Double => self.double(s, indent, !key),
            Kind::Literal => self.literal(s, indent),
        }
        Ok(())
    }

    fn choose(&self, s: &str, flow: bool, key: bool) -> Kind {
        let a = Analysis::of(s);
        if self.style.literal && a.multiline && a.block && !flow && !key {
            return Kind::Literal;
        }
        match self.style.quote {
            Some('"') => return Kind::Double,
            Some('|') if !flow && !key && a.block => return Kind::Literal,
            Some('\'') if a.single && !(key && a.multiline) => return Kind::Single,
            _ => {}
        }
        let string = matches!(pileus_yaml::resolve_plain(s), pileus_yaml::Scalar::Str);
        let plain = if flow { a.flow_plain } else { a.block_plain };
        if self.style.quote.is_none() && string && plain && !a.empty && !(key && a.multiline) {
            return Kind::Plain;
        }
        if a.single && !(key && a.multiline) { Kind::Single } else { Kind::Double }
    }

    /// Plain and single-quoted text: folded at blanks past the width, newlines doubled.
    fn fold(&mut self, s: &str, indent: usize, split: bool, quote: &str) {
        let chars: Vec<char> = s.chars().collect();
        let mut i = 0;
        while i < chars.len() {
            match chars[i] {
                ' ' => {
                    let from = i;
                    while i < chars.len() && chars[i] == ' ' {
                        i += 1;
                    }
                    let lone = i - from == 1;
                    let inside = quote.is_empty() || (from != 0 && i != chars.len());
                    if lone && split && self.column > self.style.width && inside {
                        self.newline(indent);
                    } else {
                        self.put(&" ".repeat(i - from));
                    }
                }
                '\n' => {
                    let from = i;
                    while i < chars.len() && chars[i] == '\n' {
                        i += 1;
                    }
                    self.out.push('\n');
                    for _ in from..i {
                        self.out.push('\n');
                    }
                    self.column = 0;
                    self.put(&" ".repeat(indent));
                }
                _ => {
                    let from = i;
                    while i < chars.len() && chars[i] != ' ' && chars[i] != '\n' {
                        i += 1;
                    }
                    self.put(&chars[from..i].iter().collect::<String>());
                }
            }
        }
    }

    fn double(&mut self, s: &str, indent: usize, split: bool) {
        self.put("\"");
        let chars: Vec<char> = s.chars().collect();
        for (i, &c) in chars.iter().enumerate() {
            if split && c == ' ' && i > 0 && i + 1 < chars.len() && self.column > self.style.width {
                self.put("\\");
                self.newline_keep(indent);
                if chars.get(i) == Some(&' ') {
                    self.put("\\ ");
                }
                continue;
            }
            let mut e = String::new();
            match c {
                '"' => e.push_str("\\\""),
                '\\' => e.push_str("\\\\"),
                '\0' => e.push_str("\\0"),
                '\u{7}' => e.push_str("\\a"),
                '\u{8}' => e.push_str("\\b"),
                '\t' => e.push_str("\\t"),
                '\n' => e.push_str("\\n"),
                '\u{b}' => e.push_str("\\v"),
                '\u{c}' => e.push_str("\\f"),
                '\r' => e.push_str("\\r"),
                '\u{1b}' => e.push_str("\\e"),
                '\u{85}' => e.push_str("\\N"),
                '\u{a0}' => e.push_str("\\_"),
                '\u{2028}' => e.push_str("\\L"),
                '\u{2029}' => e.push_str("\\P"),
                c if printable(c) => e.push(c),
                c if (c as u32) <= 0xff => _ = write!(e, "\\x{:02X}", c as u32),
                c if (c as u32) <= 0xffff => _ = write!(e, "\\u{:04X}", c as u32),
                c => _ = write!(e, "\\U{:08X}", c as u32),
            }
            self.put(&e);
        }
        self.put("\"");
    }

    fn newline_keep(&mut self, indent: usize) {
        self.out.push('\n');
        self.column = 0;
        self.put(&" ".repeat(indent));
    }

    fn literal(&mut self, s: &str, indent: usize) {
        let chomp = if !s.ends_with('\n') {
            "-"
        } else if s.ends_with("\n\n") || s == "\n" {
            "+"
        } else {
            ""
        };
        let hint = if s.starts_with([' ', '\n']) { self.style.indent.to_string() } else { String::new() };
        self.put(&format!("|{hint}{chomp}"));
        let body = s.strip_suffix('\n').unwrap_or(s);
        for line in body.split('\n') {
            self.out.push('\n');
            if !line.is_empty() {
                self.out.push_str(&" ".repeat(indent.max(self.style.indent)));
                self.out.push_str(line);
            }
        }
        self.column = 0;
    }
}

fn tag(v: &Value) -> &'static str {
    match v {
        Value::None => "null",
        Value::Bool(_) => "bool",
        Value::Float(_) => "float",
        _ => "int",
    }
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Kind {
    Plain,
    Single,
    Double,
    Literal,
}
