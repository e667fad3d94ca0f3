//! Tokens, and how messages call them.

/// A token's kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tok {
    /// Text outside of tags.
    Data(String),
    VariableBegin,
    VariableEnd,
    BlockBegin,
    BlockEnd,
    Name(String),
    /// A string's contents, escapes undone.
    Str(String),
    /// An integer's digits, in decimal.
    Int(String),
    Float(f64),
    /// An operator or bracket.
    Op(&'static str),
    Eof,
}

/// A token and its line.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub tok: Tok,
    pub line: u32,
}

impl Tok {
    /// As messages call it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Tok::Data(_) => "template data / text".into(),
            Tok::VariableBegin => "begin of print statement".into(),
            Tok::VariableEnd => "end of print statement".into(),
            Tok::BlockBegin => "begin of statement block".into(),
            Tok::BlockEnd => "end of statement block".into(),
            Tok::Name(n) => n.clone(),
            Tok::Str(_) => "string".into(),
            Tok::Int(_) => "integer".into(),
            Tok::Float(_) => "float".into(),
            Tok::Op(op) => (*op).into(),
            Tok::Eof => "end of template".into(),
        }
    }
}
