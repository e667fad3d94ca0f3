//! Options and arguments of the commands, as Python's `argparse` takes them: `--opt=x`, `-ox`, `-vvv`, unique
//! beginnings of long options, options after arguments, groups of which one may be given.

use std::collections::HashMap;
use std::ffi::OsString;

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: it is on.
    Flag,
    /// Nothing: how often it is given counts.
    Count,
    /// A value; the last one counts.
    Value,
    /// A whole number; the last one counts.
    Int,
    /// A value; all of them count.
    Append,
}

/// An option.
#[derive(Debug, Clone)]
pub struct Flag {
    /// Its names, as `-i`, `--inventory`.
    pub names: &'static [&'static str],
    /// The name its value is asked by.
    pub dest: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// What it is for.
    pub help: &'static str,
    /// The only values allowed; empty is any.
    pub choices: Vec<&'static str>,
    /// Options of one number exclude each other; 0 is none.
    pub exclusive: u8,
    /// The heading it is listed under; empty is `options`.
    pub group: &'static str,
}

/// An option of `names`.
pub fn flag(names: &'static [&'static str], dest: &'static str, takes: Takes, help: &'static str) -> Flag {
    Flag { names, dest, takes, help, choices: Vec::new(), exclusive: 0, group: "" }
}

impl Flag {
    /// The same, with `choices` only.
    #[must_use]
    pub fn choices(mut self, choices: &[&'static str]) -> Self {
        self.choices = choices.to_vec();
        self
    }
    /// The same, excluding others of the number.
    #[must_use]
    pub fn exclusive(mut self, number: u8) -> Self {
        self.exclusive = number;
        self
    }
    /// The same, under a heading.
    #[must_use]
    pub fn group(mut self, title: &'static str) -> Self {
        self.group = title;
        self
    }
}

/// How many arguments a command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// None.
    None,
    /// At most one.
    Optional,
    /// Exactly one.
    One,
    /// Any number.
    Any,
    /// At least one.
    Some,
}

/// The grammar of a command.
#[derive(Debug, Clone)]
pub struct Grammar {
    /// The program, with its action: `ansible-vault view`.
    pub program: String,
    /// What it is for.
    pub about: &'static str,
    /// Its options.
    pub flags: Vec<Flag>,
    /// How its arguments are called.
    pub metavar: &'static str,
    /// What its arguments are.
    pub args_help: &'static str,
    /// How many it takes.
    pub count: Count,
    /// Headings of groups, and what stands below them.
    pub groups: Vec<(&'static str, &'static str)>,
    /// Actions (`view`, `edit`) and what they do: the first argument is one of them.
    pub actions: Vec<(&'static str, &'static str)>,
    /// What stands below all.
    pub epilog: &'static str,
}

/// What was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    values: HashMap<&'static str, Vec<String>>,
    counts: HashMap<&'static str, u32>,
    /// Arguments.
    pub args: Vec<String>,
}

impl Given {
    /// Whether a flag was given.
    pub fn on(&self, dest: &str) -> bool {
        self.counts.contains_key(dest)
    }
    /// How often a counting option was given.
    pub fn count(&self, dest: &str) -> u32 {
        self.counts.get(dest).copied().unwrap_or(0)
    }
    /// The last value of an option.
    pub fn value(&self, dest: &str) -> Option<&str> {
        self.values.get(dest).and_then(|v| v.last()).map(String::as_str)
    }
    /// All values of an option.
    pub fn values(&self, dest: &str) -> &[String] {
        self.values.get(dest).map_or(&[], Vec::as_slice)
    }
    /// The number of an option.
    pub fn int(&self, dest: &str) -> Option<i64> {
        self.value(dest).and_then(|v| v.parse().ok())
    }
}

/// Why reading the arguments ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// `--help` was given.
    Help,
    /// `--version` was given.
    Version,
    /// They are wrong.
    Wrong(String),
}

