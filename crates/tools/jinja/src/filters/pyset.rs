//! CPython's sets of whole numbers, for the order in which they give their members back (`Objects/setobject.c` of
//! Python 3.9 to 3.13: open addressing, 9 linear probes, then perturbation; numbers hash to themselves).

use crate::Value;

const LINEAR_PROBES: usize = 9;
const PERTURB_SHIFT: u32 = 5;
/// The modulus of Python's hash of numbers, 2^61 - 1.
const HASH_MODULUS: i64 = (1 << 61) - 1;

/// A set of integers.
#[derive(Clone)]
pub(super) struct IntSet {
    table: Vec<Option<i64>>,
    used: usize,
}

fn hash(i: i64) -> u64 {
    let h = i % HASH_MODULUS;
    (if h == -1 { -2 } else { h }).cast_unsigned()
}

impl IntSet {
    fn new() -> Self {
        Self { table: vec![None; 8], used: 0 }
    }

    /// The set of `items`, if all are integers.
    pub fn of(items: &[Value]) -> Option<Self> {
        let mut set = Self::new();
        for v in items {
            match v {
                Value::Int(i) => set.add(*i),
                _ => return None,
            };
        }
        Some(set)
    }

    /// Where `i` is, or would go.
    fn slot(&self, i: i64) -> usize {
        let mask = self.table.len() - 1;
        let mut perturb = hash(i);
        let mut at = perturb as usize & mask;
        loop {
            let probes = if at + LINEAR_PROBES <= mask { LINEAR_PROBES } else { 0 };
            for slot in at..=at + probes {
                if self.table[slot].is_none_or(|x| x == i) {
                    return slot;
                }
            }
            perturb >>= PERTURB_SHIFT;
            at = (at.wrapping_mul(5).wrapping_add(1).wrapping_add(perturb as usize)) & mask;
        }
    }

    fn has(&self, i: i64) -> bool {
        self.table[self.slot(i)].is_some()
    }

    fn resize(&mut self, more_than: usize) {
        let mut size = 8;
        while size <= more_than {
            size <<= 1;
        }
        let old = std::mem::replace(&mut self.table, vec![None; size]);
        for i in old.into_iter().flatten() {
            let slot = self.slot(i);
            self.table[slot] = Some(i);
        }
    }

    fn add(&mut self, i: i64) {
        let slot = self.slot(i);
        if self.table[slot].is_none() {
            self.table[slot] = Some(i);
            self.used += 1;
            if self.used * 5 >= (self.table.len() - 1) * 3 {
                self.resize(if self.used > 50_000 { self.used * 2 } else { self.used * 4 });
            }
        }
    }

    fn members(&self) -> impl Iterator<Item = i64> {
        self.table.iter().flatten().copied()
    }

    fn merge(&mut self, other: &Self) {
        if (self.used + other.used) * 5 >= (self.table.len() - 1) * 3 {
            self.resize((self.used + other.used) * 2);
        }
        if self.used == 0 && self.table.len() == other.table.len() {
            *self = other.clone();
            return;
        }
        for i in other.members() {
            self.add(i);
        }
    }

    fn copied(&self) -> Self {
        let mut set = Self::new();
        set.merge(self);
        set
    }

    /// `self | other`.
    pub fn or(&self, other: &Self) -> Self {
        let mut set = self.copied();
        set.merge(other);
        set
    }

    /// `self & other`: the smaller one's members in its order.
    pub fn and(&self, other: &Self) -> Self {
        let (small, large) = if other.used > self.used { (self, other) } else { (other, self) };
        Self::collect(small.members().filter(|i| large.has(*i)))
    }

    /// `self - other`.
    pub fn minus(&self, other: &Self) -> Self {
        if self.used >> 2 > other.used {
            // taken out of a copy, which keeps its places
            let mut set = self.copied();
            for slot in &mut set.table {
                if slot.is_some_and(|i| other.has(i)) {
                    *slot = None;
                    set.used -= 1;
                }
            }
            return set;
        }
        Self::collect(self.members().filter(|i| !other.has(*i)))
    }

    /// `self ^ other`.
    pub fn xor(&self, other: &Self) -> Self {
        let mut kept: Vec<Option<i64>> = other.copied().table;
        let mut added = Vec::new();
        for i in self.members() {
            match kept.iter_mut().find(|s| **s == Some(i)) {
                Some(slot) => *slot = None,
                None => added.push(i),
            }
        }
        // members keep their places while no resize is due
        let mut set = Self { used: kept.iter().flatten().count(), table: kept };
        for i in added {
            set.add(i);
        }
        set
    }

    fn collect(items: impl Iterator<Item = i64>) -> Self {
        let mut set = Self::new();
        items.for_each(|i| set.add(i));
        set
    }

    /// Its members, in its order.
    pub fn to_list(&self) -> Value {
        Value::list(self.members().map(Value::Int).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(items: &[i64]) -> IntSet {
        IntSet::collect(items.iter().copied())
    }

    #[test]
    fn members_come_in_the_order_of_cpython() {
        let or: Vec<i64> = set(&[3, 4, 1]).or(&set(&[10, 9, 1, 4, 17])).members().collect();
        assert_eq!(or, [1, 3, 4, 9, 10, 17]);
        let and: Vec<i64> = set(&[3, 10, 1, 8]).and(&set(&[8, 1, 3, 2])).members().collect();
        assert_eq!(and, [8, 1, 3]);
        let minus: Vec<i64> = set(&[3, 1, 2, 3, 9]).minus(&set(&[1])).members().collect();
        assert_eq!(minus, [9, 2, 3]);
    }
}
