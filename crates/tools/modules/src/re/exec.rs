//! The backtracking machine: an explicit stack of choices and of values to put back.

use super::compile::Inst;
use super::parse::{Assert, Class, fold, in_class};

/// The width in bytes of the character there (1 for a byte that isn't UTF-8, 0 at the end).
pub fn width(text: &[u8], at: usize) -> usize {
    decode(text, at).map_or(0, |(_, width)| width)
}

/// The character there; bytes that aren't UTF-8 become values no character has.
fn decode(text: &[u8], at: usize) -> Option<(u32, usize)> {
    let first = *text.get(at)?;
    let (len, low) = match first {
        0..=0x7f => return Some((u32::from(first), 1)),
        0xc2..=0xdf => (2, u32::from(first & 0x1f)),
        0xe0..=0xef => (3, u32::from(first & 0x0f)),
        0xf0..=0xf4 => (4, u32::from(first & 0x07)),
        _ => return Some((0x11_0000 + u32::from(first), 1)),
    };
    let mut value = low;
    for n in 1..len {
        match text.get(at + n) {
            Some(b) if b & 0xc0 == 0x80 => value = value << 6 | u32::from(b & 0x3f),
            _ => return Some((0x11_0000 + u32::from(first), 1)),
        }
    }
    Some((value, len))
}

/// The start of the character before.
fn before(text: &[u8], at: usize) -> Option<usize> {
    (1..=4.min(at))
        .map(|n| at - n)
        .find(|start| *start + width(text, *start) == at)
        .or_else(|| at.checked_sub(1))
}

enum Undo {
    Branch { pc: usize, at: usize },
    Slot { index: usize, old: Option<usize> },
    Counter { index: usize, old: (usize, usize) },
    RunBack { pc: usize, low: usize, at: usize },
    RunOn { pc: usize, inst: usize, at: usize, left: usize },
}

struct Machine<'a> {
    program: &'a [Inst],
    text: &'a [u8],
    slots: Vec<Option<usize>>,
    /// Rounds done, and where the last one began.
    counters: Vec<(usize, usize)>,
    undo: Vec<Undo>,
}

/// Runs a program at a place; the slots when it matches.
pub fn run(
    program: &[Inst],
    text: &[u8],
    at: usize,
    groups: usize,
    counters: usize,
) -> Option<Vec<Option<usize>>> {
    let mut machine = Machine {
        program,
        text,
        slots: vec![None; (groups + 1) * 2],
        counters: vec![(0, usize::MAX); counters],
        undo: Vec::new(),
    };
    machine.go(0, at).map(|_| machine.slots)
}