impl Grammar {
    /// A grammar of no options but `-h`.
    pub fn new(program: impl Into<String>, about: &'static str) -> Self {
        Self {
            program: program.into(),
            about,
            flags: Vec::new(),
            metavar: "args",
            args_help: "",
            count: Count::None,
            groups: Vec::new(),
            actions: Vec::new(),
            epilog: "",
        }
    }
    /// The same, with arguments.
    #[must_use]
    pub fn arguments(mut self, count: Count, metavar: &'static str, help: &'static str) -> Self {
        self.count = count;
        self.metavar = metavar;
        self.args_help = help;
        self
    }
    /// The same, with more options.
    #[must_use]
    pub fn with(mut self, flags: impl IntoIterator<Item = Flag>) -> Self {
        self.flags.extend(flags);
        self
    }

    /// Reads `args`.
    ///
    /// # Errors
    /// Where help or the version is asked for, or they are wrong.
    pub fn parse(&self, args: &[OsString]) -> Result<Given, Stop> {
        let mut given = Given::default();
        let mut used: HashMap<u8, &'static str> = HashMap::new();
        let mut unknown = Vec::new();
        let mut args = args.iter().map(|a| a.to_string_lossy().into_owned());
        let mut plain = false;
        while let Some(arg) = args.next() {
            if plain || arg == "-" || !arg.starts_with('-') || is_number(&arg) {
                given.args.push(arg);
                continue;
            }
            if arg == "--" {
                plain = true;
                continue;
            }
            if arg.starts_with("--") {
                let (name, value) = match arg.split_once('=') {
                    Some((n, v)) => (n, Some(v.to_owned())),
                    None => (arg.as_str(), None),
                };
                match self.long(name)? {
                    Some(f) => self.take(f, name, value, &mut args, &mut given, &mut used)?,
                    None => unknown.push(arg.clone()),
                }
                continue;
            }
            let mut rest = &arg[1..];
            while let Some(c) = rest.chars().next() {
                let name = format!("-{c}");
                rest = &rest[c.len_utf8()..];
                if name == "-h" {
                    return Err(Stop::Help);
                }
                let Some(f) = self.flags.iter().find(|f| f.names.contains(&name.as_str())) else {
                    unknown.push(arg.clone());
                    break;
                };
                if matches!(f.takes, Takes::Flag | Takes::Count) {
                    self.take(f, &name, None, &mut args, &mut given, &mut used)?;
                } else {
                    let value = (!rest.is_empty()).then(|| rest.strip_prefix('=').unwrap_or(rest).to_owned());
                    self.take(f, &name, value, &mut args, &mut given, &mut used)?;
                    break;
                }
            }
        }
        self.check_arguments(&mut given, &mut unknown)?;
        if unknown.is_empty() {
            return Ok(given);
        }
        Err(Stop::Wrong(format!("unrecognized arguments: {}", unknown.join(" "))))
    }

    fn check_arguments(&self, given: &mut Given, unknown: &mut Vec<String>) -> Result<(), Stop> {
        let missing = || Stop::Wrong(format!("the following arguments are required: {}", self.metavar));
        let most = match self.count {
            Count::None => 0,
            Count::Optional | Count::One => 1,
            Count::Any | Count::Some => usize::MAX,
        };
        if matches!(self.count, Count::One | Count::Some) && given.args.is_empty() {
            return Err(missing());
        }
        if given.args.len() > most {
            unknown.extend(given.args.drain(most..));
        }
        Ok(())
    }

