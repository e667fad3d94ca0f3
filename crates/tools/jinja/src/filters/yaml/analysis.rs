//! What of a text forbids which style (PyYAML's `analyze_scalar`).

/// What of a text forbids which style (PyYAML's `analyze_scalar`).
pub(super) struct Analysis {
    pub(super) empty: bool,
    pub(super) multiline: bool,
    pub(super) flow_plain: bool,
    pub(super) block_plain: bool,
    pub(super) single: bool,
    pub(super) block: bool,
}

impl Analysis {
    pub(super) fn of(s: &str) -> Self {
        if s.is_empty() {
            return Self {
                empty: true,
                multiline: false,
                flow_plain: false,
                block_plain: true,
                single: true,
                block: false,
            };
        }
        let chars: Vec<char> = s.chars().collect();
        let blank = |c: Option<&char>| {
            c.is_none_or(|c| {
                matches!(c, '\0' | ' ' | '\t' | '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
            })
        };
        let is_break = |c: char| matches!(c, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}');
        let (mut block_sign, mut flow_sign) =
            (s.starts_with("---") || s.starts_with("..."), s.starts_with("---") || s.starts_with("..."));
        let (mut breaks, mut special) = (false, false);
        let (
            mut lead_space,
            mut lead_break,
            mut trail_space,
            mut trail_break,
            mut break_space,
            mut space_break,
        ) = (false, false, false, false, false, false);
        let (mut before_blank, mut was_space, mut was_break) = (true, false, false);
        for (i, &c) in chars.iter().enumerate() {
            let after_blank = blank(chars.get(i + 1));
            if i == 0 {
                if "#,[]{}&*!|>'\"%@`".contains(c) {
                    (flow_sign, block_sign) = (true, true);
                }
                if "?:".contains(c) {
                    flow_sign = true;
                    block_sign |= after_blank;
                }
                if c == '-' && after_blank {
                    (flow_sign, block_sign) = (true, true);
                }
            } else {
                if ",?[]{}".contains(c) {
                    flow_sign = true;
                }
                if c == ':' {
                    flow_sign = true;
                    block_sign |= after_blank;
                }
                if c == '#' && before_blank {
                    (flow_sign, block_sign) = (true, true);
                }
            }
            breaks |= is_break(c);
            special |= !printable(c) || (c != '\n' && c != ' ' && c.is_control());
            if c == ' ' {
                lead_space |= i == 0;
                trail_space |= i + 1 == chars.len();
                break_space |= was_break;
                (was_space, was_break) = (true, false);
            } else if is_break(c) {
                lead_break |= i == 0;
                trail_break |= i + 1 == chars.len();
                space_break |= was_space;
                (was_space, was_break) = (false, true);
            } else {
                (was_space, was_break) = (false, false);
            }
            before_blank = blank(Some(&c));
        }
        let mut a = Self {
            empty: false,
            multiline: breaks,
            flow_plain: true,
            block_plain: true,
            single: true,
            block: true,
        };
        if lead_space || lead_break || trail_space || trail_break {
            (a.flow_plain, a.block_plain) = (false, false);
        }
        a.block &= !trail_space;
        if break_space {
            (a.flow_plain, a.block_plain, a.single) = (false, false, false);
        }
        if space_break || special {
            (a.flow_plain, a.block_plain, a.single, a.block) = (false, false, false, false);
        }
        if breaks {
            (a.flow_plain, a.block_plain) = (false, false);
        }
        a.flow_plain &= !flow_sign;
        a.block_plain &= !block_sign;
        a
    }
}

pub(super) fn printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
        && c != '\u{feff}'
}
