//! From text to tokens: delimiters of choice, whitespace control, raw, line statements.

mod scan;

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
        let delimiters = [
            (Opening::Comment, s.comment_start.as_str()),
            (Opening::Block, s.block_start.as_str()),
            (Opening::Variable, s.variable_start.as_str()),
        ];
        let first = delimiters.map(|(_, d)| d.as_bytes().first().copied());
        // All at once: one that never comes must not be looked for to the end of the text for each tag.
        let at = rest.bytes().enumerate().find(|(i, b)| {
            first.contains(&Some(*b))
                && delimiters
                    .iter()
                    .any(|(_, d)| !d.is_empty() && rest.as_bytes()[*i..].starts_with(d.as_bytes()))
        });
        if let Some((at, _)) = at {
            for (what, d) in delimiters {
                if !d.is_empty() && rest.as_bytes()[at..].starts_with(d.as_bytes()) {
                    consider(what, self.pos + at, d.len());
                }
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
}

fn closing(open: &str) -> &'static str {
    match open {
        "(" => ")",
        "[" => "]",
        _ => "}",
    }
}