    fn long(&self, name: &str) -> Result<Option<&Flag>, Stop> {
        if name == "--help" {
            return Err(Stop::Help);
        }
        if let Some(f) = self.flags.iter().find(|f| f.names.contains(&name)) {
            return Ok(Some(f));
        }
        let mut found: Vec<(&'static str, Option<&Flag>)> = Vec::new();
        for f in &self.flags {
            found.extend(f.names.iter().filter(|n| n.starts_with(name)).map(|n| (*n, Some(f))));
        }
        if "--help".starts_with(name) {
            found.push(("--help", None));
        }
        let same = found.iter().all(|(_, f)| f.map(|f| f.dest) == found[0].1.map(|f| f.dest));
        match found.as_slice() {
            [] => Ok(None),
            [(_, None)] => Err(Stop::Help),
            [(_, Some(f)), rest @ ..] if rest.is_empty() || same => Ok(Some(f)),
            many => {
                let names: Vec<&str> = many.iter().map(|(n, _)| *n).collect();
                Err(Stop::Wrong(format!("ambiguous option: {name} could match {}", names.join(", "))))
            }
        }
    }

    fn take(
        &self,
        f: &Flag,
        _name: &str,
        value: Option<String>,
        more: &mut impl Iterator<Item = String>,
        given: &mut Given,
        used: &mut HashMap<u8, &'static str>,
    ) -> Result<(), Stop> {
        let wrong = |why: String| Stop::Wrong(format!("argument {}: {why}", f.names.join("/")));
        if f.dest == "version" {
            return Err(Stop::Version);
        }
        if f.exclusive != 0 {
            match used.insert(f.exclusive, f.dest) {
                Some(other) if other != f.dest => {
                    let names = self.flags.iter().find(|g| g.dest == other).map(|g| g.names.join("/"));
                    return Err(wrong(format!("not allowed with argument {}", names.unwrap_or_default())));
                }
                _ => {}
            }
        }
        if matches!(f.takes, Takes::Flag | Takes::Count) {
            if let Some(v) = value {
                return Err(wrong(format!("ignored explicit argument '{v}'")));
            }
            *given.counts.entry(f.dest).or_default() += 1;
            return Ok(());
        }
        let value = match value {
            Some(v) => v,
            None => match more.next() {
                Some(v) if v == "-" || !v.starts_with('-') || is_number(&v) || v.contains(' ') => v,
                _ => return Err(wrong("expected one argument".into())),
            },
        };
        if f.takes == Takes::Int && value.trim().parse::<i64>().is_err() {
            return Err(wrong(format!("invalid int value: {}", pileus_jinja::value::repr_str(&value))));
        }
        if !f.choices.is_empty() && !f.choices.contains(&value.as_str()) {
            let list: Vec<String> = f.choices.iter().map(|c| format!("'{c}'")).collect();
            return Err(wrong(format!("invalid choice: '{value}' (choose from {})", list.join(", "))));
        }
        *given.counts.entry(f.dest).or_default() += 1;
        let all = given.values.entry(f.dest).or_default();
        if f.takes != Takes::Append {
            all.clear();
        }
        all.push(value);
        Ok(())
    }
}

fn is_number(s: &str) -> bool {
    s.starts_with('-') && s.len() > 1 && s[1..].parse::<f64>().is_ok() && s.as_bytes()[1].is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grammar() -> Grammar {
        Grammar::new("prog", "").arguments(Count::Any, "args", "").with([
            flag(&["-v", "--verbose"], "verbosity", Takes::Count, ""),
            flag(&["-i", "--inventory"], "inventory", Takes::Append, ""),
            flag(&["--list"], "list", Takes::Flag, "").exclusive(1),
            flag(&["--host"], "host", Takes::Value, "").exclusive(1),
            flag(&["-f", "--forks"], "forks", Takes::Int, ""),
        ])
    }

    fn read(line: &str) -> Result<Given, Stop> {
        let args: Vec<OsString> = line.split(' ').filter(|w| !w.is_empty()).map(OsString::from).collect();
        grammar().parse(&args)
    }

    #[test]
    fn forms() {
        let g = read("a -vvv -ix --inventory=y --inv z b -vi w -f 5 -- -q").unwrap();
        assert_eq!(g.count("verbosity"), 4);
        assert_eq!(g.values("inventory"), ["x", "y", "z", "w"]);
        assert_eq!(g.args, ["a", "b", "-q"]);
        assert_eq!(g.int("forks"), Some(5));
    }

    #[test]
    fn errors() {
        let wrong = |s: &str| match read(s) {
            Err(Stop::Wrong(w)) => w,
            other => panic!("{other:?}"),
        };
        assert_eq!(wrong("--bogus"), "unrecognized arguments: --bogus");
        assert_eq!(wrong("--list --host x"), "argument --host: not allowed with argument --list");
        assert_eq!(wrong("-f x"), "argument -f/--forks: invalid int value: 'x'");
        assert_eq!(wrong("-i"), "argument -i/--inventory: expected one argument");
        assert_eq!(read("--he"), Err(Stop::Help));
    }
}
