//! From the tree to a program for the backtracking machine.

use super::parse::{Assert, Node, Set};

/// One instruction; `usize` targets are places in the program.
#[derive(Debug, Clone)]
pub enum Inst {
    Char(u32),
    CharNoCase(u32),
    Any,
    AnyButNewline,
    Set(Box<Set>),
    Assert(Assert),
    Save(usize),
    /// Goes to the first, then to the second.
    Split(usize, usize),
    Jump(usize),
    Backref(usize, bool),
    /// Runs the next instructions up to their `Done`, then goes on at `end` (where it stood before).
    Look {
        back: Option<usize>,
        negative: bool,
        end: usize,
    },
    Atomic {
        end: usize,
    },
    Done,
    /// A run of one-character matches of the next instruction.
    Run {
        min: usize,
        max: usize,
        greedy: bool,
    },
    /// Counters of loops: `Zero` sets one, `Loop` counts and decides.
    Zero(usize),
    Loop {
        counter: usize,
        min: usize,
        max: usize,
        greedy: bool,
        body: usize,
    },
    IfGroup(usize, usize),
    Match,
}

struct Compiler {
    program: Vec<Inst>,
    counters: usize,
}

/// Programs longer than this come from repetitions of repetitions.
const MAX_PROGRAM: usize = 200_000;

/// Compiles a tree; also the number of counters the program needs.
pub fn compile(node: &Node) -> Result<(Vec<Inst>, usize), String> {
    let mut c = Compiler { program: vec![Inst::Save(0)], counters: 0 };
    c.node(node)?;
    c.program.push(Inst::Save(1));
    c.program.push(Inst::Match);
    Ok((c.program, c.counters))
}

/// The byte every match must start with, when there is one.
pub fn first_byte(program: &[Inst]) -> Option<u8> {
    for inst in program {
        match inst {
            Inst::Save(_) => {}
            Inst::Char(c) if *c < 0x80 => return Some(*c as u8),
            _ => return None,
        }
    }
    None
}

impl Compiler {
    fn node(&mut self, node: &Node) -> Result<(), String> {
        if self.program.len() > MAX_PROGRAM {
            return Err("the pattern is too large".into());
        }
        match node {
            Node::Empty => {}
            Node::Char(_) | Node::CharNoCase(_) | Node::Any | Node::AnyButNewline | Node::Set(_) => {
                self.program.extend(single(node));
            }
            Node::Assert(assert) => self.program.push(Inst::Assert(*assert)),
            Node::Group(index, inner) => {
                self.program.push(Inst::Save(index * 2));
                self.node(inner)?;
                self.program.push(Inst::Save(index * 2 + 1));
            }
            Node::Concat(items) => items.iter().try_for_each(|item| self.node(item))?,
            Node::Alt(items) => self.alternatives(items)?,
            Node::Repeat { node, min, max, greedy, possessive } => {
                if *possessive {
                    let inner = Node::Repeat {
                        node: node.clone(),
                        min: *min,
                        max: *max,
                        greedy: true,
                        possessive: false,
                    };
                    return self.node(&Node::Atomic(Box::new(inner)));
                }
                self.repeat(node, *min, max.unwrap_or(usize::MAX), *greedy)?;
            }
            Node::Look { node, behind, negative } => {
                let back = match behind {
                    true => Some(width(node).ok_or("look-behind requires fixed-width pattern")?),
                    false => None,
                };
                self.sub(Inst::Look { back, negative: *negative, end: 0 }, node)?;
            }
            Node::Atomic(node) => self.sub(Inst::Atomic { end: 0 }, node)?,
            Node::Backref(group, no_case) => self.program.push(Inst::Backref(*group, *no_case)),
            Node::Conditional(group, yes, no) => {
                let test = self.program.len();
                self.program.push(Inst::IfGroup(*group, 0));
                self.node(yes)?;
                let jump = self.program.len();
                self.program.push(Inst::Jump(0));
                self.program[test] = Inst::IfGroup(*group, self.program.len());
                self.node(no)?;
                self.program[jump] = Inst::Jump(self.program.len());
            }
        }
        Ok(())
    }

    fn sub(&mut self, head: Inst, node: &Node) -> Result<(), String> {
        let at = self.program.len();
        self.program.push(head);
        self.node(node)?;
        self.program.push(Inst::Done);
        let after = self.program.len();
        match &mut self.program[at] {
            Inst::Look { end, .. } | Inst::Atomic { end } => *end = after,
            _ => {}
        }
        Ok(())
    }

    fn alternatives(&mut self, items: &[Node]) -> Result<(), String> {
        let mut jumps = Vec::new();
        for (n, item) in items.iter().enumerate() {
            if n + 1 == items.len() {
                self.node(item)?;
                break;
            }
            let split = self.program.len();
            self.program.push(Inst::Split(split + 1, 0));
            self.node(item)?;
            jumps.push(self.program.len());
            self.program.push(Inst::Jump(0));
            self.program[split] = Inst::Split(split + 1, self.program.len());
        }
        let end = self.program.len();
        for jump in jumps {
            self.program[jump] = Inst::Jump(end);
        }
        Ok(())
    }

    fn repeat(&mut self, node: &Node, min: usize, max: usize, greedy: bool) -> Result<(), String> {
        if let Some(inst) = single(node) {
            self.program.push(Inst::Run { min, max, greedy });
            self.program.push(inst);
            return Ok(());
        }
        if (min, max) == (0, 1) {
            let split = self.program.len();
            self.program.push(Inst::Split(0, 0));
            self.node(node)?;
            let end = self.program.len();
            self.program[split] =
                if greedy { Inst::Split(split + 1, end) } else { Inst::Split(end, split + 1) };
            return Ok(());
        }
        // zero; jump check; body …; check: loop
        let counter = self.counters;
        self.counters += 1;
        self.program.push(Inst::Zero(counter));
        let jump = self.program.len();
        self.program.push(Inst::Jump(0));
        let body = self.program.len();
        self.node(node)?;
        let check = self.program.len();
        self.program[jump] = Inst::Jump(check);
        self.program.push(Inst::Loop { counter, min, max, greedy, body });
        Ok(())
    }
}

fn single(node: &Node) -> Option<Inst> {
    Some(match node {
        Node::Char(c) => Inst::Char(*c),
        Node::CharNoCase(c) => Inst::CharNoCase(*c),
        Node::Any => Inst::Any,
        Node::AnyButNewline => Inst::AnyButNewline,
        Node::Set(set) => Inst::Set(Box::new(set.clone())),
        _ => return None,
    })
}

/// The width in characters, when it is always the same.
fn width(node: &Node) -> Option<usize> {
    Some(match node {
        Node::Empty | Node::Assert(_) | Node::Look { .. } => 0,
        Node::Char(_) | Node::CharNoCase(_) | Node::Any | Node::AnyButNewline | Node::Set(_) => 1,
        Node::Group(_, inner) | Node::Atomic(inner) => width(inner)?,
        Node::Concat(items) => items.iter().map(width).sum::<Option<usize>>()?,
        Node::Alt(items) => {
            let widths: Vec<usize> = items.iter().map(width).collect::<Option<_>>()?;
            let first = *widths.first()?;
            widths.iter().all(|w| *w == first).then_some(first)?
        }
        Node::Repeat { node, min, max, .. } if *max == Some(*min) => width(node)? * min,
        Node::Repeat { .. } | Node::Backref(..) | Node::Conditional(..) => return None,
    })
}
