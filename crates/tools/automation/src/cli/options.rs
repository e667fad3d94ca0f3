//! Command lines as Python's argparse reads them: long options by any unambiguous beginning, values joined or apart.

use std::ffi::OsString;

/// An option that a program knows.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// Its short names, as `v`.
    pub short: &'static str,
    /// Its long names, without the dashes; the first names it.
    pub long: &'static [&'static str],
    /// Whether it takes a value.
    pub value: bool,
}

/// What was given.
#[derive(Debug, Default)]
pub struct Given {
    /// Options, by the first long name, with values.
    pub options: Vec<(&'static str, String)>,
    /// What is no option.
    pub rest: Vec<String>,
}

impl Given {
    /// How often an option was given.
    pub fn count(&self, name: &str) -> usize {
        self.options.iter().filter(|(n, _)| *n == name).count()
    }
    /// Whether it was given.
    pub fn has(&self, name: &str) -> bool {
        self.count(name) > 0
    }
    /// Its last value.
    pub fn last(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(n, _)| *n == name).map(|(_, v)| v.as_str())
    }
    /// All its values.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.options.iter().filter(|(n, _)| *n == name).map(|(_, v)| v.clone()).collect()
    }
}

/// Reads `args` by `known`.
///
/// # Errors
/// argparse's message.
pub fn parse(args: &[OsString], known: &[Opt]) -> Result<Given, String> {
    let mut out = Given::default();
    let mut it = args.iter().map(|a| a.to_string_lossy().into_owned());
    let mut only_rest = false;
    while let Some(a) = it.next() {
        if only_rest || a == "-" || !a.starts_with('-') {
            out.rest.push(a);
            continue;
        }
        if a == "--" {
            only_rest = true;
            continue;
        }
        if let Some(long) = a.strip_prefix("--") {
            let (name, joined) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v.to_owned())));
            let exact: Vec<&Opt> = known.iter().filter(|o| o.long.contains(&name)).collect();
            let hits: Vec<&Opt> = if exact.is_empty() {
                known.iter().filter(|o| o.long.iter().any(|l| l.starts_with(name))).collect()
            } else {
                exact
            };
            let opt = match hits.as_slice() {
                [one] => *one,
                [] => return Err(format!("unrecognized arguments: {a}")),
                many => {
                    let names: Vec<String> = many
                        .iter()
                        .flat_map(|o| o.long.iter())
                        .filter(|l| l.starts_with(name))
                        .map(|l| format!("--{l}"))
                        .collect();
                    return Err(format!("ambiguous option: --{name} could match {}", names.join(", ")));
                }
            };
            let shown = || names(opt);
            let value = match (opt.value, joined) {
                (true, Some(v)) => v,
                (true, None) => {
                    it.next().ok_or_else(|| format!("argument {}: expected one argument", shown()))?
                }
                (false, Some(v)) => {
                    return Err(format!("argument {}: ignored explicit argument '{v}'", shown()));
                }
                (false, None) => String::new(),
            };
            out.options.push((opt.long[0], value));
            continue;
        }
        for (i, c) in a[1..].char_indices() {
            let Some(opt) = known.iter().find(|o| o.short.contains(c)) else {
                return Err(format!("unrecognized arguments: {a}"));
            };
            if opt.value {
                let joined = &a[1 + i + c.len_utf8()..];
                let value = if joined.is_empty() {
                    it.next().ok_or_else(|| format!("argument {}: expected one argument", names(opt)))?
                } else {
                    joined.strip_prefix('=').unwrap_or(joined).to_owned()
                };
                out.options.push((opt.long[0], value));
                break;
            }
            out.options.push((opt.long[0], String::new()));
        }
    }
    Ok(out)
}

fn names(opt: &Opt) -> String {
    let short = opt.short.chars().map(|c| format!("-{c}"));
    short.chain(opt.long.iter().map(|l| format!("--{l}"))).collect::<Vec<_>>().join("/")
}

/// The options that programs which run tasks share.
pub const RUNNING: [Opt; 36] = [
    Opt { short: "v", long: &["verbose"], value: false },
    Opt { short: "h", long: &["help"], value: false },
    Opt { short: "", long: &["version"], value: false },
    Opt { short: "i", long: &["inventory", "inventory-file"], value: true },
    Opt { short: "l", long: &["limit"], value: true },
    Opt { short: "", long: &["list-hosts"], value: false },
    Opt { short: "", long: &["flush-cache"], value: false },
    Opt { short: "e", long: &["extra-vars"], value: true },
    Opt { short: "f", long: &["forks"], value: true },
    Opt { short: "M", long: &["module-path"], value: true },
    Opt { short: "", long: &["syntax-check"], value: false },
    Opt { short: "C", long: &["check"], value: false },
    Opt { short: "D", long: &["diff"], value: false },
    Opt { short: "t", long: &["tags"], value: true },
    Opt { short: "", long: &["skip-tags"], value: true },
    Opt { short: "", long: &["list-tasks"], value: false },
    Opt { short: "", long: &["list-tags"], value: false },
    Opt { short: "", long: &["step"], value: false },
    Opt { short: "", long: &["start-at-task"], value: true },
    Opt { short: "", long: &["force-handlers"], value: false },
    Opt { short: "J", long: &["ask-vault-password", "ask-vault-pass"], value: false },
    Opt { short: "", long: &["vault-id"], value: true },
    Opt { short: "", long: &["vault-password-file", "vault-pass-file"], value: true },
    Opt { short: "b", long: &["become"], value: false },
    Opt { short: "", long: &["become-method"], value: true },
    Opt { short: "", long: &["become-user"], value: true },
    Opt { short: "K", long: &["ask-become-pass"], value: false },
    Opt { short: "", long: &["become-password-file", "become-pass-file"], value: true },
    Opt { short: "k", long: &["ask-pass"], value: false },
    Opt { short: "", long: &["connection-password-file", "conn-pass-file"], value: true },
    Opt { short: "u", long: &["user"], value: true },
    Opt { short: "c", long: &["connection"], value: true },
    Opt { short: "T", long: &["timeout"], value: true },
    Opt { short: "", long: &["private-key", "key-file"], value: true },
    Opt { short: "", long: &["ssh-common-args"], value: true },
    Opt { short: "", long: &["ssh-extra-args"], value: true },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn given(args: &[&str]) -> Result<Given, String> {
        parse(&args.iter().map(OsString::from).collect::<Vec<_>>(), &RUNNING)
    }

    #[test]
    fn as_argparse() {
        let g = given(&["-vvi", "hosts", "site.yml", "--extra-vars=a=b", "--syn", "-e", "c=d"]).unwrap();
        assert_eq!(
            (g.count("verbose"), g.last("inventory"), g.rest.as_slice()),
            (2, Some("hosts"), &["site.yml".to_owned()][..])
        );
        assert_eq!(g.all("extra-vars"), ["a=b", "c=d"]);
        assert!(g.has("syntax-check"));
        assert!(given(&["--list"]).unwrap_err().starts_with("ambiguous option: --list could match"));
        assert_eq!(
            given(&["-i"]).unwrap_err(),
            "argument -i/--inventory/--inventory-file: expected one argument"
        );
    }
}
