//! From a pattern to its tree.

mod sets;

use sets::upper;
pub use sets::{fold, in_class};

use std::collections::HashMap;

use super::Flags;

/// A set of characters.
#[derive(Debug, Clone, Default)]
pub struct Set {
    pub negated: bool,
    pub ranges: Vec<(u32, u32)>,
    pub classes: Vec<(Class, bool)>,
    pub ignore_case: bool,
    pub ascii: bool,
}

/// `\d`, `\w`, `\s`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Class {
    Digit,
    Word,
    Space,
}

/// Assertions without width.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Assert {
    Start,
    LineStart,
    End,
    EndOrNewline,
    LineEnd,
    Word(bool),
    NotWord(bool),
}

/// A node of the tree.
#[derive(Debug, Clone)]
pub enum Node {
    Empty,
    Char(u32),
    CharNoCase(u32),
    Any,
    AnyButNewline,
    Set(Set),
    Assert(Assert),
    Group(usize, Box<Node>),
    Concat(Vec<Node>),
    Alt(Vec<Node>),
    Repeat { node: Box<Node>, min: usize, max: Option<usize>, greedy: bool, possessive: bool },
    Look { node: Box<Node>, behind: bool, negative: bool },
    Atomic(Box<Node>),
    Backref(usize, bool),
    Conditional(usize, Box<Node>, Box<Node>),
}

/// A parsed pattern.
pub struct Parsed {
    pub node: Node,
    pub groups: usize,
    pub names: HashMap<String, usize>,
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    flags: Flags,
    groups: usize,
    open: Vec<usize>,
    names: HashMap<String, usize>,
    depth: usize,
}

/// Deeper nesting than anybody writes would exhaust the stack.
const MAX_DEPTH: usize = 200;

