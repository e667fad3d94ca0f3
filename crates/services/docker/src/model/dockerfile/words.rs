//! Words: quotes, escapes and variables, as the reference's shell lexer treats them.

use pileus_base::{Error, Result};

use super::pattern;

/// What variables there are.
pub(crate) type Vars<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How words are read.
pub(crate) struct Lex<'a> {
    escape: char,
    vars: Vars<'a>,
    /// Quotes stay.
    pub raw_quotes: bool,
    /// Escapes stay.
    pub raw_escapes: bool,
    /// Quotes mean nothing.
    pub no_quotes: bool,
    /// Variables that aren't set stay as they are written.
    pub keep_unset: bool,
}

/// A word being read, and the words it falls into.
#[derive(Default)]
struct Words {
    all: Vec<String>,
    word: String,
}

impl Words {
    fn split(&mut self, c: char) {
        if !c.is_whitespace() {
            self.word.push(c);
        } else if !self.word.is_empty() {
            self.all.push(std::mem::take(&mut self.word));
        }
    }
    fn end(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.all.push(self.word);
        }
        self.all
    }
}

struct Scan {
    chars: Vec<char>,
    at: usize,
}

impl Scan {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }
    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += usize::from(c.is_some());
        c
    }
}

/// `text` as one word, variables replaced.
///
/// # Errors
/// 400 for a substitution that is unsupported or not closed.
pub(crate) fn expand(text: &str, escape: char, vars: Vars<'_>) -> Result<String> {
    Lex::new(escape, vars).word(text)
}

impl<'a> Lex<'a> {
    /// Reads with an escape character and variables.
    pub fn new(escape: char, vars: Vars<'a>) -> Self {
        Self { escape, vars, raw_quotes: false, raw_escapes: false, no_quotes: false, keep_unset: false }
    }

    /// `text` as one word.
    ///
    /// # Errors
    /// 400, in the reference's words.
    pub fn word(&self, text: &str) -> Result<String> {
        Ok(self.process(text)?.0)
    }

    /// `text` as the words it falls into once variables have been replaced.
    ///
    /// # Errors
    /// 400, in the reference's words.
    pub fn words(&self, text: &str) -> Result<Vec<String>> {
        Ok(self.process(text)?.1)
    }

    /// A here-document's text: variables replaced, quotes left alone.
    ///
    /// # Errors
    /// 400, in the reference's words.
    pub fn document(&self, text: &str) -> Result<String> {
        Self { escape: '\\', no_quotes: true, ..Self::new('\\', self.vars) }.word(text)
    }

    fn process(&self, text: &str) -> Result<(String, Vec<String>)> {
        let mut scan = Scan { chars: text.chars().collect(), at: 0 };
        self.until(&mut scan, None, self.raw_escapes)
            .map_err(|why| Error::bad_request(format!("failed to process {}: {why}", super::quote(text))))
    }

    fn until(
        &self,
        scan: &mut Scan,
        stop: Option<char>,
        raw: bool,
    ) -> std::result::Result<(String, Vec<String>), String> {
        let (mut out, mut words) = (String::new(), Words::default());
        while let Some(c) = scan.peek() {
            if Some(c) == stop {
                scan.next();
                return Ok((out, words.end()));
            }
            match c {
                '$' => {
                    let value = self.dollar(scan)?;
                    value.chars().for_each(|c| words.split(c));
                    out.push_str(&value);
                    continue;
                }
                '<' | '\'' | '"' if c == '<' || !self.no_quotes => {
                    let value = match c {
                        '<' => heredoc(scan),
                        '"' => self.double(scan, raw)?,
                        _ => self.single(scan)?,
                    };
                    words.word.push_str(&value);
                    out.push_str(&value);
                    continue;
                }
                _ => {}
            }
            scan.next();
            if c == self.escape {
                if raw {
                    words.word.push(c);
                    out.push(c);
                }
                let Some(next) = scan.next() else { break };
                words.word.push(next);
                out.push(next);
            } else {
                words.split(c);
                out.push(c);
            }
        }
        match stop {
            Some(stop) => Err(format!("unexpected end of statement while looking for matching {stop}")),
            None => Ok((out, words.end())),
        }
    }

