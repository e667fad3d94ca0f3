//! Regular expressions with Python's `re` syntax and semantics: leftmost, backtracking, with look-around,
//! backreferences and named groups. Written here because the helper must stay small and because modules
//! promise Python's behaviour, not another engine's.
//!
//! ```text
//! pattern ── parse ──► Node ── compile ──► Vec<Inst> ── exec (explicit stack) ──► slots
//! ```
//! Text is bytes: valid UTF-8 is matched by character, anything else by byte.

mod compile;
mod exec;
mod parse;
mod template;

use std::collections::HashMap;

use compile::Inst;

/// Options of a pattern.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flags {
    pub ignore_case: bool,
    pub multi_line: bool,
    pub dot_all: bool,
    pub verbose: bool,
    /// `\w`, `\d`, `\s` know ASCII only (as patterns of bytes do).
    pub ascii: bool,
}

/// A compiled pattern.
#[derive(Debug)]
pub struct Regex {
    program: Vec<Inst>,
    groups: usize,
    counters: usize,
    names: HashMap<String, usize>,
    first: Option<u8>,
}

/// Where a pattern matched: start and end of the whole and of each group.
#[derive(Debug, Clone)]
pub struct Match {
    slots: Vec<Option<usize>>,
}

impl Match {
    /// The start of the match.
    pub fn start(&self) -> usize {
        self.slots[0].unwrap_or(0)
    }

    /// The end of the match.
    pub fn end(&self) -> usize {
        self.slots[1].unwrap_or(0)
    }

    /// The span of a group that took part.
    pub fn span(&self, group: usize) -> Option<(usize, usize)> {
        Some(((*self.slots.get(group * 2)?)?, (*self.slots.get(group * 2 + 1)?)?))
    }

    /// The text of a group.
    pub fn group<'t>(&self, text: &'t [u8], group: usize) -> Option<&'t [u8]> {
        let (start, end) = self.span(group)?;
        text.get(start..end)
    }
}

impl Regex {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Python's words: `missing ), unterminated subpattern at position 0`.
    pub fn new(pattern: &str, flags: Flags) -> Result<Self, String> {
        let parsed = parse::parse(pattern, flags)?;
        let (program, counters) = compile::compile(&parsed.node)?;
        let first = compile::first_byte(&program);
        Ok(Regex { program, groups: parsed.groups, counters, names: parsed.names, first })
    }

    /// The number of groups, the whole match apart.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// The number of a named group.
    pub fn group_index(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// The named groups with their numbers, in no order.
    pub fn group_names(&self) -> impl Iterator<Item = (&str, usize)> {
        self.names.iter().map(|(name, at)| (name.as_str(), *at))
    }

    /// The first match at or after a position.
    pub fn search_from(&self, text: &[u8], from: usize) -> Option<Match> {
        let mut at = from;
        while at <= text.len() {
            if let Some(first) = self.first {
                at += text[at..].iter().position(|b| *b == first)?;
            }
            if let Some(found) = self.match_at(text, at) {
                return Some(found);
            }
            at += exec::width(text, at).max(1);
        }
        None
    }

    /// The first match.
    pub fn search(&self, text: &[u8]) -> Option<Match> {
        self.search_from(text, 0)
    }

    /// Whether it matches anywhere.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.search(text).is_some()
    }

    /// A match that starts exactly there.
    pub fn match_at(&self, text: &[u8], at: usize) -> Option<Match> {
        exec::run(&self.program, text, at, self.groups, self.counters).map(|slots| Match { slots })
    }

    /// All matches that don't overlap, as `finditer`.
    pub fn find_all(&self, text: &[u8]) -> Vec<Match> {
        let mut found = Vec::new();
        let (mut at, mut last_end) = (0, None);
        while at <= text.len() {
            let Some(m) = self.search_from(text, at) else { break };
            let (start, end) = (m.start(), m.end());
            if start == end {
                // An empty match right after another counts, as since Python 3.7; the same place twice doesn't.
                if last_end != Some((start, end)) {
                    found.push(m);
                }
                at = end + exec::width(text, end).max(1);
            } else {
                found.push(m);
                at = end;
            }
            last_end = Some((start, end));
        }
        found
    }

    /// `subn`: the new text and how many were replaced.
    ///
    /// # Errors
    /// A bad template: `invalid group reference 3 at position 1`.
    pub fn replace_all(&self, text: &[u8], template: &str) -> Result<(Vec<u8>, usize), String> {
        let template = template::parse(self, template)?;
        let (mut out, mut last) = (Vec::with_capacity(text.len()), 0);
        let found = self.find_all(text);
        for m in &found {
            out.extend_from_slice(&text[last..m.start()]);
            template.expand(text, m, &mut out);
            last = m.end();
        }
        out.extend_from_slice(&text[last..]);
        Ok((out, found.len()))
    }

    /// `match.expand(template)`.
    ///
    /// # Errors
    /// As [`Regex::replace_all`].
    pub fn expand(&self, text: &[u8], m: &Match, template: &str) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        template::parse(self, template)?.expand(text, m, &mut out);
        Ok(out)
    }
}

/// A pattern of bytes, as most file modules use.
pub fn bytes(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern, Flags { ascii: true, ..Flags::default() })
}

#[cfg(test)]
mod tests;
