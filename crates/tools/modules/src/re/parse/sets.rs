//! Sets of characters.

use super::*;

impl Parser {
    pub(super) fn set(&mut self, start: usize) -> Result<Node, String> {
        let unterminated = || format!("unterminated character set at position {start}");
        let mut set = Set {
            negated: self.eat("^"),
            ignore_case: self.flags.ignore_case,
            ascii: self.flags.ascii,
            ..Set::default()
        };
        let mut first = true;
        loop {
            let at = self.at;
            let c = self.next().ok_or_else(unterminated)?;
            if c == ']' && !first {
                break;
            }
            first = false;
            let Some(low) = self.set_item(c, at, &mut set)? else { continue };
            if self.peek() == Some('-') && self.chars.get(self.at + 1).is_some_and(|c| *c != ']') {
                self.at += 1;
                let at = self.at;
                let c = self.next().ok_or_else(unterminated)?;
                let high = self
                    .set_item(c, at, &mut set)?
                    .filter(|high| *high >= low)
                    .ok_or_else(|| format!("bad character range at position {at}"))?;
                set.ranges.push((low, high));
            } else {
                set.ranges.push((low, low));
            }
        }
        Ok(Node::Set(set))
    }

    /// One character of a set, or a class that is added to it.
    pub(super) fn set_item(&mut self, c: char, at: usize, set: &mut Set) -> Result<Option<u32>, String> {
        if c != '\\' {
            return Ok(Some(c as u32));
        }
        let Some(c) = self.next() else {
            return Err(format!("bad escape (end of pattern) at position {at}"));
        };
        let class = match c {
            'd' => (Class::Digit, false),
            'D' => (Class::Digit, true),
            'w' => (Class::Word, false),
            'W' => (Class::Word, true),
            's' => (Class::Space, false),
            'S' => (Class::Space, true),
            'b' => return Ok(Some(8)),
            c => return self.code(c, at).map(Some),
        };
        set.classes.push(class);
        Ok(None)
    }
}

/// The lower case of a character that has one of its own.
pub fn fold(c: u32) -> u32 {
    let Some(c) = char::from_u32(c) else { return c };
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(l), None) => l as u32,
        _ => c as u32,
    }
}

pub(super) fn upper(c: u32) -> u32 {
    let Some(c) = char::from_u32(c) else { return c };
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(u), None) => u as u32,
        _ => c as u32,
    }
}

impl Set {
    /// Whether a character is in the set.
    pub fn has(&self, c: u32) -> bool {
        let inside = self.raw(c) || self.ignore_case && (self.raw(fold(c)) || self.raw(upper(c)));
        inside != self.negated
    }

    fn raw(&self, c: u32) -> bool {
        self.ranges.iter().any(|(low, high)| *low <= c && c <= *high)
            || self.classes.iter().any(|(class, negated)| in_class(*class, c, self.ascii) != *negated)
    }
}

/// `\d`, `\w`, `\s`.
pub fn in_class(class: Class, c: u32, ascii: bool) -> bool {
    let Some(c) = char::from_u32(c) else { return false };
    let wide = !ascii && !c.is_ascii();
    match class {
        Class::Digit => c.is_ascii_digit(),
        Class::Word => c.is_ascii_alphanumeric() || c == '_' || wide && c.is_alphanumeric(),
        Class::Space => {
            matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
                || !ascii && (wide && c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
        }
    }
}
