//! A Dockerfile's lines: directives, comments, continuation, here-documents. What comes out is one [`Line`]
//! an instruction. Faults found here name no line: the reference says `failed to parse Dockerfile: …`.

use pileus_base::{Error, Result};

use super::{
    flags,
    parts::{self, Parts},
    words::Lex,
};

/// A here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heredoc {
    /// The word that ends it.
    pub name: String,
    /// Whether variables in it are replaced (its word wasn't quoted).
    pub expand: bool,
    /// Whether tabs at the front of its lines are left out (`<<-`).
    pub chomp: bool,
    /// What is between, as it is written.
    pub text: String,
}

impl Heredoc {
    /// What it says: without the tabs where they don't count.
    pub fn content(&self) -> String {
        if !self.chomp {
            return self.text.clone();
        }
        self.text.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }
}

/// One instruction's line, continued lines joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Where it begins, from 1.
    pub number: usize,
    /// The instruction in upper case.
    pub keyword: String,
    /// The whole of it as it was written.
    pub original: String,
    /// Its flags, quotes taken away.
    pub flags: Vec<String>,
    /// What follows them.
    pub parts: Parts,
    /// The instruction that ONBUILD keeps.
    pub inner: Option<Box<Line>>,
    /// Its here-documents, in order.
    pub heredocs: Vec<Heredoc>,
}

/// A Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dockerfile {
    /// `\` or a backtick.
    pub escape: char,
    /// Its instructions' lines.
    pub lines: Vec<Line>,
    /// What the reference warns of.
    pub warnings: Vec<String>,
}

/// Directives at the top, as far as they have been read.
struct Directives {
    escape: char,
    seen: Vec<String>,
    done: bool,
}

impl Directives {
    /// Reads a line, if directives can still be.
    fn read(&mut self, line: &str) -> std::result::Result<(), String> {
        if self.done {
            return Ok(());
        }
        let pair = line.strip_prefix('#').and_then(|l| l.split_once('='));
        let pair = pair.map(|(name, value)| (name.trim().to_lowercase(), value.trim()));
        let Some((name, value)) =
            pair.filter(|(n, v)| matches!(n.as_str(), "escape" | "syntax" | "check") && !v.is_empty())
        else {
            self.done = true;
            return Ok(());
        };
        if self.seen.contains(&name) {
            return Err(format!("only one {name} parser directive can be used"));
        }
        if name == "escape" {
            self.escape = match value {
                "\\" => '\\',
                "`" => '`',
                _ => return Err(format!("invalid escape token '{value}' does not match ` or \\")),
            };
        }
        self.seen.push(name);
        Ok(())
    }
}

impl Dockerfile {
    /// Reads it.
    ///
    /// # Errors
    /// 400 in the reference's words.
    pub fn read(text: &str) -> Result<Self> {
        Self::parse(text).map_err(Error::bad_request)
    }

    fn parse(text: &str) -> std::result::Result<Self, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut directives = Directives { escape: '\\', seen: Vec::new(), done: false };
        let raw: Vec<&str> = text.split_inclusive('\n').collect();
        let (mut lines, mut warnings, mut at) = (Vec::new(), Vec::new(), 0);
        while at < raw.len() {
            let first = raw[at].trim_end_matches(['\r', '\n']).trim_start();
            directives.read(first)?;
            at += 1;
            let number = at;
            let (mut whole, mut more) =
                join(if first.starts_with('#') { "" } else { first }, directives.escape);
            if !more && whole.is_empty() {
                continue;
            }
            let mut empty = false;
            while more && at < raw.len() {
                let next = raw[at].trim_end_matches(['\r', '\n']);
                at += 1;
                if next.trim_start().starts_with('#') {
                    continue;
                }
                if next.trim().is_empty() {
                    empty = true;
                    continue;
                }
                let (text, again) = join(next, directives.escape);
                whole.push_str(&text);
                more = again;
            }
            if empty {
                warnings.push(format!("[WARNING]: Empty continuation line found in: {whole}"));
            }
            let mut line = one(number, &whole, directives.escape)?;
            at = heredocs(&mut line, &whole, &raw, at)?;
            lines.push(line);
        }
        if lines.is_empty() {
            return Err("file with no instructions".into());
        }
        if !warnings.is_empty() {
            warnings
                .push("[WARNING]: Empty continuation lines will become errors in a future release.".into());
        }
        Ok(Self { escape: directives.escape, lines, warnings })
    }
}

/// A line's instruction and its parts.
fn one(number: usize, whole: &str, escape: char) -> std::result::Result<Line, String> {
    let (keyword, rest) = parts::first(whole.trim());
    let keyword = keyword.to_uppercase();
    let (flags, rest) = flags::split(rest, escape);
    let rest = rest.trim();
    let inner = match keyword.as_str() {
        "ONBUILD" if !rest.is_empty() => Some(Box::new(one(number, rest, escape)?)),
        _ => None,
    };
    let parts = parts::cut(&keyword, rest, escape)?;
    Ok(Line { number, keyword, original: whole.trim().to_owned(), flags, parts, inner, heredocs: Vec::new() })
}