    fn single(&self, scan: &mut Scan) -> std::result::Result<String, String> {
        let mut out = String::new();
        let quote = |out: &mut String, c| {
            if self.raw_quotes {
                out.push(c);
            }
        };
        scan.next();
        quote(&mut out, '\'');
        loop {
            match scan.next() {
                None => {
                    return Err("unexpected end of statement while looking for matching single-quote".into());
                }
                Some('\'') => {
                    quote(&mut out, '\'');
                    return Ok(out);
                }
                Some(c) => out.push(c),
            }
        }
    }

    fn double(&self, scan: &mut Scan, raw: bool) -> std::result::Result<String, String> {
        let mut out = String::new();
        scan.next();
        if self.raw_quotes {
            out.push('"');
        }
        loop {
            match scan.peek() {
                None => {
                    return Err("unexpected end of statement while looking for matching double-quote".into());
                }
                Some('"') => {
                    scan.next();
                    if self.raw_quotes {
                        out.push('"');
                    }
                    return Ok(out);
                }
                Some('$') => out.push_str(&self.dollar(scan)?),
                Some(mut c) => {
                    scan.next();
                    if c == self.escape {
                        if raw {
                            out.push(c);
                        }
                        match scan.peek() {
                            None => continue,
                            Some(next) if matches!(next, '"' | '$') || next == self.escape => {
                                scan.next();
                                c = next;
                            }
                            Some(_) => {}
                        }
                    }
                    out.push(c);
                }
            }
        }
    }

    fn dollar(&self, scan: &mut Scan) -> std::result::Result<String, String> {
        let missing = || "syntax error: missing '}'".to_owned();
        scan.next();
        if scan.peek() != Some('{') {
            let name = name(scan);
            return Ok(match (self.vars)(&name) {
                _ if name.is_empty() => "$".into(),
                None if self.keep_unset => format!("${name}"),
                value => value.unwrap_or_default(),
            });
        }
        scan.next();
        match scan.peek() {
            None => return Err(missing()),
            Some('{' | '}' | ':') => return Err("syntax error: bad substitution".into()),
            _ => {}
        }
        let name = name(scan);
        let value = (self.vars)(&name);
        let mut operator = scan.next().ok_or_else(missing)?;
        let mut shown = operator.to_string();
        if operator == '}' {
            return Ok(match value {
                None if self.keep_unset => format!("${{{name}}}"),
                value => value.unwrap_or_default(),
            });
        }
        if operator == '/' {
            return self.replaced(scan, &name, value);
        }
        let empty_is_unset = operator == ':';
        if empty_is_unset {
            operator = scan.next().ok_or_else(missing)?;
            shown.push(operator);
        }
        let raw = matches!(operator, '#' | '%');
        if !matches!(operator, '+' | '-' | '?' | '#' | '%') || (raw && empty_is_unset) {
            return Err(format!("unsupported modifier ({shown}) in substitution"));
        }
        let word = self.part(scan, '}', raw, missing)?;
        if self.keep_unset && value.is_none() {
            return Ok(format!("${{{name}{shown}{word}}}"));
        }
        let set = value.clone().filter(|v| !(empty_is_unset && v.is_empty()));
        match operator {
            '-' => Ok(set.unwrap_or(word)),
            '+' => Ok(set.map(|_| word).unwrap_or_default()),
            '?' => set.ok_or_else(|| {
                let why =
                    if value.is_none() { "is not allowed to be unset" } else { "is not allowed to be empty" };
                format!("{name}: {}", if word.is_empty() { why } else { word.as_str() })
            }),
            side => pattern::trim(&value.unwrap_or_default(), &word, side == '%'),
        }
    }

    fn part(
        &self,
        scan: &mut Scan,
        stop: char,
        raw: bool,
        missing: impl Fn() -> String,
    ) -> std::result::Result<String, String> {
        match self.until(scan, Some(stop), raw) {
            Ok((word, _)) => Ok(word),
            Err(_) if scan.peek().is_none() => Err(missing()),
            Err(e) => Err(e),
        }
    }

