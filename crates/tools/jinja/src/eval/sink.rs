//! Where output goes: one node stays what it is, more are joined to text.

use crate::{Error, State, Str, Value};

#[derive(Default)]
pub(crate) struct Sink {
    first: Option<Value>,
    text: String,
    many: bool,
    /// Output is dropped: a child template after `extends`.
    pub closed: bool,
}

impl Sink {
    /// Literal text.
    pub fn text(&mut self, state: &State<'_>, s: &Str) -> Result<(), Error> {
        if self.closed {
            return Ok(());
        }
        if self.first.is_none() && !self.many {
            self.first = Some(Value::Str(s.clone()));
            return Ok(());
        }
        self.join(state)?;
        self.text.push_str(s);
        state.count_bytes(s.len())
    }

    /// A value; `None` is nothing.
    pub fn value(&mut self, state: &State<'_>, v: Value) -> Result<(), Error> {
        if self.closed || v.is_none() {
            return Ok(());
        }
        if self.first.is_none() && !self.many {
            self.first = Some(v);
            return Ok(());
        }
        self.join(state)?;
        let before = self.text.len();
        state.write_joined(&mut self.text, v)?;
        state.count_bytes(self.text.len() - before)
    }

    fn join(&mut self, state: &State<'_>) -> Result<(), Error> {
        if let Some(first) = self.first.take() {
            self.many = true;
            state.write_joined(&mut self.text, first)?;
        }
        Ok(())
    }

    /// What came out.
    pub fn finish(self) -> Value {
        match self.first {
            Some(v) => v,
            None if self.many => Value::str(self.text),
            None => Value::None,
        }
    }
}
