//! Writing YAML as PyYAML's dumper does: block collections (or flow for the innermost), scalars plain where the
//! resolver would read the same text back. The layout itself is libyaml's.

use pileus_yaml::{Emitter, Event, Layout, Quote, Scalar};

use crate::value::repr_float;
use crate::{Error, Value};

const CORE: &str = "tag:yaml.org,2002:";
const MAX_DEPTH: u32 = 200;

/// How to write.
#[derive(Debug, Clone)]
pub struct Style {
    /// Columns, width, marks.
    pub layout: Layout,
    /// Flow collections: all, none, or (`None`) those without collections inside.
    pub flow: Option<bool>,
    /// Keys in order.
    pub sort: bool,
    /// A style for every scalar: `'`, `"`, `|` or `>`.
    pub quote: Quote,
    /// Text of several lines as `|` blocks.
    pub literal: bool,
}

impl Default for Style {
    fn default() -> Self {
        let layout = Layout { indent: 2, width: Some(80), canonical: false, start: false, end: false };
        Self { layout, flow: None, sort: true, quote: Quote::Any, literal: false }
    }
}

/// The document of `v`, with its newline.
///
/// # Errors
/// Where a value is undefined or nested too deeply.
pub fn dump(v: &Value, style: &Style) -> Result<String, Error> {
    let mut out = Emitter::new(style.layout.clone()).map_err(failed)?;
    out.begin().map_err(failed)?;
    node(v, style, &mut out, 0)?;
    out.end().map_err(failed)
}

fn failed(e: pileus_yaml::Error) -> Error {
    Error::value_error(e.to_string())
}

fn is_scalar(v: &Value) -> bool {
    !matches!(v, Value::List(_) | Value::Tuple(_) | Value::Dict(_))
}

fn node(v: &Value, style: &Style, out: &mut Emitter, depth: u32) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::value_error("the value is nested too deeply"));
    }
    // PyYAML counts a scalar as simple where it has no style of its own
    let simple = |v: &Value| is_scalar(v) && style.quote == Quote::Any;
    let items = match v {
        Value::Dict(d) => {
            let mut pairs = d.items();
            if style.sort && crate::value::sort_by_key(&mut pairs, false).is_err() {
                // PyYAML leaves what has no order as it is
                pairs = d.items();
            }
            let flow = style.flow.unwrap_or_else(|| pairs.iter().all(|(k, v)| simple(k) && simple(v)));
            out.put(Event::Map(flow)).map_err(failed)?;
            for (k, v) in &pairs {
                node(k, style, out, depth + 1)?;
                node(v, style, out, depth + 1)?;
            }
            return out.put(Event::MapEnd).map_err(failed);
        }
        Value::List(l) => l.items(),
        Value::Tuple(t) => t.to_vec(),
        other => return scalar(other, style, out),
    };
    out.put(Event::List(style.flow.unwrap_or_else(|| items.iter().all(simple)))).map_err(failed)?;
    for v in &items {
        node(v, style, out, depth + 1)?;
    }
    out.put(Event::ListEnd).map_err(failed)
}

fn scalar(v: &Value, style: &Style, out: &mut Emitter) -> Result<(), Error> {
    if let Some(text) = v.ciphertext() {
        let event = Event::Scalar { tag: "!vault", text, plain: false, quoted: false, quote: Quote::Literal };
        return out.put(event).map_err(failed);
    }
    let (kind, text) = match v {
        Value::Undefined(u) => return Err(u.to_error()),
        Value::None => ("null", "null".to_owned()),
        Value::Bool(b) => ("bool", b.to_string()),
        Value::Int(i) => ("int", i.to_string()),
        Value::BigInt(b) => ("int", b.to_string()),
        Value::Float(f) if f.is_nan() => ("float", ".nan".to_owned()),
        Value::Float(f) if f.is_infinite() => ("float", if *f > 0.0 { ".inf" } else { "-.inf" }.to_owned()),
        Value::Float(f) => {
            let s = repr_float(*f);
            ("float", if s.contains('e') && !s.contains('.') { s.replacen('e', ".0e", 1) } else { s })
        }
        Value::Bytes(b) => ("str", String::from_utf8_lossy(b).into_owned()),
        Value::Object(o) if matches!(o.type_name(), "date" | "datetime") => ("timestamp", o.text()),
        Value::Object(o) if o.type_name() == "time" => {
            return Err(Error::type_error(format!("('cannot represent an object', {})", o.repr())));
        }
        v => ("str", v.to_text()?),
    };
    let resolved = match pileus_yaml::resolve_plain(&text) {
        Scalar::Null => "null",
        Scalar::Bool(_) => "bool",
        Scalar::Int(_) | Scalar::BigInt(_) => "int",
        Scalar::Float(_) => "float",
        Scalar::Date => "timestamp",
        Scalar::Merge => "merge",
        Scalar::Str => "str",
    };
    let tag = format!("{CORE}{kind}");
    let (plain, quoted) = (resolved == kind, kind == "str");
    let lines = style.literal && kind == "str" && text.contains('\n');
    let quote = if lines { Quote::Literal } else { style.quote };
    out.put(Event::Scalar { tag: &tag, text: &text, plain, quoted, quote }).map_err(failed)
}
