//! Flags of an instruction: `--from=x`, as the reference reads them.

/// Takes the flags from the front of what follows an instruction; the flags and the rest.
pub(super) fn split(text: &str, escape: char) -> (Vec<String>, String) {
    let chars: Vec<char> = text.chars().collect();
    let mut flags = Vec::new();
    let mut at = 0;
    loop {
        while chars.get(at).is_some_and(|c| c.is_whitespace()) {
            at += 1;
        }
        if chars.get(at..at + 2) != Some(&['-', '-']) {
            return (flags, chars[at..].iter().collect());
        }
        let (mut word, mut quote, mut quoted) = (String::new(), None, false);
        while let Some(&c) = chars.get(at) {
            if quote.is_none() && c.is_whitespace() {
                break;
            }
            at += 1;
            match quote {
                None if c == '"' || c == '\'' => {
                    quote = Some(c);
                    quoted = true;
                }
                Some(q) if q == c => quote = None,
                _ if c == escape => {
                    if let Some(&next) = chars.get(at) {
                        word.push(next);
                        at += 1;
                    }
                }
                _ => word.push(c),
            }
        }
        if word == "--" {
            return (flags, chars[at..].iter().collect());
        }
        if quoted || !word.is_empty() {
            flags.push(word);
        }
    }
}

/// Flags by name.
#[derive(Debug, Default)]
pub(super) struct Flags(Vec<(String, String)>);

impl Flags {
    /// Reads flags that take a value (`texts`) or are switches.
    ///
    /// # Errors
    /// In the reference's words.
    pub fn read(flags: &[String], texts: &[&str], switches: &[&str]) -> Result<Self, String> {
        let mut all: Vec<(String, String)> = Vec::new();
        for flag in flags {
            let (shown, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (flag.as_str(), None),
            };
            let name = shown.trim_start_matches("--");
            let switch = switches.contains(&name);
            if !switch && !texts.contains(&name) {
                return Err(format!("unknown flag: {shown}"));
            }
            if all.iter().any(|(n, _)| n == name) && name != "exclude" {
                return Err(format!("duplicate flag specified: {shown}"));
            }
            let value = match value {
                None if switch => "true",
                None => return Err(format!("missing a value on flag: {shown}")),
                Some("") if switch => return Err(format!("missing a value on flag: {shown}")),
                Some(value) if switch && !matches!(&*value.to_lowercase(), "true" | "false") => {
                    return Err(format!("expecting boolean value for flag {shown}, not: {value}"));
                }
                Some(value) => value,
            };
            all.push((name.to_owned(), value.to_owned()));
        }
        Ok(Self(all))
    }
    /// A flag's value, unless it is empty.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.clone())
    }
    /// The first flag of those named that was given and isn't switched off.
    pub fn any(&self, names: &[&str]) -> Option<&str> {
        self.0.iter().find(|(n, v)| names.contains(&n.as_str()) && v != "false").map(|(n, _)| n.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_end_where_words_begin() {
        assert_eq!(
            split("--a=b --c=\"d e\" x --y", '\\'),
            (vec!["--a=b".into(), "--c=d e".into()], "x --y".into())
        );
        assert_eq!(split("--a=b -- --c", '\\'), (vec!["--a=b".into()], " --c".into()));
        assert_eq!(split("- x", '\\'), (vec![], "- x".into()));
    }

    #[test]
    fn faults_are_the_references() {
        let of = |flags: &[&str]| {
            let flags: Vec<String> = flags.iter().map(|f| (*f).to_owned()).collect();
            Flags::read(&flags, &["from"], &["link"]).map(drop)
        };
        assert_eq!(of(&["--x=1"]), Err("unknown flag: --x".into()));
        assert_eq!(of(&["--from"]), Err("missing a value on flag: --from".into()));
        assert_eq!(of(&["--from=a", "--from=b"]), Err("duplicate flag specified: --from".into()));
        assert_eq!(of(&["--link=maybe"]), Err("expecting boolean value for flag --link, not: maybe".into()));
        assert_eq!(of(&["--link"]), Ok(()));
    }
}
