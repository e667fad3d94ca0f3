//! `urlize`: addresses in a text become links (Jinja's "urlize" filter).
//!
//! The text is escaped and taken word by word; brackets and punctuation around a word stay outside of its link,
//! unless a bracket inside the address wants its partner.

use std::sync::Arc;

use fancy_regex::Regex;

use super::Plain;
use super::regexes::translate;
use super::text::escape_html;
use crate::{Args, Error, State, Value};

pub(super) const FILTERS: &[(&str, Plain)] = &[("urlize", urlize)];

/// Web addresses, with or without a scheme.
const WEB: &str = concat!(
    r"^((https?://|www\.)(([\w%-]+\.)+)?([a-z]{2,63}|xn--[\w%]{2,59})",
    r"|([\w%-]{2,63}\.)+(com|net|int|edu|gov|org|info|mil)",
    r"|(https?://)((([\d]{1,3})(\.[\d]{1,3}){3})|(\[([\da-f]{0,4}:){2}([\da-f]{0,4}:?){1,6}])))",
    r"(?::[\d]{1,5})?(?:[/?#]\S*)?$"
);
const MAIL: &str = r"^\S+@\w[\w.-]*\.\w+$";
const SCHEME: &str = r"^([\w.+-]{2,}:(/){0,2})$";
const OPENING: [&str; 3] = ["(", "<", "&lt;"];
const CLOSING: [&str; 6] = [")", ">", ".", ",", "\n", "&gt;"];
const PAIRS: [(&str, &str); 3] = [("(", ")"), ("<", ">"), ("&lt;", "&gt;")];

fn matches(r: &Arc<Regex>, s: &str) -> bool {
    r.is_match(s).unwrap_or(false)
}

/// How links are written.
struct Style {
    limit: Option<usize>,
    /// ` rel="…" target="…"`
    attributes: String,
    schemes: Vec<String>,
    web: Arc<Regex>,
    mail: Arc<Regex>,
}

impl Style {
    fn link(&self, address: &str, shown: &str) -> String {
        let shown = match self.limit {
            Some(n) if shown.chars().count() > n => {
                format!("{}...", shown.chars().take(n).collect::<String>())
            }
            _ => shown.to_owned(),
        };
        format!("<a href=\"{address}\"{}>{shown}</a>", self.attributes)
    }

    /// `word`, linked where it is an address.
    fn word(&self, word: &str) -> String {
        let mut middle = word;
        while let Some(rest) = OPENING.iter().find_map(|o| middle.strip_prefix(o)) {
            middle = rest;
        }
        let head = &word[..word.len() - middle.len()];
        let rest = middle;
        while let Some(shorter) = CLOSING.iter().find_map(|c| middle.strip_suffix(c)) {
            middle = shorter;
        }
        // what is closed was opened in the address itself
        for (open, close) in PAIRS {
            let opened = middle.matches(open).count();
            if opened <= middle.matches(close).count() {
                continue;
            }
            for _ in 0..opened {
                match rest[middle.len()..].find(close) {
                    Some(at) => middle = &rest[..middle.len() + at + close.len()],
                    None => break,
                }
            }
        }
        let tail = &rest[middle.len()..];
        format!("{head}{}{tail}", self.address(middle))
    }

    fn address(&self, s: &str) -> String {
        let mail = |m: &str| matches(&self.mail, m);
        if matches(&self.web, s) {
            return if s.starts_with("https://") || s.starts_with("http://") {
                self.link(s, s)
            } else {
                self.link(&format!("https://{s}"), s)
            };
        }
        if let Some(to) = s.strip_prefix("mailto:").filter(|m| mail(m)) {
            return format!("<a href=\"{s}\">{to}</a>");
        }
        if s.contains('@') && !s.starts_with("www.") && !s.starts_with('@') && !s.contains(':') && mail(s) {
            return format!("<a href=\"mailto:{s}\">{s}</a>");
        }
        if self.schemes.iter().any(|p| s != p && s.starts_with(p.as_str())) {
            return format!("<a href=\"{s}\"{}>{s}</a>", self.attributes);
        }
        s.to_owned()
    }
}

fn urlize(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let names = ["value", "trim_url_limit", "nofollow", "target", "rel", "extra_schemes"];
    let b = a.bind("do_urlize", &names, 1)?;
    let text = escape_html(&b.get(0).to_text()?);
    let limit = match b.opt(1) {
        None | Some(Value::None) => None,
        Some(_) => usize::try_from(b.int(1, 0)?).ok(),
    };
    let mut rel: Vec<String> = match b.opt(4) {
        None | Some(Value::None) => Vec::new(),
        Some(v) => v.to_text()?.split_whitespace().map(str::to_owned).collect(),
    };
    rel.push("noopener".to_owned());
    if b.truth(2, false)? {
        rel.push("nofollow".to_owned());
    }
    rel.sort();
    rel.dedup();
    let mut attributes = format!(" rel=\"{}\"", escape_html(&rel.join(" ")));
    if let Some(target) = b.opt(3).filter(|v| !v.is_none()) {
        attributes.push_str(&format!(" target=\"{}\"", escape_html(&target.to_text()?)));
    }
    let scheme = translate(SCHEME, false, false)?;
    let mut schemes = Vec::new();
    for v in b.opt(5).filter(|v| !v.is_none()).map_or(Ok(Vec::new()), Value::to_vec)? {
        let s = v.to_text()?;
        if !matches(&scheme, &s) {
            return Err(Error::value_error(format!("{} is not a valid URI scheme prefix.", v.repr())));
        }
        schemes.push(s);
    }
    let style = Style {
        limit,
        attributes,
        schemes,
        web: translate(WEB, true, false)?,
        mail: translate(MAIL, false, false)?,
    };
    let mut out = String::with_capacity(text.len() * 2);
    let mut word = String::new();
    for c in text.chars() {
        if c.is_whitespace() {
            out.push_str(&style.word(&std::mem::take(&mut word)));
            out.push(c);
        } else {
            word.push(c);
        }
    }
    out.push_str(&style.word(&word));
    Ok(Value::from(out))
}

#[cfg(test)]
mod tests {

    /// The answers are the reference's.
    #[test]
    fn addresses_become_links() {
        let engine = crate::Engine::new();
        let of = |e: &str| {
            let v = engine.expression(&crate::Str::trusted(e), &crate::state::EmptyScope).unwrap();
            v.to_text().unwrap()
        };
        assert_eq!(
            of("'see www.foo.org, a@b.de. https://e.org/(a) (foo.com)' | urlize"),
            "see <a href=\"https://www.foo.org\" rel=\"noopener\">www.foo.org</a>, <a href=\"mailto:a@b.de\">a@b.de</a>. \
             <a href=\"https://e.org/(a)\" rel=\"noopener\">https://e.org/(a)</a> \
             (<a href=\"https://foo.com\" rel=\"noopener\">foo.com</a>)"
        );
        assert_eq!(
            of("'http://x.com/very/long/path' | urlize(10, true, target='_blank', rel='foo')"),
            "<a href=\"http://x.com/very/long/path\" rel=\"foo nofollow noopener\" target=\"_blank\">http://x.c...</a>"
        );
    }
}
