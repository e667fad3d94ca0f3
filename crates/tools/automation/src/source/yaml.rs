//! YAML into values: trust, origins, `!vault`, `!unsafe`, repeated keys.

use std::sync::Arc;

use indexmap::IndexMap;
use pileus_jinja::value::repr_str;
use pileus_jinja::{Dict, List, Origin, Str, Value};
use pileus_yaml::{Kind, Options, Scalar, Span};

use super::yaml_error;
use crate::vault::EncryptedString;
use crate::{Error, display};

const UNSAFE: &str = "!unsafe";
const VAULT: &str = "!vault";
const OLD_VAULT: &str = "!vault-encrypted";
const PYTHON_TEXT: &str = "tag:yaml.org,2002:python/unicode";
const PYTHON_DICT: &str = "tag:yaml.org,2002:python/dict";
const CORE: &str = "tag:yaml.org,2002:";

/// Reads the one document of `text`, which came from `file`; its text is a template where `trusted`.
///
/// # Errors
/// Where it is no YAML, or holds what the reference refuses.
pub fn parse(text: &str, file: &Arc<str>, trusted: bool) -> Result<Value, Error> {
    let document =
        pileus_yaml::load(text, &Options::ansible()).map_err(|e| yaml_error::of(&e, text, file))?;
    if !document.warnings.is_empty() {
        repeated_keys(&document.warnings, file)?;
    }
    Reader { file, text }.value(&document.value, trusted)
}

