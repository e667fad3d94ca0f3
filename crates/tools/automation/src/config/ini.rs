//! Ini text as Python's `configparser` reads it, with `;` as the inline comment.
//!
//! Keys are lower-cased; `=` or `:` divides; indented lines continue a value; `[DEFAULT]` lends its keys to every
//! section; what is given twice is an error.

use indexmap::IndexMap;
use pileus_jinja::value::repr_str;

/// Sections, each with its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ini {
    sections: IndexMap<String, IndexMap<String, String>>,
    defaults: IndexMap<String, String>,
}

impl Ini {
    /// Reads `text`.
    ///
    /// # Errors
    /// What `configparser` says of it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader::default();
        for (i, line) in text.split_inclusive('\n').enumerate() {
            reader.line(i + 1, line)?;
        }
        reader.finish()
    }
    /// The value of `key` (any case) in `section`, or in `[DEFAULT]`.
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        let key = key.to_lowercase();
        let keys = self.sections.get(section)?;
        keys.get(&key).or_else(|| self.defaults.get(&key)).map(String::as_str)
    }
    /// The sections' names, without `DEFAULT`.
    pub fn sections(&self) -> impl Iterator<Item = &str> {
        self.sections.keys().map(String::as_str)
    }
    /// The keys of a section, those of `[DEFAULT]` included.
    pub fn keys(&self, section: &str) -> Vec<&str> {
        let own = self.sections.get(section);
        let mut keys: Vec<&str> = own.into_iter().flat_map(IndexMap::keys).map(String::as_str).collect();
        keys.extend(
            self.defaults.keys().map(String::as_str).filter(|k| own.is_none_or(|o| !o.contains_key(*k))),
        );
        keys
    }
}

#[derive(Default)]
struct Reader {
    out: Ini,
    section: Option<String>,
    key: Option<String>,
    /// Lines of the value being read.
    value: Vec<String>,
    indent: usize,
    bad: Vec<String>,
}

impl Reader {
    fn line(&mut self, number: usize, raw: &str) -> Result<(), String> {
        let line = strip_comment(raw);
        let text = line.trim();
        if text.is_empty() {
            // an empty line belongs to the value; a comment line does not
            if raw.trim().is_empty() && self.key.is_some() {
                self.value.push(String::new());
            }
            return Ok(());
        }
        let indent = line.len() - line.trim_start().len();
        if self.section.is_some() && self.key.is_some() && indent > self.indent {
            self.value.push(text.to_owned());
            return Ok(());
        }
        self.flush();
        self.indent = indent;
        if let Some(name) = section_name(text) {
            if name != "DEFAULT" && self.out.sections.insert(name.to_owned(), IndexMap::new()).is_some() {
                return Err(format!(
                    "While reading from '<string>' [line {number:2}]: section {} already exists",
                    repr_str(name)
                ));
            }
            self.section = Some(name.to_owned());
            return Ok(());
        }
        let Some(section) = &self.section else {
            return Err(format!(
                "File contains no section headers.\nfile: '<string>', line: {number}\n{}",
                repr_str(raw)
            ));
        };
        match text.find(['=', ':']) {
            Some(at) if at > 0 => {
                let key = text[..at].trim_end().to_lowercase();
                let keys = if section == "DEFAULT" {
                    Some(&self.out.defaults)
                } else {
                    self.out.sections.get(section)
                };
                if keys.is_some_and(|k| k.contains_key(&key)) {
                    return Err(format!(
                        "While reading from '<string>' [line {number:2}]: option {} in section {} already exists",
                        repr_str(&key),
                        repr_str(section)
                    ));
                }
                self.value = vec![text[at + 1..].trim().to_owned()];
                self.store(&key, String::new());
                self.key = Some(key);
            }
            _ => self.bad.push(format!("\n\t[line {number:2}]: {}", repr_str(raw))),
        }
        Ok(())
    }

    fn store(&mut self, key: &str, value: String) {
        match self.section.as_deref() {
            Some("DEFAULT") => {
                self.out.defaults.insert(key.to_owned(), value);
            }
            Some(name) => {
                if let Some(keys) = self.out.sections.get_mut(name) {
                    keys.insert(key.to_owned(), value);
                }
            }
            None => {}
        }
    }

    fn flush(&mut self) {
        if let Some(key) = self.key.take() {
            let value = std::mem::take(&mut self.value).join("\n");
            self.store(&key, value.trim_end().to_owned());
        }
    }

    fn finish(mut self) -> Result<Ini, String> {
        self.flush();
        if self.bad.is_empty() {
            return Ok(self.out);
        }
        Err(format!("Source contains parsing errors: '<string>'{}", self.bad.concat()))
    }
}

/// `line` without its comment: `#` or `;` first on it, or `;` after a blank.
fn strip_comment(line: &str) -> &str {
    let start = line.trim_start();
    if start.starts_with(['#', ';']) {
        return "";
    }
    for (at, _) in line.match_indices(';') {
        if line[..at].ends_with(char::is_whitespace) {
            return &line[..at];
        }
    }
    line
}

fn section_name(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.rfind(']')?;
    (end > 0).then(|| &inner[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_configparser() {
        let ini = Ini::parse(
            "# c\n[DEFAULT]\nz = 9\n[a]\nKey: one ; note\n  two\n\nurl = http://x;y\n; c\n[b c]\nq=\n",
        )
        .unwrap();
        assert_eq!(ini.get("a", "KEY"), Some("one\ntwo"));
        assert_eq!(ini.get("a", "url"), Some("http://x;y"));
        assert_eq!(ini.get("b c", "q"), Some(""));
        assert_eq!(ini.get("b c", "z"), Some("9"));
        assert_eq!(ini.get("no", "z"), None);
        assert_eq!(ini.keys("b c"), ["q", "z"]);
    }

    #[test]
    fn errors_in_its_words() {
        assert_eq!(
            Ini::parse("a=1\n").unwrap_err(),
            "File contains no section headers.\nfile: '<string>', line: 1\n'a=1\\n'"
        );
        assert_eq!(
            Ini::parse("[a]\n[a]\n").unwrap_err(),
            "While reading from '<string>' [line  2]: section 'a' already exists"
        );
        assert_eq!(
            Ini::parse("[a]\nx=1\nX=2\n").unwrap_err(),
            "While reading from '<string>' [line  3]: option 'x' in section 'a' already exists"
        );
        assert_eq!(
            Ini::parse("[a]\nx\n").unwrap_err(),
            "Source contains parsing errors: '<string>'\n\t[line  2]: 'x\\n'"
        );
    }
}
