//! From text to tokens: delimiters of choice, whitespace control, raw, line statements.

use super::token::{Tok, Token};
use crate::{Error, Syntax};

const OPERATORS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<",
    "=", ".", ":", "|", ",", ";",
];

/// What opens at a place in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    Comment,
    Block,
    Variable,
    LineStatement,
    LineComment,
}

/// How an expression's tokens end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Variable,
    Block,
    Line,
}

pub(crate) struct Lexer<'a> {
    src: &'a str,
    pos: usize,
    line: u32,
    syntax: &'a Syntax,
    out: Vec<Token>,
    /// Whether the last tag ended with a newline or this is the start: for `lstrip_blocks`.
    line_starting: bool,
}

/// The tokens of `source`.
pub(crate) fn tokens(source: &str, syntax: &Syntax) -> Result<Vec<Token>, Error> {
    let normal = normalize(source, syntax.keep_trailing_newline);
    let mut lexer = Lexer { src: &normal, pos: 0, line: 1, syntax, out: Vec::new(), line_starting: true };
    lexer.run()?;
    Ok(lexer.out)
}

/// The tokens of an expression without delimiters.
pub(crate) fn expression_tokens(source: &str, syntax: &Syntax) -> Result<Vec<Token>, Error> {
    let mut lexer = Lexer { src: source, pos: 0, line: 1, syntax, out: Vec::new(), line_starting: true };
    lexer.inside(Inside::Variable, true)?;
    lexer.push(Tok::Eof);
    Ok(lexer.out)
}

