//! A Dockerfile's lines: the directive `escape`, comments, continuation, here-documents. What comes out is
//! one [`Line`] an instruction.

use pileus_base::{Error, Result};

/// A here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heredoc {
    /// The word that ends it.
    pub name: String,
    /// Whether variables in it are replaced (its word wasn't quoted).
    pub expand: bool,
    /// What is between.
    pub text: String,
}

/// One instruction's line, continued lines joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Where it begins, from 1.
    pub number: usize,
    /// The instruction in upper case.
    pub keyword: String,
    /// What follows.
    pub rest: String,
    /// The whole of it as it was written.
    pub original: String,
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
}

/// An error of the reference's form.
pub(super) fn fault(line: usize, text: impl std::fmt::Display) -> Error {
    Error::bad_request(format!("dockerfile parse error line {line}: {text}"))
}

/// All instructions there are.
const KEYWORDS: &[&str] = &[
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

impl Dockerfile {
    /// Reads it.
    ///
    /// # Errors
    /// 400 in the reference's words.
    pub fn read(text: &str) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let raw: Vec<&str> = text.lines().collect();
        let escape = directive(&raw)?;
        let mut lines = Vec::new();
        let mut at = 0;
        while at < raw.len() {
            let number = at + 1;
            let first = raw[at].trim_start();
            at += 1;
            if first.trim().is_empty() || first.starts_with('#') {
                continue;
            }
            let (mut whole, mut more) = join(first, escape);
            while more && at < raw.len() {
                let next = raw[at];
                at += 1;
                if next.trim_start().starts_with('#') || next.trim().is_empty() {
                    continue;
                }
                let (text, again) = join(next, escape);
                whole.push_str(&text);
                more = again;
            }
            let whole = whole.trim().to_owned();
            let mut line = one(number, &whole)?;
            at = heredocs(&mut line, &raw, at)?;
            lines.push(line);
        }
        if lines.is_empty() {
            return Err(Error::bad_request("file with no instructions"));
        }
        Ok(Self { escape, lines })
    }
}

/// A line's keyword and rest.
pub(super) fn one(number: usize, whole: &str) -> Result<Line> {
    let (keyword, rest) = whole.split_once(char::is_whitespace).unwrap_or((whole, ""));
    let keyword = keyword.to_ascii_uppercase();
    if !KEYWORDS.contains(&keyword.as_str()) {
        return Err(fault(number, format!("unknown instruction: {keyword}")));
    }
    Ok(Line {
        number,
        keyword,
        rest: rest.trim().to_owned(),
        original: whole.to_owned(),
        heredocs: Vec::new(),
    })
}

/// The line without a closing escape, and whether there was one.
fn join(line: &str, escape: char) -> (String, bool) {
    match line.trim_end().strip_suffix(escape) {
        Some(kept) => (kept.to_owned(), true),
        None => (line.to_owned(), false),
    }
}

/// The directive `escape` among the comments at the top.
fn directive(raw: &[&str]) -> Result<char> {
    let mut escape = None;
    for (i, line) in raw.iter().enumerate() {
        let Some(comment) = line.trim().strip_prefix('#') else { break };
        let Some((name, value)) = comment.split_once('=') else { break };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
            break;
        }
        if name == "escape" {
            if escape.is_some() {
                return Err(fault(i + 1, "only one escape parser directive can be used"));
            }
            escape = Some(match value {
                "\\" => '\\',
                "`" => '`',
                _ => {
                    return Err(fault(
                        i + 1,
                        format!("invalid escape token '{value}' does not match ` or \\"),
                    ));
                }
            });
        }
    }
    Ok(escape.unwrap_or('\\'))
}

/// Takes the here-documents that a line announces; where the next line is.
fn heredocs(line: &mut Line, raw: &[&str], mut at: usize) -> Result<usize> {
    if !matches!(line.keyword.as_str(), "RUN" | "COPY" | "ADD") {
        return Ok(at);
    }
    for word in line.rest.clone().split_whitespace() {
        let digits = word.trim_start_matches(|c: char| c.is_ascii_digit());
        let Some(mark) = digits.strip_prefix("<<").filter(|m| !m.starts_with('<')) else { continue };
        let (strip, mark) = mark.strip_prefix('-').map_or((false, mark), |m| (true, m));
        let name = mark.trim_matches(|c| c == '"' || c == '\'');
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || "_.-".contains(c)) {
            continue;
        }
        let mut text = String::new();
        loop {
            let Some(next) = raw.get(at) else {
                return Err(fault(line.number, "unterminated heredoc"));
            };
            at += 1;
            let next = if strip { next.trim_start_matches('\t') } else { next };
            if next == name {
                break;
            }
            text.push_str(next);
            text.push('\n');
        }
        line.heredocs.push(Heredoc { name: name.to_owned(), expand: name.len() == mark.len(), text });
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_and_comments_left_out() {
        let d = Dockerfile::read("# c\nFROM a\nrun x \\\n # no\n  && y\n").unwrap();
        assert_eq!(d.lines.len(), 2);
        assert_eq!((d.lines[1].number, d.lines[1].keyword.as_str()), (3, "RUN"));
        assert_eq!(d.lines[1].rest, "x   && y");
        let d = Dockerfile::read("# escape=`\nFROM a\nRUN c:\\`\n d\n").unwrap();
        assert_eq!(d.lines[1].rest, "c:\\ d");
    }

    #[test]
    fn faults_are_the_references() {
        let of = |t: &str| Dockerfile::read(t).unwrap_err().message().to_owned();
        assert_eq!(of("FROM a\n\nFOO b"), "dockerfile parse error line 3: unknown instruction: FOO");
        assert_eq!(of("# only\n"), "file with no instructions");
        assert!(of("FROM a\nRUN <<E\nx").contains("unterminated heredoc"));
    }

    #[test]
    fn here_documents_are_taken() {
        let d = Dockerfile::read("FROM a\nCOPY <<A <<-\"B\" /x/\nhi $y\nA\n\tyo\nB\nCMD z").unwrap();
        let docs = &d.lines[1].heredocs;
        assert_eq!((docs[0].text.as_str(), docs[0].expand), ("hi $y\n", true));
        assert_eq!((docs[1].text.as_str(), docs[1].expand), ("yo\n", false));
        assert_eq!(d.lines[2].keyword, "CMD");
    }
}
