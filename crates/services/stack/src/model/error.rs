//! A fault in Heat's words: the exception's name (an answer's `error.type`), where, and what.

use std::fmt;

/// A refused template, parameter or property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The name of Heat's exception.
    pub name: &'static str,
    /// What kind of check failed (`Property error`), often empty.
    pub error: String,
    /// Where in the template.
    pub path: Vec<String>,
    /// What is wrong.
    pub message: String,
}

impl Fault {
    /// A fault `name` with `message`.
    pub fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, error: String::new(), path: Vec::new(), message: message.into() }
    }
    /// `StackValidationFailed`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new("StackValidationFailed", message)
    }
    /// Python's `ValueError`.
    pub fn value(message: impl Into<String>) -> Self {
        Self::new("ValueError", message)
    }
    /// Python's `TypeError`.
    pub fn kind(message: impl Into<String>) -> Self {
        Self::new("TypeError", message)
    }
    /// Python's `KeyError`, which shows its message quoted.
    pub fn key(message: impl AsRef<str>) -> Self {
        Self::new("KeyError", super::python::repr_str(message.as_ref()))
    }
    /// `InvalidSchemaError`.
    pub fn schema(message: impl Into<String>) -> Self {
        Self::new("InvalidSchemaError", message)
    }
    /// A parameter without a value.
    pub fn param_missing(name: &str) -> Self {
        Self::new("UserParameterMissing", format!("The Parameter ({name}) was not provided."))
    }
    /// A reference to nothing.
    pub fn reference(resource: &str, at: &str) -> Self {
        let message = format!("The specified reference \"{resource}\" (in {at}) is incorrect.");
        Self::new("InvalidTemplateReference", message)
    }
    /// An attribute that the type has not.
    pub fn attribute(resource: &str, attribute: &str) -> Self {
        let message = format!("The Referenced Attribute ({resource} {attribute}) is incorrect.");
        Self::new("InvalidTemplateAttribute", message)
    }
    /// With the kind of check.
    pub fn during(mut self, error: impl Into<String>) -> Self {
        self.error = error.into();
        self
    }
    /// With the place.
    pub fn at<S: Into<String>>(mut self, path: impl IntoIterator<Item = S>) -> Self {
        self.path = path.into_iter().map(Into::into).collect();
        self
    }
    /// Whether Python would have raised one of its own exceptions.
    pub fn is_python(&self) -> bool {
        matches!(self.name, "ValueError" | "TypeError" | "KeyError")
    }
    /// As a validation fault at `path`, keeping the message; what is one already stays as it is.
    pub fn validation_at(self, path: &str) -> Self {
        if self.is_python() { Self::invalid(self.message).at([path]) } else { self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.error.is_empty() {
            write!(f, "{}: ", self.error)?;
        }
        let mut path = String::new();
        for item in &self.path {
            if !item.is_empty() && item.bytes().all(|b| b.is_ascii_digit()) {
                path.push_str(&format!("[{item}]"));
            } else {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(item);
            }
        }
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for pileus_base::Error {
    fn from(fault: Fault) -> Self {
        let name = fault.name;
        pileus_base::Error::bad_request(fault.to_string()).code(name)
    }
}