fn normalize(source: &str, keep_trailing_newline: bool) -> String {
    let mut s = if source.contains('\r') {
        source.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        source.to_owned()
    };
    if !keep_trailing_newline && s.ends_with('\n') {
        s.pop();
    }
    s
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.src[self.pos..]
    }

    fn push(&mut self, tok: Tok) {
        self.out.push(Token { tok, line: self.line });
    }

    /// Moves over `n` bytes, counting lines.
    fn advance(&mut self, n: usize) {
        let lines = self.src.as_bytes()[self.pos..self.pos + n].iter().filter(|b| **b == b'\n').count();
        self.line += u32::try_from(lines).unwrap_or(0);
        self.pos += n;
    }

    fn advance_line_starting(&mut self, n: usize) {
        self.line_starting = self.src[self.pos..self.pos + n].ends_with('\n');
        self.advance(n);
    }

    fn skip_whitespace(&mut self) {
        let n = self.rest().len() - self.rest().trim_start().len();
        self.advance(n);
    }

    fn data(&mut self, text: &str, line: u32) {
        if !text.is_empty() {
            let text = if self.syntax.newline_sequence == "\n" {
                text.to_owned()
            } else {
                text.replace('\n', &self.syntax.newline_sequence)
            };
            self.out.push(Token { tok: Tok::Data(text), line });
        }
    }

    /// The next opening: what, where it begins, and the length of its delimiter (blanks of line statements included).
    fn next_opening(&self) -> Option<(Opening, usize, usize)> {
        let s = self.syntax;
        let mut best: Option<(Opening, usize, usize)> = None;
        let mut consider = |what: Opening, at: usize, len: usize| {
            // the earliest; at one place the longest delimiter
            if best.is_none_or(|(_, a, l)| at < a || (at == a && len > l)) {
                best = Some((what, at, len));
            }
        };
        let rest = self.rest();
        for (what, delimiter) in [
            (Opening::Comment, &s.comment_start),
            (Opening::Block, &s.block_start),
            (Opening::Variable, &s.variable_start),
        ] {
            if let Some(at) = rest.find(delimiter.as_str()) {
                consider(what, self.pos + at, delimiter.len());
            }
        }
        if let Some(prefix) = &s.line_statement_prefix {
            let mut from = if self.pos == 0 || self.src[..self.pos].ends_with('\n') {
                Some(self.pos)
            } else {
                rest.find('\n').map(|i| self.pos + i + 1)
            };
            while let Some(start) = from {
                let line = &self.src[start..];
                let blanks = line.len() - line.trim_start_matches([' ', '\t', '\x0b']).len();
                if line[blanks..].starts_with(prefix.as_str()) {
                    consider(Opening::LineStatement, start, blanks + prefix.len());
                    break;
                }
                from = line.find('\n').map(|i| start + i + 1);
            }
        }
        if let Some(prefix) = &s.line_comment_prefix {
            for (at, _) in rest.match_indices(prefix.as_str()) {
                let before = &self.src[self.pos..self.pos + at];
                let trimmed = before.trim_end_matches([' ', '\t', '\x0b', '\x0c']);
                let at_line_start = trimmed.is_empty() || trimmed.ends_with('\n');
                if at_line_start || !trimmed.ends_with(char::is_whitespace) {
                    consider(
                        Opening::LineComment,
                        self.pos + trimmed.len(),
                        before.len() - trimmed.len() + prefix.len(),
                    );
                    break;
                }
            }
        }
        best
    }

    fn run(&mut self) -> Result<(), Error> {
        loop {
            let Some((what, at, len)) = self.next_opening() else {
                let (text, line) = (self.rest().to_owned(), self.line);
                self.advance(text.len());
                self.data(&text, line);
                self.push(Tok::Eof);
                return Ok(());
            };
            let mut text = self.src[self.pos..at].to_owned();
            let line = self.line;
            let after = self.src.as_bytes().get(at + len).copied();
            let sign = match (what, after) {
                (Opening::LineComment, _) => None,
                (_, Some(b @ (b'-' | b'+'))) => Some(b),
                _ => None,
            };
            if sign == Some(b'-') {
                text.truncate(text.trim_end().len());
            } else if sign != Some(b'+')
                && self.syntax.lstrip_blocks
                && matches!(what, Opening::Block | Opening::Comment)
            {
                let line_at = text.rfind('\n').map_or(0, |i| i + 1);
                if (line_at > 0 || self.line_starting) && text[line_at..].chars().all(char::is_whitespace) {
                    text.truncate(line_at);
                }
            }
            self.advance(at - self.pos);
            self.data(&text, line);
            self.advance(len + usize::from(sign.is_some()));
            match what {
                Opening::Comment => self.comment()?,
                Opening::LineComment => {
                    let n = self.rest().find('\n').unwrap_or(self.rest().len());
                    self.advance(n);
                }
                Opening::Variable => {
                    self.push(Tok::VariableBegin);
                    self.inside(Inside::Variable, false)?;
                }
                Opening::LineStatement => {
                    self.push(Tok::BlockBegin);
                    self.inside(Inside::Line, false)?;
                }
                Opening::Block => {
                    if !self.raw()? {
                        self.push(Tok::BlockBegin);
                        self.inside(Inside::Block, false)?;
                    }
                }
            }
        }
    }

    /// Moves over the end of a block or comment, `end`, if it is here.
    fn block_end(&mut self, end: &str) -> bool {
        let rest = self.rest();
        if let Some(after) = rest.strip_prefix('-')
            && after.starts_with(end)
        {
            let n = 1 + end.len();
            let blanks = rest[n..].len() - rest[n..].trim_start().len();
            self.advance_line_starting(n + blanks);
            return true;
        }
        if let Some(after) = rest.strip_prefix('+')
            && after.starts_with(end)
        {
            self.advance_line_starting(1 + end.len());
            return true;
        }
        if let Some(after) = rest.strip_prefix(end) {
            let newline = self.syntax.trim_blocks && after.starts_with('\n');
            self.advance_line_starting(end.len() + usize::from(newline));
            return true;
        }
        false
    }

    fn comment(&mut self) -> Result<(), Error> {
        let end = self.syntax.comment_end.clone();
        let line = self.line;
        let Some(at) = self.rest().find(end.as_str()) else {
            return Err(Error::syntax("Missing end of comment tag", line));
        };
        let signed = at > 0 && matches!(self.rest().as_bytes()[at - 1], b'-' | b'+');
        self.advance(at - usize::from(signed));
        self.block_end(&end);
        Ok(())
    }

    /// Takes `raw %}…{% endraw %}`, if it is here.
    fn raw(&mut self) -> Result<bool, Error> {
        let (start, end) = (self.syntax.block_start.clone(), self.syntax.block_end.clone());
        let rest = self.rest();
        let Some(after) = rest.trim_start().strip_prefix("raw") else { return Ok(false) };
        let after = after.trim_start();
        let strip = after.starts_with('-');
        let Some(body) = after.strip_prefix('-').unwrap_or(after).strip_prefix(end.as_str()) else {
            return Ok(false);
        };
        let mut n = rest.len() - body.len();
        if strip {
            n += body.len() - body.trim_start().len();
        }
        let line = self.line;
        self.advance(n);
        let body_line = self.line;
        let mut from = self.pos;
        while let Some(i) = self.src[from..].find(start.as_str()) {
            let at = from + i;
            let mut after = &self.src[at + start.len()..];
            let sign = after.as_bytes().first().copied().filter(|b| matches!(b, b'-' | b'+'));
            if sign.is_some() {
                after = &after[1..];
            }
            if let Some(tail) = after.trim_start().strip_prefix("endraw") {
                let tail = tail.trim_start();
                let tail_at = self.src.len() - tail.len();
                if tail.starts_with(end.as_str())
                    || tail.strip_prefix(['-', '+']).is_some_and(|t| t.starts_with(end.as_str()))
                {
                    let mut text = self.src[self.pos..at].to_owned();
                    if sign == Some(b'-') {
                        text.truncate(text.trim_end().len());
                    } else if sign.is_none() && self.syntax.lstrip_blocks {
                        let line_at = text.rfind('\n').map_or(0, |i| i + 1);
                        if line_at > 0 && text[line_at..].chars().all(char::is_whitespace) {
                            text.truncate(line_at);
                        }
                    }
                    self.advance(tail_at - self.pos);
                    self.data(&text, body_line);
                    self.block_end(&end);
                    return Ok(true);
                }
            }
            from = at + start.len();
        }
        Err(Error::syntax("Missing end of raw directive", line))
    }

    /// Takes the tokens of an expression up to its end delimiter, or (`bare`) the end of the text.
    fn inside(&mut self, kind: Inside, bare: bool) -> Result<(), Error> {
        let mut brackets: Vec<(&'static str, u32)> = Vec::new();
        loop {
            if brackets.is_empty() && !bare {
                match kind {
                    Inside::Variable => {
                        let end = self.syntax.variable_end.clone();
                        if self.rest().starts_with(end.as_str()) {
                            self.push(Tok::VariableEnd);
                            self.advance_line_starting(end.len());
                            return Ok(());
                        }
                        if self.rest().strip_prefix('-').is_some_and(|r| r.starts_with(end.as_str())) {
                            self.push(Tok::VariableEnd);
                            self.advance(1 + end.len());
                            self.skip_whitespace();
                            return Ok(());
                        }
                    }
                    Inside::Block => {
                        let end = self.syntax.block_end.clone();
                        let line = self.line;
                        if self.block_end(&end) {
                            self.out.push(Token { tok: Tok::BlockEnd, line });
                            return Ok(());
                        }
                    }
                    Inside::Line => {
                        let blanks = self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
                        let after = &self.rest()[blanks..];
                        let n = blanks + usize::from(!after.is_empty());
                        if after.is_empty() || after.starts_with('\n') {
                            self.push(Tok::BlockEnd);
                            self.advance_line_starting(n);
                            return Ok(());
                        }
                    }
                }
            }
            let Some(c) = self.rest().chars().next() else {
                if let Some((open, line)) = brackets.pop()
                    && bare
                {
                    let close = closing(open);
                    return Err(Error::syntax(
                        format!("unexpected end of template, expected '{close}'."),
                        line,
                    ));
                }
                if !bare {
                    self.push(Tok::Eof);
                }
                return Ok(());
            };
            if c.is_whitespace() {
                self.skip_blanks(kind, brackets.is_empty());
                continue;
            }
            if c == '\'' || c == '"' {
                self.string(c, kind)?;
                continue;
            }
            if c.is_ascii_digit() && self.number()? {
                continue;
            }
            if c == '_' || c.is_alphanumeric() {
                let rest = self.rest();
                let n = rest.find(|c: char| !(c == '_' || c.is_alphanumeric())).unwrap_or(rest.len());
                let name = rest[..n].to_owned();
                self.push(Tok::Name(name));
                self.pos += n;
                continue;
            }
            let Some(op) = OPERATORS.iter().find(|op| self.rest().starts_with(**op)) else {
                return Err(Error::syntax(
                    format!(
                        "unexpected char {} at {}",
                        crate::value::repr_str(&c.to_string()),
                        self.char_pos()
                    ),
                    self.line,
                ));
            };
            match *op {
                "(" | "[" | "{" => brackets.push((op, self.line)),
                ")" | "]" | "}" => match brackets.pop() {
                    None => return Err(Error::syntax(format!("unexpected '{op}'"), self.line)),
                    Some((open, _)) if closing(open) != *op => {
                        return Err(Error::syntax(
                            format!("unexpected '{op}', expected '{}'", closing(open)),
                            self.line,
                        ));
                    }
                    Some(_) => {}
                },
                _ => {}
            }
            self.push(Tok::Op(op));
            self.pos += op.len();
        }
    }

    fn char_pos(&self) -> usize {
        self.src[..self.pos].chars().count()
    }

    fn skip_blanks(&mut self, kind: Inside, at_end: bool) {
        if kind == Inside::Line && at_end {
            let n = self.rest().len() - self.rest().trim_start_matches([' ', '\t', '\x0b', '\x0c']).len();
            self.advance(n);
        } else {
            self.skip_whitespace();
        }
    }

    fn string(&mut self, quote: char, kind: Inside) -> Result<(), Error> {
        let rest = self.rest();
        let mut end = None;
        let mut escaped = false;
        for (i, c) in rest.char_indices().skip(1) {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == quote {
                end = Some(i);
                break;
            }
        }
        let Some(end) = end else {
            return Err(Error::syntax(
                format!(
                    "unexpected char {} at {}",
                    crate::value::repr_str(&quote.to_string()),
                    self.char_pos()
                ),
                self.line,
            ));
        };
        let raw = &rest[1..end];
        let text = if kind == Inside::Variable && self.syntax.escape_backslashes || !raw.contains('\\') {
            raw.to_owned()
        } else {
            unescape(raw).map_err(|e| Error::syntax(e, self.line))?
        };
        self.push(Tok::Str(text));
        self.advance(end + 1);
        Ok(())
    }

    /// Takes a number, if it is one (a name may begin with a digit, though none can use it).
    fn number(&mut self) -> Result<bool, Error> {
        let rest = self.rest();
        let b = rest.as_bytes();
        let after_dot = self.src[..self.pos].ends_with('.');
        for (prefix, radix) in [("0b", 2), ("0o", 8), ("0x", 16)] {
            if rest.len() > 2 && rest[..2].eq_ignore_ascii_case(prefix) {
                let n = digits(&rest[2..], radix);
                if n > 0 {
                    let text = rest[2..2 + n].replace('_', "");
                    let value = num_bigint::BigInt::parse_bytes(text.as_bytes(), radix).unwrap_or_default();
                    self.push(Tok::Int(value.to_string()));
                    self.pos += 2 + n;
                    return Ok(true);
                }
            }
        }
        let whole = digits(rest, 10);
        if whole == 0 {
            return Ok(false);
        }
        let mut n = whole;
        let mut float = false;
        if !after_dot {
            if b.get(n) == Some(&b'.') {
                let f = digits(&rest[n + 1..], 10);
                if f > 0 && b[n + 1] != b'_' {
                    n += 1 + f;
                    float = true;
                }
            }
            if matches!(b.get(n), Some(b'e' | b'E')) {
                let sign = usize::from(matches!(b.get(n + 1), Some(b'+' | b'-')));
                let e = rest.get(n + 1 + sign..).map_or(0, |s| digits(s, 10));
                if e > 0 {
                    n += 1 + sign + e;
                    float = true;
                }
            }
        }
        let text = rest[..n].replace('_', "");
        let tok = if float {
            Tok::Float(text.parse().unwrap_or(f64::NAN))
        } else {
            let n_zero = text.bytes().take_while(|b| *b == b'0').count();
            if n_zero > 0 && n_zero < text.len() {
                // `012`: two integers in Jinja, never valid
                self.push(Tok::Int("0".into()));
                self.pos += n_zero;
                return Ok(true);
            }
            Tok::Int(text)
        };
        self.push(tok);
        self.pos += n;
        Ok(true)
    }
}

