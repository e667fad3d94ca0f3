//! `random` and `shuffle`: with a seed they give what Python's Mersenne Twister gives (MT19937; `random.seed`
//! hashes text by SHA-512 and feeds the array, `_randbelow` takes the highest bits).

use sha2::{Digest, Sha512};

use super::Plain;
use crate::{Args, Error, ErrorKind, State, Value};

pub(super) const FILTERS: &[(&str, Plain)] = &[("random", random), ("shuffle", shuffle)];

const N: usize = 624;

struct Twister {
    state: [u32; N],
    index: usize,
}

impl Twister {
    fn new(seed: u32) -> Self {
        let mut state = [0u32; N];
        state[0] = seed;
        for i in 1..N {
            state[i] =
                1_812_433_253u32.wrapping_mul(state[i - 1] ^ (state[i - 1] >> 30)).wrapping_add(i as u32);
        }
        Self { state, index: N }
    }
    /// `init_by_array`.
    fn from_array(key: &[u32]) -> Self {
        let mut t = Self::new(19_650_218);
        let (mut i, mut j) = (1, 0);
        for _ in 0..N.max(key.len()) {
            let x = t.state[i - 1] ^ (t.state[i - 1] >> 30);
            t.state[i] = (t.state[i] ^ x.wrapping_mul(1_664_525)).wrapping_add(key[j]).wrapping_add(j as u32);
            i += 1;
            j = (j + 1) % key.len();
            if i >= N {
                t.state[0] = t.state[N - 1];
                i = 1;
            }
        }
        for _ in 0..N - 1 {
            let x = t.state[i - 1] ^ (t.state[i - 1] >> 30);
            t.state[i] = (t.state[i] ^ x.wrapping_mul(1_566_083_941)).wrapping_sub(i as u32);
            i += 1;
            if i >= N {
                t.state[0] = t.state[N - 1];
                i = 1;
            }
        }
        t.state[0] = 0x8000_0000;
        t
    }
    /// As `random.seed(value)`, version 2.
    fn seeded(v: &Value) -> Result<Self, Error> {
        let words = match v {
            Value::Int(i) => {
                let n = i.unsigned_abs();
                let (low, high) = ((n & 0xffff_ffff) as u32, (n >> 32) as u32);
                if high == 0 { vec![low] } else { vec![low, high] }
            }
            v => {
                let text = v.to_text()?;
                let mut bytes = text.as_bytes().to_vec();
                bytes.extend_from_slice(&Sha512::digest(text.as_bytes()));
                // a big-endian number, in words from the lowest
                bytes
                    .rchunks(4)
                    .map(|c| c.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)))
                    .collect::<Vec<_>>()
            }
        };
        let mut words = words;
        while words.len() > 1 && words.last() == Some(&0) {
            words.pop();
        }
        Ok(Self::from_array(&words))
    }
    /// Anew each time.
    fn fresh() -> Self {
        use std::hash::{BuildHasher, Hasher};
        let word = || std::collections::hash_map::RandomState::new().build_hasher().finish();
        let (a, b) = (word(), word());
        Self::from_array(&[a as u32, (a >> 32) as u32, b as u32, (b >> 32) as u32])
    }
    fn next(&mut self) -> u32 {
        if self.index >= N {
            for i in 0..N {
                let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
                self.state[i] =
                    self.state[(i + 397) % N] ^ (y >> 1) ^ if y & 1 == 1 { 0x9908_b0df } else { 0 };
            }
            self.index = 0;
        }
        let mut y = self.state[self.index];
        self.index += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }
    fn bits(&mut self, k: u32) -> u64 {
        if k <= 32 {
            return u64::from(self.next() >> (32 - k));
        }
        let low = u64::from(self.next());
        low | u64::from(self.next() >> (64 - k)) << 32
    }
    /// A number below `n`.
    fn below(&mut self, n: u64) -> u64 {
        let k = 64 - n.leading_zeros();
        loop {
            let r = self.bits(k);
            if r < n {
                return r;
            }
        }
    }
}

fn source(seed: Option<&Value>) -> Result<Twister, Error> {
    match seed {
        None | Some(Value::None) => Ok(Twister::fresh()),
        Some(v) => Twister::seeded(v),
    }
}

/// `n` picks of `all` as Python's `random.Random(seed).choice` makes them, one after the other.
///
/// # Errors
/// Where the seed has no text.
pub fn python_choices<T: Clone>(seed: &Value, n: usize, all: &[T]) -> Result<Vec<T>, Error> {
    let mut from = Twister::seeded(seed)?;
    if all.is_empty() {
        return Err(Error::new(ErrorKind::Value, "Cannot choose from an empty sequence"));
    }
    Ok((0..n)
        .filter_map(|_| all.get(usize::try_from(from.below(all.len() as u64)).unwrap_or(0)).cloned())
        .collect())
}

fn random(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("rand", &["end", "start", "step", "seed"], 1)?;
    let mut from = source(b.opt(3))?;
    let end = b.get(0);
    if let Value::Int(end) = end {
        let start = b.opt(1).and_then(Value::as_int).unwrap_or(0);
        let step = b.opt(2).and_then(Value::as_int).unwrap_or(1);
        if step == 0 {
            return Err(Error::value_error("zero step for randrange()"));
        }
        let width = end - start;
        let n = if step > 0 { (width + step - 1) / step } else { (width + step + 1) / step };
        let Some(n) = u64::try_from(n).ok().filter(|n| *n > 0) else {
            return Err(Error::value_error(format!(
                "empty range in randrange({start}, {end}{})",
                if step == 1 { String::new() } else { format!(", {step}") }
            )));
        };
        return Ok(Value::Int(start + step * i64::try_from(from.below(n)).unwrap_or(0)));
    }
    if b.opt(1).is_some_and(|v| !v.is_none()) || b.opt(2).is_some_and(|v| !v.is_none()) {
        return Err(Error::new(ErrorKind::Plugin, "start and step can only be used with integer values"));
    }
    let items = state
        .items(&end)
        .map_err(|_| Error::new(ErrorKind::Plugin, "random can only be used on sequences and integers"))?;
    match u64::try_from(items.len()) {
        Ok(n) if n > 0 => Ok(items[usize::try_from(from.below(n)).unwrap_or(0)].clone()),
        _ => Err(Error::new(ErrorKind::Value, "Cannot choose from an empty sequence")),
    }
}

fn shuffle(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("randomize_list", &["mylist", "seed"], 1)?;
    let mut from = source(b.opt(1))?;
    // what cannot be shuffled stays as it is
    let Ok(mut items) = state.items(&b.get(0)) else { return Ok(b.get(0)) };
    for i in (1..items.len()).rev() {
        let j = usize::try_from(from.below(i as u64 + 1)).unwrap_or(0);
        items.swap(i, j);
    }
    Ok(Value::list(items))
}
