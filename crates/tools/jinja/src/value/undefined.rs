//! What is absent, and errors kept until they are used.

use crate::{Error, ErrorKind};

/// An undefined value. Attributes and items of it are itself again; `default` and `defined` see it; any other
/// use raises [`Undefined::to_error`].
#[derive(Debug, Clone)]
pub struct Undefined {
    /// The variable's or attribute's name.
    pub name: Option<String>,
    /// What to say instead of "'name' is undefined".
    pub hint: Option<String>,
    /// The error that it stands for: a filter or a lookup that failed.
    pub error: Option<Error>,
    /// An `if` without `else`: it is false and, in text, nothing.
    pub lenient: bool,
}

impl Undefined {
    /// The undefined variable `name`.
    pub fn name(name: &str) -> Self {
        Self { name: Some(name.to_owned()), hint: None, error: None, lenient: false }
    }
    /// Undefined, explained by `hint`.
    pub fn hint(hint: impl Into<String>) -> Self {
        Self { name: None, hint: Some(hint.into()), error: None, lenient: false }
    }
    /// The value of an `if` without `else` that was false.
    pub fn no_else(line: u32) -> Self {
        let hint = format!(
            "the inline if-expression on line {line} evaluated to false and no else section was defined."
        );
        Self { name: None, hint: Some(hint), error: None, lenient: true }
    }
    /// The attribute or item `name` (as `repr` writes it) that a value of type `type_name` lacks.
    pub fn member(type_name: &str, name: &str) -> Self {
        let hint = Some(format!("object of type '{type_name}' has no attribute {name}"));
        Self { name: None, hint, error: None, lenient: false }
    }
    /// A captured error.
    pub fn error(error: Error) -> Self {
        Self { name: None, hint: None, error: Some(error), lenient: false }
    }
    /// Whether it stands for something absent, not for a failure: `default` and `defined` see only that.
    pub fn is_absent(&self) -> bool {
        self.error.as_ref().is_none_or(|e| e.kind() == ErrorKind::Undefined)
    }
    /// The message, as the reference words it.
    pub fn message(&self) -> String {
        match (&self.error, &self.hint, &self.name) {
            (Some(e), _, _) => e.to_string(),
            (_, Some(hint), _) => hint.clone(),
            (_, _, Some(name)) => format!("{} is undefined", super::repr_str(name)),
            _ => "Undefined value".to_owned(),
        }
    }
    /// The error that using it raises.
    pub fn to_error(&self) -> Error {
        match &self.error {
            Some(e) => e.clone().into_marker(),
            None => Error::new(ErrorKind::Undefined, self.message()).into_marker(),
        }
    }
}