fn closing(open: &str) -> &'static str {
    match open {
        "(" => ")",
        "[" => "]",
        _ => "}",
    }
}

/// How long a run of digits with single underscores between is.
fn digits(s: &str, radix: u32) -> usize {
    let mut n = 0;
    let mut last_digit = 0;
    for c in s.chars() {
        if c.is_digit(radix) {
            n += 1;
            last_digit = n;
        } else if c == '_' && n > 0 && last_digit == n || c == '_' && radix != 10 && n == 0 {
            n += 1;
        } else {
            break;
        }
    }
    last_digit
}

/// Undoes Python's escapes; unknown ones stay.
fn unescape(raw: &str) -> Result<String, String> {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let Some((_, e)) = chars.next() else {
            out.push('\\');
            break;
        };
        let mut hex = |n: usize, kind: &str| -> Result<char, String> {
            let text: String = chars.clone().take(n).map(|(_, c)| c).collect();
            let bad = || {
                format!(
                    "(unicode error) 'unicodeescape' codec can't decode bytes in position {at}-{}: truncated {kind} escape",
                    at + 1 + text.len()
                )
            };
            if text.len() != n {
                return Err(bad());
            }
            let code = u32::from_str_radix(&text, 16).map_err(|_| bad())?;
            for _ in 0..n {
                chars.next();
            }
            Ok(char::from_u32(code).unwrap_or('\u{fffd}'))
        };
        match e {
            '\n' => {}
            '\\' | '\'' | '"' => out.push(e),
            'a' => out.push('\x07'),
            'b' => out.push('\x08'),
            'f' => out.push('\x0c'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\x0b'),
            'x' => out.push(hex(2, "\\xXX")?),
            'u' => out.push(hex(4, "\\uXXXX")?),
            'U' => out.push(hex(8, "\\UXXXXXXXX")?),
            '0'..='7' => {
                let mut code = e.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    match chars.peek().and_then(|(_, c)| c.to_digit(8)) {
                        Some(d) => {
                            code = code * 8 + d;
                            chars.next();
                        }
                        None => break,
                    }
                }
                out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            other => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    Ok(out)
}
