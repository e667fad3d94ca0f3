//! Python literals, as `ast.literal_eval` reads the values of ini inventories.
//!
//! Tuples and sets become lists, bytes text; what is no literal stays text.

use std::sync::Arc;

use pileus_jinja::value::BigInt;
use pileus_jinja::{Dict, List, Origin, Str, Value};

/// Levels of nesting read.
const DEPTH: usize = 100;

/// The value of `text`, written at `origin`; text is a template.
pub fn value(text: &str, origin: &Arc<Origin>) -> Value {
    let string = || Value::Str(Str::trusted(text).at(Some(origin.clone())));
    // most values are plain words: they are no literals
    match text.as_bytes().first() {
        Some(b) if b.is_ascii_digit() || b"'\"[({-+.TFNrRbBuUs\t ".contains(b) => {}
        _ => return string(),
    }
    let mut reader = Reader { rest: text.trim_start_matches([' ', '\t']), origin };
    match reader.tuple_or_item(0) {
        Some(v) if reader.at_end() => v,
        _ => string(),
    }
}

struct Reader<'a> {
    rest: &'a str,
    origin: &'a Arc<Origin>,
}

impl<'a> Reader<'a> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n']);
    }
    fn at_end(&mut self) -> bool {
        self.blanks();
        self.rest.is_empty() || self.rest.starts_with('#')
    }
    fn eat(&mut self, token: &str) -> bool {
        self.blanks();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
    fn string(&self, s: String) -> Value {
        Value::Str(Str::trusted(s).at(Some(self.origin.clone())))
    }
    fn list(&self, items: Vec<Value>) -> Value {
        Value::List(List::with_origin(items, Some(self.origin.clone())))
    }

    fn tuple_or_item(&mut self, depth: usize) -> Option<Value> {
        let first = self.item(depth)?;
        self.blanks();
        if !self.rest.starts_with(',') {
            return Some(first);
        }
        let mut items = vec![first];
        while self.eat(",") {
            if self.at_end() {
                break;
            }
            items.push(self.item(depth)?);
        }
        Some(self.list(items))
    }

    fn item(&mut self, depth: usize) -> Option<Value> {
        if depth > DEPTH {
            return None;
        }
        self.blanks();
        let first = self.rest.chars().next()?;
        match first {
            '[' => {
                self.rest = &self.rest[1..];
                self.sequence(']', depth).map(|(items, _)| self.list(items))
            }
            '(' => {
                self.rest = &self.rest[1..];
                let (mut items, comma) = self.sequence(')', depth)?;
                if items.len() == 1 && !comma { items.pop() } else { Some(self.list(items)) }
            }
            '{' => {
                self.rest = &self.rest[1..];
                self.braces(depth)
            }
            '+' | '-' => self.signed(),
            '.' if self.rest.starts_with("...") => {
                self.rest = &self.rest[3..];
                Some(self.string("...".into()))
            }
            's' if self.rest.starts_with("set()") => {
                self.rest = &self.rest[5..];
                Some(self.list(Vec::new()))
            }
            c if c.is_ascii_digit() || c == '.' => self.imaginary().or_else(|| self.number()),
            _ => self.word_or_text(),
        }
    }

    /// Items up to `close`; whether a comma stood.
    fn sequence(&mut self, close: char, depth: usize) -> Option<(Vec<Value>, bool)> {
        let close = close.to_string();
        let (mut items, mut comma) = (Vec::new(), false);
        loop {
            if self.eat(&close) {
                return Some((items, comma));
            }
            if !items.is_empty() && !comma_needed(&mut comma, self) {
                return None;
            }
            if self.eat(&close) {
                return Some((items, comma));
            }
            items.push(self.item(depth + 1)?);
        }
    }

    fn braces(&mut self, depth: usize) -> Option<Value> {
        let dict = Dict::with_origin(indexmap::IndexMap::new(), Some(self.origin.clone()));
        if self.eat("}") {
            return Some(Value::Dict(dict));
        }
        let first = self.item(depth + 1)?;
        if !self.eat(":") {
            let mut items = vec![first];
            while !self.eat("}") {
                if !self.eat(",") {
                    return None;
                }
                if self.eat("}") {
                    break;
                }
                let item = self.item(depth + 1)?;
                if !items.contains(&item) {
                    items.push(item);
                }
            }
            return Some(self.list(items));
        }
        first.check_hashable().ok()?;
        let value = self.item(depth + 1)?;
        dict.write().insert(first, value);
        while !self.eat("}") {
            if !self.eat(",") {
                return None;
            }
            if self.eat("}") {
                break;
            }
            let key = self.item(depth + 1)?;
            key.check_hashable().ok()?;
            if !self.eat(":") {
                return None;
            }
            let value = self.item(depth + 1)?;
            dict.write().insert(key, value);
        }
        Some(Value::Dict(dict))
    }

    fn signed(&mut self) -> Option<Value> {
        let minus = self.rest.starts_with('-');
        self.rest = &self.rest[1..];
        self.blanks();
        let v = match self.rest.as_bytes().first()? {
            b'+' | b'-' => self.signed()?,
            b if b.is_ascii_digit() || *b == b'.' => self.number()?,
            _ => return None,
        };
        match v {
            v if !minus => Some(v),
            Value::Int(i) => i.checked_neg().map(Value::Int),
            Value::Float(f) => Some(Value::Float(-f)),
            Value::BigInt(b) => Some(Value::big(-(*b).clone())),
            _ => None,
        }
    }

    /// An imaginary number: it stays text.
    fn imaginary(&mut self) -> Option<Value> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let rest = self.rest[end..].strip_prefix(['j', 'J'])?;
        let number: f64 = self.rest[..end].parse().ok()?;
        self.rest = rest;
        Some(self.string(format!("{number}j")))
    }

    fn number(&mut self) -> Option<Value> {
        let s = self.rest;
        let b = s.as_bytes();
        let mut end = 0;
        while end < b.len() {
            let exponent =
                end > 0 && matches!(b[end - 1], b'e' | b'E') && !s.starts_with("0x") && !s.starts_with("0X");
            if b[end].is_ascii_alphanumeric()
                || matches!(b[end], b'.' | b'_')
                || (exponent && matches!(b[end], b'+' | b'-'))
            {
                end += 1;
            } else {
                break;
            }
        }
        let token = &s[..end];
        self.rest = &s[end..];
        if token.ends_with('_') || token.contains("__") || token.starts_with('_') {
            return None;
        }
        let digits = token.replace('_', "");
        let radix = match digits.get(..2).map(str::to_lowercase).as_deref() {
            Some("0x") => 16,
            Some("0o") => 8,
            Some("0b") => 2,
            _ => 10,
        };
        if radix != 10 {
            return BigInt::parse_bytes(digits.get(2..)?.as_bytes(), radix).map(Value::big);
        }
        if digits.bytes().all(|b| b.is_ascii_digit()) {
            let zeros = digits.len() > 1 && digits.starts_with('0') && digits.bytes().any(|b| b != b'0');
            return if zeros { None } else { digits.parse::<BigInt>().ok().map(Value::big) };
        }
        if !digits.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b)) {
            return None;
        }
        digits.parse::<f64>().ok().map(Value::Float)
    }

    fn word_or_text(&mut self) -> Option<Value> {
        for (word, value) in
            [("True", Value::Bool(true)), ("False", Value::Bool(false)), ("None", Value::None)]
        {
            if let Some(rest) = self.rest.strip_prefix(word)
                && !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
            {
                self.rest = rest;
                return Some(value);
            }
        }
        let mut out = String::new();
        let mut any = false;
        // texts side by side are one
        loop {
            self.blanks();
            let prefix: String = self.rest.chars().take_while(|c| c.is_ascii_alphabetic()).take(3).collect();
            let after = &self.rest[prefix.len()..];
            let known = matches!(prefix.to_lowercase().as_str(), "" | "r" | "b" | "u" | "br" | "rb");
            if !known || !after.starts_with(['"', '\'']) {
                return any.then(|| self.string(out));
            }
            self.rest = after;
            self.quoted(prefix.to_lowercase().contains('r'), &mut out)?;
            any = true;
        }
    }

    fn quoted(&mut self, raw: bool, out: &mut String) -> Option<()> {
        let quote = self.rest.chars().next()?;
        let triple: String = std::iter::repeat_n(quote, 3).collect();
        let end = if self.rest.starts_with(&triple) { triple } else { quote.to_string() };
        self.rest = &self.rest[end.len()..];
        loop {
            if let Some(rest) = self.rest.strip_prefix(end.as_str()) {
                self.rest = rest;
                return Some(());
            }
            let mut chars = self.rest.chars();
            let c = chars.next()?;
            self.rest = chars.as_str();
            if c == '\n' && end.len() == 1 {
                return None;
            }
            if c != '\\' {
                out.push(c);
            } else if raw {
                out.push(c);
                let mut chars = self.rest.chars();
                out.push(chars.next()?);
                self.rest = chars.as_str();
            } else {
                self.escape(out)?;
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Option<()> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        let hex = |r: &mut Self, n: usize| {
            let code = r.rest.get(..n).and_then(|d| u32::from_str_radix(d, 16).ok())?;
            r.rest = &r.rest[n..];
            char::from_u32(code)
        };
        match c {
            '\n' => {}
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'a' => out.push('\u{7}'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'v' => out.push('\u{b}'),
            '\\' | '\'' | '"' => out.push(c),
            'x' => out.push(hex(self, 2)?),
            'u' => out.push(hex(self, 4)?),
            'U' => out.push(hex(self, 8)?),
            '0'..='7' => {
                let more: String =
                    self.rest.chars().take_while(|d| ('0'..='7').contains(d)).take(2).collect();
                self.rest = &self.rest[more.len()..];
                out.push(char::from_u32(u32::from_str_radix(&format!("{c}{more}"), 8).ok()?)?);
            }
            other => {
                out.push('\\');
                out.push(other);
            }
        }
        Some(())
    }
}

fn comma_needed(comma: &mut bool, r: &mut Reader<'_>) -> bool {
    *comma = r.eat(",");
    *comma
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repr(s: &str) -> String {
        let origin = Arc::new(Origin { file: "f".into(), line: 1, column: 0, sealed: None });
        value(s, &origin).repr()
    }

    #[test]
    fn literals_and_texts() {
        for (text, expected) in [
            ("5", "5"),
            ("0644", "'0644'"),
            ("0x1F", "31"),
            ("1_000", "1000"),
            ("-1.5e3", "-1500.0"),
            ("True", "True"),
            ("true", "'true'"),
            ("None", "None"),
            ("'a' \"b\"", "'ab'"),
            ("[1, 'x', (2,), {3}]", "[1, 'x', [2], [3]]"),
            ("{'a': 1, 'b': [1,2],}", "{'a': 1, 'b': [1, 2]}"),
            ("1, 2", "[1, 2]"),
            ("(1)", "1"),
            ("()", "[]"),
            ("set()", "[]"),
            ("set", "'set'"),
            ("[1j, 2.50j]", "['1j', '2.5j']"),
            ("[set(), 1]", "[[], 1]"),
            ("1 # note", "1"),
            ("10.0.0.1", "'10.0.0.1'"),
            ("hello world", "'hello world'"),
            ("", "''"),
            ("[1 2]", "'[1 2]'"),
            ("r'a\\n'", "'a\\\\n'"),
            ("'a\\x41'", "'aA'"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("...", "'...'"),
            ("b'x'", "'x'"),
        ] {
            assert_eq!(repr(text), expected, "{text}");
        }
    }
}