impl Machine<'_> {
    /// Runs from a place to `Match` or `Done`; where it ended. Choices made inside are dropped on success.
    fn go(&mut self, pc: usize, at: usize) -> Option<usize> {
        let base = self.undo.len();
        let (mut pc, mut at) = (pc, at);
        loop {
            match self.step(&mut pc, &mut at) {
                Some(true) => return Some(at),
                Some(false) => {}
                None => {
                    let (next_pc, next_at) = self.back(base)?;
                    (pc, at) = (next_pc, next_at);
                }
            }
        }
    }

    /// One instruction: `Some(true)` ends, `None` fails.
    fn step(&mut self, pc: &mut usize, at: &mut usize) -> Option<bool> {
        let program = self.program;
        match &program[*pc] {
            Inst::Match | Inst::Done => return Some(true),
            Inst::Jump(to) => {
                *pc = *to;
                return Some(false);
            }
            Inst::Split(first, second) => {
                self.undo.push(Undo::Branch { pc: *second, at: *at });
                *pc = *first;
                return Some(false);
            }
            Inst::Save(index) => self.save(*index, Some(*at)),
            Inst::Assert(assert) => {
                if !self.holds(*assert, *at) {
                    return None;
                }
            }
            Inst::Backref(group, no_case) => *at = self.backref(*group, *no_case, *at)?,
            Inst::IfGroup(group, other) => {
                if self.slots.get(group * 2 + 1).copied().flatten().is_none() {
                    *pc = *other;
                    return Some(false);
                }
            }
            Inst::Look { back, negative, end } => {
                self.look(*pc + 1, *at, *back, *negative)?;
                *pc = *end;
                return Some(false);
            }
            Inst::Atomic { end } => {
                let base = self.undo.len();
                *at = self.go(*pc + 1, *at)?;
                self.forget(base);
                *pc = *end;
                return Some(false);
            }
            Inst::Zero(index) => self.count(*index, (0, usize::MAX)),
            Inst::Loop { counter, min, max, greedy, body } => {
                *pc = self.repeat(*counter, *min, *max, *greedy, *body, *pc + 1, *at);
                return Some(false);
            }
            Inst::Run { min, max, greedy } => {
                let inst = *pc + 1;
                *at = self.many(inst, *min, *max, *greedy, *at)?;
                *pc += 2;
                return Some(false);
            }
            single => *at += self.one(single, *at)?,
        }
        *pc += 1;
        Some(false)
    }

    /// Undoes until a choice is left.
    fn back(&mut self, base: usize) -> Option<(usize, usize)> {
        while self.undo.len() > base {
            match self.undo.pop()? {
                Undo::Branch { pc, at } => return Some((pc, at)),
                Undo::Slot { index, old } => self.slots[index] = old,
                Undo::Counter { index, old } => self.counters[index] = old,
                Undo::RunBack { pc, low, at } => {
                    if at > low
                        && let Some(at) = before(self.text, at)
                    {
                        if at > low {
                            self.undo.push(Undo::RunBack { pc, low, at });
                        }
                        return Some((pc, at));
                    }
                }
                Undo::RunOn { pc, inst, at, left } => {
                    if left > 0
                        && let Some(width) = self.one(&self.program[inst], at)
                    {
                        self.undo.push(Undo::RunOn { pc, inst, at: at + width, left: left - 1 });
                        return Some((pc, at + width));
                    }
                }
            }
        }
        None
    }

    /// Drops the choices above a mark but keeps what must be put back.
    fn forget(&mut self, base: usize) {
        let kept: Vec<Undo> = self
            .undo
            .drain(base..)
            .filter(|u| matches!(u, Undo::Slot { .. } | Undo::Counter { .. }))
            .collect();
        self.undo.extend(kept);
    }

    fn save(&mut self, index: usize, value: Option<usize>) {
        self.undo.push(Undo::Slot { index, old: self.slots[index] });
        self.slots[index] = value;
    }

    fn count(&mut self, index: usize, value: (usize, usize)) {
        self.undo.push(Undo::Counter { index, old: self.counters[index] });
        self.counters[index] = value;
    }

    #[allow(clippy::too_many_arguments)]
    fn repeat(
        &mut self,
        counter: usize,
        min: usize,
        max: usize,
        greedy: bool,
        body: usize,
        exit: usize,
        at: usize,
    ) -> usize {
        let (rounds, began) = self.counters[counter];
        // A round that consumed nothing would go on for ever.
        let stuck = began == at && rounds >= min;
        if rounds < min {
            self.count(counter, (rounds + 1, at));
            return body;
        }
        if rounds >= max || stuck {
            return exit;
        }
        if greedy {
            self.undo.push(Undo::Branch { pc: exit, at });
            self.count(counter, (rounds + 1, at));
            body
        } else {
            self.count(counter, (rounds + 1, at));
            self.undo.push(Undo::Branch { pc: body, at });
            exit
        }
    }

    fn many(&mut self, inst: usize, min: usize, max: usize, greedy: bool, start: usize) -> Option<usize> {
        let mut at = start;
        for _ in 0..min {
            at += self.one(&self.program[inst], at)?;
        }
        let low = at;
        if !greedy {
            self.undo.push(Undo::RunOn { pc: inst + 1, inst, at, left: max - min });
            return Some(at);
        }
        let mut left = max - min;
        while left > 0 {
            let Some(width) = self.one(&self.program[inst], at) else { break };
            at += width;
            left -= 1;
        }
        if at > low {
            self.undo.push(Undo::RunBack { pc: inst + 1, low, at });
        }
        Some(at)
    }

    fn one(&self, inst: &Inst, at: usize) -> Option<usize> {
        let (c, width) = decode(self.text, at)?;
        let good = match inst {
            Inst::Char(wanted) => c == *wanted,
            Inst::CharNoCase(wanted) => fold(c) == *wanted,
            Inst::Any => true,
            Inst::AnyButNewline => c != u32::from(b'\n'),
            Inst::Set(set) => set.has(c),
            _ => false,
        };
        good.then_some(width)
    }

    fn look(&mut self, pc: usize, at: usize, back: Option<usize>, negative: bool) -> Option<()> {
        let mut start = Some(at);
        for _ in 0..back.unwrap_or(0) {
            start = start.and_then(|s| if s == 0 { None } else { before(self.text, s) });
        }
        let base = self.undo.len();
        let found = match start {
            Some(start) => self.go(pc, start).is_some(),
            None => false,
        };
        if negative && found {
            // Nothing captured inside may stay.
            while self.undo.len() > base {
                match self.undo.pop()? {
                    Undo::Slot { index, old } => self.slots[index] = old,
                    Undo::Counter { index, old } => self.counters[index] = old,
                    _ => {}
                }
            }
        } else {
            self.forget(base);
        }
        (found != negative).then_some(())
    }

    fn backref(&self, group: usize, no_case: bool, at: usize) -> Option<usize> {
        let (start, end) = ((*self.slots.get(group * 2)?)?, (*self.slots.get(group * 2 + 1)?)?);
        let (mut from, mut to) = (start, at);
        while from < end {
            let ((a, wa), (b, wb)) = (decode(self.text, from)?, decode(self.text, to)?);
            if a != b && !(no_case && fold(a) == fold(b)) {
                return None;
            }
            from += wa;
            to += wb;
        }
        Some(to)
    }

    fn holds(&self, assert: Assert, at: usize) -> bool {
        let text = self.text;
        let newline = |i: usize| text.get(i) == Some(&b'\n');
        match assert {
            Assert::Start => at == 0,
            Assert::LineStart => at == 0 || newline(at - 1),
            Assert::End => at == text.len(),
            Assert::EndOrNewline => at == text.len() || at + 1 == text.len() && newline(at),
            Assert::LineEnd => at == text.len() || newline(at),
            Assert::Word(ascii) => self.boundary(at, ascii),
            Assert::NotWord(ascii) => !self.boundary(at, ascii),
        }
    }

    fn boundary(&self, at: usize, ascii: bool) -> bool {
        let word = |i: Option<usize>| {
            i.and_then(|i| decode(self.text, i)).is_some_and(|(c, _)| in_class(Class::Word, c, ascii))
        };
        let left = if at == 0 { false } else { word(before(self.text, at)) };
        left != word(Some(at))
    }
}