/// Parses a pattern.
pub fn parse(pattern: &str, flags: Flags) -> Result<Parsed, String> {
    let mut p = Parser {
        chars: pattern.chars().collect(),
        at: 0,
        flags,
        groups: 0,
        open: Vec::new(),
        names: HashMap::new(),
        depth: 0,
    };
    let node = p.alternatives()?;
    if p.at < p.chars.len() {
        return Err(format!("unbalanced parenthesis at position {}", p.at));
    }
    Ok(Parsed { node, groups: p.groups, names: p.names })
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn eat(&mut self, text: &str) -> bool {
        let wanted: Vec<char> = text.chars().collect();
        let here = self.chars[self.at..].starts_with(&wanted);
        if here {
            self.at += wanted.len();
        }
        here
    }

    fn alternatives(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("pattern is nested too deeply".into());
        }
        let mut all = vec![self.sequence()?];
        while self.eat("|") {
            all.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(if all.len() == 1 { all.remove(0) } else { Node::Alt(all) })
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut items = Vec::new();
        while let Some(c) = self.peek() {
            if c == '|' || c == ')' {
                break;
            }
            if self.flags.verbose && (c.is_whitespace() || c == '#') {
                self.skip_verbose();
                continue;
            }
            let at = self.at;
            let Some(atom) = self.atom()? else { continue };
            items.push(self.repeats(atom, at)?);
        }
        Ok(match items.len() {
            0 => Node::Empty,
            1 => items.remove(0),
            _ => Node::Concat(items),
        })
    }

    fn skip_verbose(&mut self) {
        while let Some(c) = self.peek() {
            if c == '#' {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.at += 1;
                }
            } else if c.is_whitespace() {
                self.at += 1;
            } else {
                break;
            }
        }
    }

    fn repeats(&mut self, atom: Node, start: usize) -> Result<Node, String> {
        if self.flags.verbose {
            self.skip_verbose();
        }
        let at = self.at;
        let (min, max) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => match self.bounds()? {
                Some(bounds) => bounds,
                None => return Ok(atom),
            },
            _ => return Ok(atom),
        };
        if self.at == at {
            self.at += 1;
        }
        if matches!(atom, Node::Assert(_)) {
            return Err(format!("nothing to repeat at position {start}"));
        }
        let (greedy, possessive) = if self.eat("?") { (false, false) } else { (true, self.eat("+")) };
        if matches!(self.peek(), Some('*' | '?' | '+')) {
            return Err(format!("multiple repeat at position {}", self.at));
        }
        Ok(Node::Repeat { node: Box::new(atom), min, max, greedy, possessive })
    }

    /// `{2}`, `{2,}`, `{,3}`, `{2,3}`; anything else is text.
    fn bounds(&mut self) -> Result<Option<(usize, Option<usize>)>, String> {
        let start = self.at;
        self.at += 1;
        let number = |p: &mut Self| -> Option<usize> {
            let from = p.at;
            while p.peek().is_some_and(|c| c.is_ascii_digit()) {
                p.at += 1;
            }
            p.chars[from..p.at].iter().collect::<String>().parse().ok()
        };
        let low = number(self);
        let (high, comma) = if self.eat(",") { (number(self), true) } else { (low, false) };
        if !self.eat("}") || (low.is_none() && !comma) || (low.is_none() && high.is_none()) {
            self.at = start;
            // A lone brace was read as an atom already; nothing repeats.
            return Ok(None);
        }
        let low = low.unwrap_or(0);
        if high.is_some_and(|h| h < low) {
            return Err(format!("min repeat greater than max repeat at position {}", start + 1));
        }
        if low > 10_000 || high.is_some_and(|h| h > 65_535) {
            return Err("the repetition number is too large".into());
        }
        Ok(Some((low, high)))
    }

    fn character(&self, c: u32) -> Node {
        if self.flags.ignore_case && (fold(c) != c || upper(c) != c) {
            Node::CharNoCase(fold(c))
        } else {
            Node::Char(c)
        }
    }

    fn class(&self, class: Class, negated: bool) -> Node {
        Node::Set(Set { classes: vec![(class, negated)], ascii: self.flags.ascii, ..Set::default() })
    }

    fn atom(&mut self) -> Result<Option<Node>, String> {
        let start = self.at;
        let Some(c) = self.next() else { return Ok(None) };
        Ok(Some(match c {
            '.' if self.flags.dot_all => Node::Any,
            '.' => Node::AnyButNewline,
            '^' if self.flags.multi_line => Node::Assert(Assert::LineStart),
            '^' => Node::Assert(Assert::Start),
            '$' if self.flags.multi_line => Node::Assert(Assert::LineEnd),
            '$' => Node::Assert(Assert::EndOrNewline),
            '[' => self.set(start)?,
            '(' => return self.group(start),
            '*' | '+' | '?' => return Err(format!("nothing to repeat at position {start}")),
            '\\' => self.escape(start)?,
            c => self.character(c as u32),
        }))
    }

    fn escape(&mut self, start: usize) -> Result<Node, String> {
        let Some(c) = self.next() else {
            return Err(format!("bad escape (end of pattern) at position {start}"));
        };
        let ascii = self.flags.ascii;
        Ok(match c {
            'd' => self.class(Class::Digit, false),
            'D' => self.class(Class::Digit, true),
            'w' => self.class(Class::Word, false),
            'W' => self.class(Class::Word, true),
            's' => self.class(Class::Space, false),
            'S' => self.class(Class::Space, true),
            'A' => Node::Assert(Assert::Start),
            'Z' => Node::Assert(Assert::End),
            'b' => Node::Assert(Assert::Word(ascii)),
            'B' => Node::Assert(Assert::NotWord(ascii)),
            '1'..='9' => {
                let mut digits = c.to_string();
                // Three octal digits are a character, one or two digits a group.
                if self.peek().is_some_and(|c| c.is_ascii_digit()) {
                    let second = self.peek().unwrap_or('0');
                    let third = self.chars.get(self.at + 1).copied().unwrap_or('x');
                    if c <= '3' && second.is_digit(8) && third.is_digit(8) {
                        self.at += 2;
                        let octal: String = [c, second, third].iter().collect();
                        return Ok(self.character(u32::from_str_radix(&octal, 8).unwrap_or(0)));
                    }
                    digits.push(second);
                    self.at += 1;
                }
                let group: usize = digits.parse().unwrap_or(0);
                if group > self.groups {
                    return Err(format!("invalid group reference {group} at position {}", start + 1));
                }
                if self.open.contains(&group) {
                    return Err(format!("cannot refer to an open group at position {start}"));
                }
                Node::Backref(group, self.flags.ignore_case)
            }
            c => {
                let code = self.code(c, start)?;
                self.character(code)
            }
        })
    }

    /// Escapes that stand for one character, inside and outside of sets.
    fn code(&mut self, c: char, start: usize) -> Result<u32, String> {
        Ok(match c {
            'n' => 10,
            't' => 9,
            'r' => 13,
            'f' => 12,
            'v' => 11,
            'a' => 7,
            '0' => {
                let mut digits = String::from("0");
                while digits.len() < 3 && self.peek().is_some_and(|c| c.is_digit(8)) {
                    digits.extend(self.next());
                }
                u32::from_str_radix(&digits, 8).unwrap_or(0)
            }
            'x' => self.hex(2, start)?,
            'u' => self.hex(4, start)?,
            'U' => self.hex(8, start)?,
            c if c.is_ascii_alphanumeric() => return Err(format!("bad escape \\{c} at position {start}")),
            c => c as u32,
        })
    }

    fn hex(&mut self, digits: usize, start: usize) -> Result<u32, String> {
        let text: String = self.chars.iter().skip(self.at).take(digits).collect();
        let value = u32::from_str_radix(&text, 16).ok().filter(|_| text.len() == digits);
        self.at += digits;
        value.ok_or_else(|| format!("incomplete escape at position {start}"))
    }

    fn close(&mut self, start: usize) -> Result<(), String> {
        if self.eat(")") {
            Ok(())
        } else {
            Err(format!("missing ), unterminated subpattern at position {start}"))
        }
    }

    fn name(&mut self, end: char) -> Result<String, String> {
        let from = self.at;
        while self.peek().is_some_and(|c| c != end) {
            self.at += 1;
        }
        let name: String = self.chars[from..self.at].iter().collect();
        if self.next().is_none() {
            return Err(format!("missing {end}, unterminated name at position {from}"));
        }
        let good = |n: &str| {
            !n.is_empty()
                && !n.starts_with(|c: char| c.is_ascii_digit())
                && n.chars().all(|c| c.is_alphanumeric() || c == '_')
        };
        if !good(&name) && end != ')' {
            return Err(format!(
                "bad character in group name {} at position {from}",
                crate::py::repr_str(&name)
            ));
        }
        Ok(name)
    }

    fn capture(&mut self, name: Option<String>, start: usize) -> Result<Node, String> {
        self.groups += 1;
        let index = self.groups;
        if let Some(name) = name
            && self.names.insert(name.clone(), index).is_some()
        {
            return Err(format!("redefinition of group name {}", crate::py::repr_str(&name)));
        }
        self.open.push(index);
        let flags = self.flags;
        let node = self.alternatives()?;
        self.flags = flags;
        self.open.pop();
        self.close(start)?;
        Ok(Node::Group(index, Box::new(node)))
    }

    fn group(&mut self, start: usize) -> Result<Option<Node>, String> {
        if !self.eat("?") {
            return self.capture(None, start).map(Some);
        }
        if self.eat("P<") {
            let name = self.name('>')?;
            return self.capture(Some(name), start).map(Some);
        }
        if self.eat("P=") {
            let name = self.name(')')?;
            let index = *self
                .names
                .get(&name)
                .ok_or_else(|| format!("unknown group name {}", crate::py::repr_str(&name)))?;
            return Ok(Some(Node::Backref(index, self.flags.ignore_case)));
        }
        if self.eat("#") {
            while self.next().ok_or_else(|| format!("missing ), unterminated comment at position {start}"))?
                != ')'
            {}
            return Ok(None);
        }
        if self.eat("(") {
            return self.conditional(start).map(Some);
        }
        let looks = [("=", false, false), ("!", false, true), ("<=", true, false), ("<!", true, true)];
        for (text, behind, negative) in looks {
            if self.eat(text) {
                let node = Box::new(self.inner(start)?);
                return Ok(Some(Node::Look { node, behind, negative }));
            }
        }
        if self.eat(">") {
            let node = self.inner(start)?;
            return Ok(Some(Node::Atomic(Box::new(node))));
        }
        if self.eat(":") {
            return self.inner(start).map(Some);
        }
        self.flag_group(start)
    }

    /// The inside of a group whose flags end with it.
    fn inner(&mut self, start: usize) -> Result<Node, String> {
        let flags = self.flags;
        let node = self.alternatives()?;
        self.flags = flags;
        self.close(start)?;
        Ok(node)
    }

    fn conditional(&mut self, start: usize) -> Result<Node, String> {
        let name = self.name(')')?;
        let index = match name.parse() {
            Ok(index) => index,
            Err(_) => *self
                .names
                .get(&name)
                .ok_or_else(|| format!("unknown group name {}", crate::py::repr_str(&name)))?,
        };
        let yes = self.sequence()?;
        let no = if self.eat("|") { self.sequence()? } else { Node::Empty };
        self.close(start)?;
        Ok(Node::Conditional(index, Box::new(yes), Box::new(no)))
    }

    fn flag_group(&mut self, start: usize) -> Result<Option<Node>, String> {
        let outer = self.flags;
        let mut on = true;
        loop {
            match self.next() {
                Some('-') if on => on = false,
                Some('i') => self.flags.ignore_case = on,
                Some('m') => self.flags.multi_line = on,
                Some('s') => self.flags.dot_all = on,
                Some('x') => self.flags.verbose = on,
                Some('a') => self.flags.ascii = on,
                Some('u' | 'L') => {}
                // Flags in the middle of a pattern hold to its end, as they do for `(?i)` at its start.
                Some(')') => return Ok(None),
                Some(':') => {
                    let node = self.alternatives()?;
                    self.flags = outer;
                    self.close(start)?;
                    return Ok(Some(node));
                }
                Some(c) => return Err(format!("unknown extension ?{c} at position {}", start + 1)),
                None => return Err(format!("unexpected end of pattern at position {}", self.at)),
            }
        }
    }
}