/// The line without a closing escape, and whether there was one. An escape that is itself escaped is none.
fn join(line: &str, escape: char) -> (String, bool) {
    match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
        Some(kept) if !kept.ends_with(escape) => (kept.to_owned(), true),
        _ => (line.to_owned(), false),
    }
}

/// Takes the here-documents that a line announces; where the next line is.
fn heredocs(line: &mut Line, whole: &str, raw: &[&str], mut at: usize) -> std::result::Result<usize, String> {
    let holder = line.inner.as_deref().unwrap_or(line);
    let can = matches!(holder.keyword.as_str(), "RUN" | "COPY" | "ADD") && !holder.parts.json;
    if !can || !whole.contains("<<") {
        return Ok(at);
    }
    let none = |_: &str| None;
    let mut lex = Lex::new('\\', &none);
    (lex.raw_quotes, lex.raw_escapes, lex.keep_unset) = (true, true, true);
    for word in lex.words(whole).unwrap_or_default() {
        let Some(mut doc) = announced(&word) else { continue };
        loop {
            let next = *raw.get(at).ok_or("unterminated heredoc")?;
            at += 1;
            let end = next.trim_end_matches(['\r', '\n']);
            if (if doc.chomp { end.trim_start_matches('\t') } else { end }) == doc.name {
                break;
            }
            doc.text.push_str(next);
        }
        line.heredocs.push(doc);
    }
    if let Some(inner) = &mut line.inner {
        inner.heredocs.clone_from(&line.heredocs);
    }
    Ok(at)
}

/// The here-document that a word announces: `<<EOF`, `<<-"EOF"`, `3<<EOF`.
pub(super) fn announced(word: &str) -> Option<Heredoc> {
    let word = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (chomp, word) = word.strip_prefix('-').map_or((false, word), |rest| (true, rest));
    let word = word.trim_start();
    if word.is_empty() || word.contains('<') {
        return None;
    }
    let none = |_: &str| None;
    let mut lex = Lex::new('\\', &none);
    lex.keep_unset = true;
    let plain = lex.words(word).ok().filter(|w| w.len() == 1)?.pop()?;
    lex.raw_quotes = true;
    let raw = lex.words(word).ok()?.pop()?;
    let quotes = |text: &str| text.matches(['"', '\'']).count();
    Some(Heredoc { expand: quotes(&plain) == quotes(&raw), name: plain, chomp, text: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_and_comments_left_out() {
        let d = Dockerfile::read("# c\nFROM a\nrun x \\\n # no\n  && y\n").unwrap();
        assert_eq!(d.lines.len(), 2);
        assert_eq!((d.lines[1].number, d.lines[1].keyword.as_str()), (3, "RUN"));
        assert_eq!(d.lines[1].parts.words, ["x   && y"]);
        let d = Dockerfile::read("# escape=`\nFROM a\nRUN c:\\`\n d\n").unwrap();
        assert_eq!(d.lines[1].parts.words, ["c:\\ d"]);
        // An escaped escape ends nothing.
        assert_eq!(Dockerfile::read("FROM a\nRUN x \\\\\nRUN y").unwrap().lines.len(), 3);
        let d = Dockerfile::read("FROM a\nRUN x \\\n\n y").unwrap();
        assert_eq!(d.warnings[0], "[WARNING]: Empty continuation line found in: RUN x  y");
    }

    #[test]
    fn faults_are_the_references() {
        let of = |t: &str| Dockerfile::read(t).unwrap_err().message().to_owned();
        assert_eq!(of("# only\n"), "file with no instructions");
        assert_eq!(of("FROM a\nRUN <<E\nx"), "unterminated heredoc");
        assert_eq!(of("#escape=x\nFROM a"), "invalid escape token 'x' does not match ` or \\");
        assert_eq!(of("#escape=`\n#escape=`\nFROM a"), "only one escape parser directive can be used");
    }

    #[test]
    fn here_documents_are_taken() {
        let d = Dockerfile::read("FROM a\nCOPY <<A <<-\"B\" /x/\nhi $y\nA\n\tyo\n\tB\nCMD z").unwrap();
        let docs = &d.lines[1].heredocs;
        assert_eq!((docs[0].content().as_str(), docs[0].expand), ("hi $y\n", true));
        assert_eq!((docs[1].content().as_str(), docs[1].expand), ("yo\n", false));
        assert_eq!(d.lines[2].keyword, "CMD");
        let d = Dockerfile::read("FROM a\nRUN cat <<< x\nRUN [\"<<A\"]\nRUN x << 'E F'\nE F\n").unwrap();
        let counts: Vec<usize> = d.lines.iter().map(|l| l.heredocs.len()).collect();
        assert_eq!(counts, [0, 0, 0, 1]);
    }
}