fn repeated_keys(warnings: &[pileus_yaml::Warning], file: &Arc<str>) -> Result<(), Error> {
    let mode = crate::config::current().text("DUPLICATE_YAML_DICT_KEY").unwrap_or("warn");
    for w in warnings {
        let key = match &w.key.kind {
            Kind::Str(s) => repr_str(s),
            _ => w.key.to_key(),
        };
        let message = format!("Found duplicate mapping key {key}.");
        let origin = Some(Arc::new(origin(file, w.at)));
        match mode {
            "error" => {
                return Err(Error::parser(format!("YAML parsing failed: {message}")).at(origin));
            }
            "warn" => {
                display::warning_of(&Error::new(message).at(origin).help("Using last defined value only."));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A place in `file`.
pub fn origin(file: &Arc<str>, span: Span) -> Origin {
    Origin {
        file: file.clone(),
        line: u32::try_from(span.line).unwrap_or(0),
        column: u32::try_from(span.column).unwrap_or(0),
        sealed: None,
    }
}

struct Reader<'a> {
    file: &'a Arc<str>,
    text: &'a str,
}

impl Reader<'_> {
    fn origin(&self, span: Span) -> Option<Arc<Origin>> {
        Some(Arc::new(origin(self.file, span)))
    }

    fn string(&self, s: &str, span: Span, trusted: bool) -> Value {
        let s = Str::new(s).at(self.origin(span));
        Value::Str(if trusted { s.trust() } else { s })
    }

    fn value(&self, yaml: &pileus_yaml::Value, trusted: bool) -> Result<Value, Error> {
        match yaml.tag.as_deref() {
            None | Some(PYTHON_TEXT | PYTHON_DICT) => self.plain(yaml, trusted),
            Some(UNSAFE) => self.untagged(yaml, false),
            Some(VAULT | OLD_VAULT) => self.vault(yaml, trusted),
            Some(tag) => match tag.strip_prefix(CORE) {
                Some("set") => self.keys(yaml, trusted),
                Some("omap" | "pairs" | "binary") => self.plain(yaml, trusted),
                _ => {
                    let problem = format!("could not determine a constructor for the tag {}", repr_str(tag));
                    Err(yaml_error::constructing(&problem, yaml.span, self.text, self.file))
                }
            },
        }
    }

    /// What `!unsafe` or `!vault` stands before, resolved as if it had no tag.
    fn untagged(&self, yaml: &pileus_yaml::Value, trusted: bool) -> Result<Value, Error> {
        let Kind::Str(text) = &yaml.kind else { return self.plain(yaml, trusted) };
        Ok(match pileus_yaml::resolve_plain(text) {
            Scalar::Null => Value::None,
            Scalar::Bool(b) => Value::Bool(b),
            Scalar::Int(i) => Value::Int(i),
            Scalar::BigInt(s) => s.parse().map_or_else(|_| self.string(&s, yaml.span, trusted), Value::big),
            Scalar::Float(f) => Value::Float(f),
            Scalar::Date | Scalar::Merge | Scalar::Str => self.string(text, yaml.span, trusted),
        })
    }

    fn vault(&self, yaml: &pileus_yaml::Value, trusted: bool) -> Result<Value, Error> {
        let tag = yaml.tag.as_deref().unwrap_or(VAULT);
        if tag == OLD_VAULT {
            display::deprecated(
                "Use of the YAML `!vault-encrypted` tag is deprecated.",
                "2.23",
                Some("Use the `!vault` tag instead."),
            );
        }
        match self.untagged(yaml, false)? {
            Value::Str(s) => {
                Ok(Value::object(EncryptedString::new(s.as_arc().clone(), self.origin(yaml.span), trusted)))
            }
            _ => Err(Error::parser(format!(
                "YAML parsing failed: The {} tag requires a string value.",
                repr_str(tag)
            ))
            .at(self.origin(yaml.span))),
        }
    }

    fn keys(&self, yaml: &pileus_yaml::Value, trusted: bool) -> Result<Value, Error> {
        let Kind::Map(map) = &yaml.kind else { return self.plain(yaml, trusted) };
        let items = map.iter().map(|(k, _)| self.value(k, trusted)).collect::<Result<_, _>>()?;
        Ok(Value::List(List::with_origin(items, self.origin(yaml.span))))
    }

    fn plain(&self, yaml: &pileus_yaml::Value, trusted: bool) -> Result<Value, Error> {
        Ok(match &yaml.kind {
            Kind::Null => Value::None,
            Kind::Bool(b) => Value::Bool(*b),
            Kind::Int(i) => Value::Int(*i),
            Kind::BigInt(s) => s.parse().map_or_else(|_| self.string(s, yaml.span, trusted), Value::big),
            Kind::Float(f) => Value::Float(*f),
            Kind::Str(s) => self.string(s, yaml.span, trusted),
            Kind::Date(s) => Value::moment(s).unwrap_or_else(|| self.string(s, yaml.span, trusted)),
            Kind::Seq(items) => {
                let items = items.iter().map(|v| self.value(v, trusted)).collect::<Result<_, _>>()?;
                Value::List(List::with_origin(items, self.origin(yaml.span)))
            }
            Kind::Map(map) => {
                let mut out = IndexMap::with_capacity(map.len());
                for (k, v) in map.iter() {
                    out.insert(self.value(k, trusted)?, self.value(v, trusted)?);
                }
                Value::Dict(Dict::with_origin(out, self.origin(yaml.span)))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value {
        parse(text, &"f.yml".into(), true).unwrap()
    }

    #[test]
    fn trust_and_tags() {
        let v = read("a: '{{ x }}'\nb: !unsafe '{{ x }}'\nc: !unsafe [1, '{{ y }}']\nd: !unsafe '5'\n");
        let str_of = |v: Value| match v {
            Value::Str(s) => s,
            other => panic!("{other:?}"),
        };
        let a = str_of(v.get("a").unwrap());
        assert!(a.is_template());
        assert_eq!(a.origin().unwrap().to_string(), "f.yml:1:4");
        assert!(!str_of(v.get("b").unwrap()).is_trusted());
        assert!(!str_of(v.get("c").unwrap().as_list().unwrap().get(1).unwrap()).is_trusted());
        assert_eq!(v.get("d").unwrap(), Value::Int(5));
    }

    #[test]
    fn vault_strings_wait() {
        let v = read("p: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  3030\n");
        assert_eq!(v.get("p").unwrap().type_name(), "EncryptedString");
    }

    #[test]
    fn unknown_tags_are_refused() {
        let e = parse("a: !nope 1\n", &"f.yml".into(), true).unwrap_err();
        assert_eq!(e.brief(), "YAML parsing failed: Could not determine a constructor for the tag '!nope'.");
        assert_eq!(e.exit_code(), 4);
    }
}
