//! Text: shared, with trust and origin.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Where a value was written. Lines and columns count from 1; 0 is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The file, or what stands for it (`<CLI option '-e'>`).
    pub file: Arc<str>,
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
    /// The vault's text that the value was decrypted from.
    pub sealed: Option<Arc<str>>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        Ok(())
    }
}

const TRUSTED: u8 = 1;
const TEMPLATE: u8 = 2;
const CONSTANT: u8 = 4;

/// Whether `s` may hold a template: a start delimiter, or a `#jinja2:` header.
pub fn looks_like_template(s: &str) -> bool {
    let b = s.as_bytes();
    b.windows(2).any(|w| w[0] == b'{' && matches!(w[1], b'{' | b'%' | b'#')) || s.starts_with("#jinja2:")
}

/// Text. Trusted text is a template: it is rendered whenever it is read from a variable, an attribute, an item
/// or an iteration. What rendering and modules give is untrusted, and so is `!unsafe`.
#[derive(Clone)]
pub struct Str {
    text: Arc<str>,
    origin: Option<Arc<Origin>>,
    flags: u8,
}

impl Str {
    /// Untrusted text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), origin: None, flags: 0 }
    }
    /// Trusted text: a template.
    pub fn trusted(text: impl Into<Arc<str>>) -> Self {
        Self::new(text).trust()
    }
    /// A string constant of a template. One that looks like a template itself is rendered in lookups' terms and
    /// in conditionals, for old playbooks' sake.
    pub(crate) fn constant(text: String) -> Self {
        let flags = if looks_like_template(&text) { CONSTANT } else { 0 };
        Self { text: text.into(), origin: None, flags }
    }
    /// Whether it is a string constant that looks like a template.
    pub fn is_constant_template(&self) -> bool {
        self.flags & CONSTANT != 0
    }
    /// The same text, trusted.
    #[must_use]
    pub fn trust(mut self) -> Self {
        self.flags = TRUSTED | if looks_like_template(&self.text) { TEMPLATE } else { 0 };
        self
    }
    /// The same text, untrusted.
    #[must_use]
    pub fn untrust(mut self) -> Self {
        self.flags = 0;
        self
    }
    /// The same text, written at `origin`.
    #[must_use]
    pub fn at(mut self, origin: Option<Arc<Origin>>) -> Self {
        self.origin = origin;
        self
    }
    /// Whether it is trusted.
    pub fn is_trusted(&self) -> bool {
        self.flags & TRUSTED != 0
    }
    /// Whether it is trusted and looks like a template.
    pub fn is_template(&self) -> bool {
        self.flags & TEMPLATE != 0
    }
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
    /// The shared text.
    pub fn as_arc(&self) -> &Arc<str> {
        &self.text
    }
    /// Where it was written.
    pub fn origin(&self) -> Option<&Arc<Origin>> {
        self.origin.as_ref()
    }
    /// Its length in characters.
    pub fn chars_len(&self) -> usize {
        if self.text.is_ascii() { self.text.len() } else { self.text.chars().count() }
    }
}

impl Deref for Str {
    type Target = str;
    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<&str> for Str {
    fn from(s: &str) -> Self {
        Self::new(s)
    }
}
impl From<String> for Str {
    fn from(s: String) -> Self {
        Self::new(s)
    }
}
impl From<&String> for Str {
    fn from(s: &String) -> Self {
        Self::new(s.as_str())
    }
}
impl From<Arc<str>> for Str {
    fn from(s: Arc<str>) -> Self {
        Self::new(s)
    }
}
impl From<std::borrow::Cow<'_, str>> for Str {
    fn from(s: std::borrow::Cow<'_, str>) -> Self {
        Self::new(&*s)
    }
}
