//! Replacement templates: `\1`, `\g<1>`, `\g<name>`, `\n` …

use super::{Match, Regex};

/// A parsed template.
pub struct Template {
    parts: Vec<Part>,
}

enum Part {
    Text(Vec<u8>),
    Group(usize),
}

/// Parses a template for a pattern.
pub fn parse(regex: &Regex, template: &str) -> Result<Template, String> {
    let chars: Vec<char> = template.chars().collect();
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut at = 0;
    let push_group = |parts: &mut Vec<Part>, text: &mut String, group: usize, at: usize| {
        if group > regex.groups() {
            return Err(format!("invalid group reference {group} at position {at}"));
        }
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(text).into_bytes()));
        }
        parts.push(Part::Group(group));
        Ok(())
    };
    while at < chars.len() {
        if chars[at] != '\\' {
            text.push(chars[at]);
            at += 1;
            continue;
        }
        let start = at;
        let Some(c) = chars.get(at + 1).copied() else {
            return Err(format!("bad escape (end of pattern) at position {at}"));
        };
        at += 2;
        match c {
            'g' => {
                let rest: String = chars[at..].iter().collect();
                let name = rest
                    .strip_prefix('<')
                    .ok_or_else(|| format!("missing < at position {at}"))?
                    .split_once('>')
                    .ok_or_else(|| format!("missing >, unterminated name at position {}", at + 1))?
                    .0;
                let group = match name.parse() {
                    Ok(number) => number,
                    Err(_) => regex
                        .group_index(name)
                        .ok_or_else(|| format!("unknown group name {}", crate::py::repr_str(name)))?,
                };
                at += name.chars().count() + 2;
                push_group(&mut parts, &mut text, group, start + 1)?;
            }
            '0' => {
                let mut digits = String::from("0");
                while digits.len() < 3 && chars.get(at).is_some_and(|c| c.is_digit(8)) {
                    digits.push(chars[at]);
                    at += 1;
                }
                text.extend(u32::from_str_radix(&digits, 8).ok().and_then(char::from_u32));
            }
            '1'..='9' => {
                let mut digits = c.to_string();
                if let Some(d) = chars.get(at).filter(|c| c.is_ascii_digit()) {
                    digits.push(*d);
                    at += 1;
                    let third = chars.get(at).copied().unwrap_or('x');
                    if c <= '3' && d.is_digit(8) && third.is_digit(8) {
                        digits.push(third);
                        at += 1;
                        text.extend(u32::from_str_radix(&digits, 8).ok().and_then(char::from_u32));
                        continue;
                    }
                }
                push_group(&mut parts, &mut text, digits.parse().unwrap_or(0), start + 1)?;
            }
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            'f' => text.push('\u{c}'),
            'v' => text.push('\u{b}'),
            'a' => text.push('\u{7}'),
            'b' => text.push('\u{8}'),
            '\\' => text.push('\\'),
            c if c.is_ascii_alphabetic() => return Err(format!("bad escape \\{c} at position {start}")),
            c => {
                text.push('\\');
                text.push(c);
            }
        }
    }
    if !text.is_empty() {
        parts.push(Part::Text(text.into_bytes()));
    }
    Ok(Template { parts })
}

impl Template {
    /// Writes the template filled from a match; groups that took no part are empty.
    pub fn expand(&self, text: &[u8], m: &Match, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Text(bytes) => out.extend_from_slice(bytes),
                Part::Group(group) => out.extend_from_slice(m.group(text, *group).unwrap_or_default()),
            }
        }
    }
}
