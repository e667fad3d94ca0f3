//! What differs between two lists of lines, as Python's `difflib` finds it: the longest matching run first.

use std::collections::HashMap;
use std::ops::Range;

/// A run of lines: the same in both, or replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// Whether both are the same.
    pub equal: bool,
    /// In the first.
    pub a: Range<usize>,
    /// In the second.
    pub b: Range<usize>,
}

fn longest<'a>(
    a: &[&'a str],
    places: &HashMap<&'a str, Vec<usize>>,
    ar: Range<usize>,
    br: Range<usize>,
) -> (usize, usize, usize) {
    let (mut bi, mut bj, mut size) = (ar.start, br.start, 0);
    let mut lengths: HashMap<usize, usize> = HashMap::new();
    for i in ar.clone() {
        let mut new = HashMap::new();
        for &j in places.get(a[i]).map_or(&[][..], Vec::as_slice) {
            if j < br.start {
                continue;
            }
            if j >= br.end {
                break;
            }
            let k = if j == 0 { 1 } else { lengths.get(&(j - 1)).copied().unwrap_or(0) + 1 };
            new.insert(j, k);
            if k > size {
                (bi, bj, size) = (i + 1 - k, j + 1 - k, k);
            }
        }
        lengths = new;
    }
    (bi, bj, size)
}

/// The runs that turn `a` into `b`.
pub fn opcodes(a: &[&str], b: &[&str]) -> Vec<Op> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (j, l) in b.iter().enumerate() {
        places.entry(l).or_default().push(j);
    }
    // lines that are everywhere tell nothing
    if b.len() >= 200 {
        let many = b.len() / 100 + 1;
        places.retain(|_, v| v.len() <= many);
    }
    let mut queue = vec![(0..a.len(), 0..b.len())];
    let mut blocks = Vec::new();
    while let Some((ar, br)) = queue.pop() {
        let (mut i, mut j, mut k) = longest(a, &places, ar.clone(), br.clone());
        while i > ar.start && j > br.start && a[i - 1] == b[j - 1] && k > 0 {
            (i, j, k) = (i - 1, j - 1, k + 1);
        }
        while k > 0 && i + k < ar.end && j + k < br.end && a[i + k] == b[j + k] {
            k += 1;
        }
        if k > 0 {
            blocks.push((i, j, k));
            if ar.start < i && br.start < j {
                queue.push((ar.start..i, br.start..j));
            }
            if i + k < ar.end && j + k < br.end {
                queue.push((i + k..ar.end, j + k..br.end));
            }
        }
    }
    blocks.sort_unstable();
    blocks.push((a.len(), b.len(), 0));
    let mut out: Vec<Op> = Vec::new();
    let (mut i, mut j) = (0, 0);
    for (bi, bj, k) in blocks {
        if i < bi || j < bj {
            out.push(Op { equal: false, a: i..bi, b: j..bj });
        }
        if k > 0 {
            match out.last_mut() {
                Some(last) if last.equal => {
                    last.a.end = bi + k;
                    last.b.end = bj + k;
                }
                _ => out.push(Op { equal: true, a: bi..bi + k, b: bj..bj + k }),
            }
        }
        (i, j) = (bi + k, bj + k);
    }
    out
}

/// The runs in groups, with at most `n` equal lines around the others.
pub fn groups(ops: &[Op], n: usize) -> Vec<Vec<Op>> {
    let mut ops = ops.to_vec();
    if let Some(first) = ops.first_mut()
        && first.equal
    {
        first.a.start = first.a.start.max(first.a.end.saturating_sub(n));
        first.b.start = first.b.start.max(first.b.end.saturating_sub(n));
    }
    if let Some(last) = ops.last_mut()
        && last.equal
    {
        last.a.end = last.a.end.min(last.a.start + n);
        last.b.end = last.b.end.min(last.b.start + n);
    }
    let mut out = Vec::new();
    let mut group: Vec<Op> = Vec::new();
    for op in ops {
        if op.equal && op.a.len() > 2 * n {
            let (a, b) = (op.a.clone(), op.b.clone());
            group.push(Op { equal: true, a: a.start..a.start + n, b: b.start..b.start + n });
            out.push(std::mem::take(&mut group));
            group.push(Op { equal: true, a: a.end - n..a.end, b: b.end - n..b.end });
        } else {
            group.push(op);
        }
    }
    if group.iter().any(|o| !o.equal) {
        out.push(group);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_changed() {
        let ops = opcodes(&["a\n", "b\n", "c\n"], &["a\n", "x\n", "c\n"]);
        assert_eq!(ops.len(), 3);
        assert_eq!(ops[1], Op { equal: false, a: 1..2, b: 1..2 });
        assert_eq!(groups(&ops, 1).len(), 1);
    }
}