    /// `${name/pattern/with}`, the name read.
    fn replaced(
        &self,
        scan: &mut Scan,
        name: &str,
        value: Option<String>,
    ) -> std::result::Result<String, String> {
        let all = scan.peek() == Some('/');
        if all {
            scan.next();
        }
        let what = self.part(scan, '/', true, || "syntax error: missing '/' in ${}".into())?;
        let with = self.part(scan, '}', true, || "syntax error: missing '}'".into())?;
        match value {
            None if self.keep_unset => Ok(format!("${{{name}/{what}/{with}}}")),
            value => pattern::replace(&value.unwrap_or_default(), &what, &with, all),
        }
    }
}

fn name(scan: &mut Scan) -> String {
    let mut name = String::new();
    while let Some(c) = scan.peek() {
        if name.is_empty() && c.is_numeric() {
            while let Some(digit) = scan.peek().filter(|c| c.is_numeric()) {
                name.push(digit);
                scan.next();
            }
            return name;
        }
        if name.is_empty() && "@*#?-$!0".contains(c) {
            scan.next();
            return c.to_string();
        }
        if !c.is_alphanumeric() && c != '_' {
            break;
        }
        name.push(c);
        scan.next();
    }
    name
}

/// `<`, or `<<` with the white space before the word that ends a here-document.
fn heredoc(scan: &mut Scan) -> String {
    scan.next();
    if scan.peek() != Some('<') {
        return "<".into();
    }
    scan.next();
    let mut out = "<<".to_owned();
    while let Some(c) = scan.peek().filter(|c| matches!(c, ' ' | '\t' | '\r')) {
        out.push(c);
        scan.next();
    }
    out
}

/// Splits at white space outside of quotes; quotes and escapes stay. An escape at the end is left out.
pub(crate) fn split_words(text: &str, escape: char) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut quote) = (Vec::new(), String::new(), false, None);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match quote {
            None if c.is_whitespace() => {
                if quoted || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                quoted = false;
                continue;
            }
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                quoted = true;
            }
            Some(q) if c == q => quote = None,
            _ => {}
        }
        if c == escape && quote != Some('\'') {
            let Some(next) = chars.next() else { break };
            word.push(c);
            word.push(next);
            continue;
        }
        word.push(c);
    }
    if quoted || !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(n: &str) -> Option<String> {
        match n {
            "a" => Some("1".into()),
            "e" => Some(String::new()),
            "p" => Some("foo.tar.gz".into()),
            "two" => Some("80 443".into()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_replaced() {
        for (text, want) in [
            ("$a/${a}", "1/1"),
            ("${x:-y}", "y"),
            ("${e:-y}${e-y}", "y"),
            ("${a:+y}${x:+z}", "y"),
            ("${x:-${a}b}", "1b"),
            ("\\$a '$a' \"$a\"", "$a $a 1"),
            ("$ab$", "$"),
            ("\"a\\b\" a\\b", "a\\b ab"),
            ("${p%.*}|${p%%.*}|${p#*.}|${p##*.}", "foo.tar|foo|tar.gz|gz"),
            ("${p/o/0}|${p//o/0}", "f0o.tar.gz|f00.tar.gz"),
        ] {
            assert_eq!(expand(text, '\\', &vars).unwrap(), want, "{text}");
        }
    }

    #[test]
    fn faults_are_the_references() {
        for (text, want) in [
            ("${a", "failed to process \"${a\": syntax error: missing '}'"),
            ("${x:?no}", "failed to process \"${x:?no}\": x: no"),
            ("${x?}", "failed to process \"${x?}\": x: is not allowed to be unset"),
            ("${a:=b}", "failed to process \"${a:=b}\": unsupported modifier (:=) in substitution"),
            ("${}", "failed to process \"${}\": syntax error: bad substitution"),
            (
                "'a",
                "failed to process \"'a\": unexpected end of statement while looking for matching single-quote",
            ),
        ] {
            assert_eq!(expand(text, '\\', &vars).unwrap_err().message(), want);
        }
    }

    #[test]
    fn words_are_split_after_variables() {
        let words = |t: &str| Lex::new('\\', &vars).words(t).unwrap();
        assert_eq!(words("$two \"$two\" 1\\ 2"), ["80", "443", "80 443", "1 2"]);
        assert_eq!(split_words(r#"a="b c" d=e\ f '' x\"#, '\\'), [r#"a="b c""#, r"d=e\ f", "''", "x"]);
    }
}
