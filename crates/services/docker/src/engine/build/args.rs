//! Build arguments: what ARG has declared in a stage and before the first, what the request gives, and the
//! proxies that need no declaration.

use std::collections::{BTreeMap, BTreeSet};

/// Arguments that need no ARG, and that don't change what the cache finds unless they are declared.
pub(super) const PREDEFINED: &[&str] = &[
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

type Values = BTreeMap<String, Option<String>>;

/// The arguments, as far as the Dockerfile has come.
#[derive(Debug, Clone, Default)]
pub(super) struct BuildArgs {
    given: Values,
    /// Declared before the first FROM.
    global: Values,
    /// Declared in this stage.
    declared: Values,
    /// Declared anywhere.
    consumed: BTreeSet<String>,
}

impl BuildArgs {
    /// What the request gives.
    pub fn new(given: Values) -> Self {
        Self { given, ..Self::default() }
    }

    /// A stage begins: nothing is declared in it.
    pub fn begin_stage(&mut self) {
        self.declared.clear();
    }

    /// ARG.
    pub fn declare(&mut self, name: &str, default: Option<String>) {
        self.declared.insert(name.to_owned(), default);
        self.consumed.insert(name.to_owned());
    }

    /// ARG before the first FROM.
    pub fn declare_global(&mut self, name: &str, default: Option<String>) {
        self.declare(name, default.clone());
        self.global.insert(name.to_owned(), default);
    }

    fn value(&self, name: &str, of: &Values) -> Option<String> {
        if let Some(Some(value)) = self.given.get(name) {
            return Some(value.clone());
        }
        let default = of.get(name).cloned().flatten();
        default.or_else(|| self.global.get(name).cloned().flatten())
    }

    fn all(&self, of: &Values) -> BTreeMap<String, String> {
        let names = of.keys().map(String::as_str).chain(PREDEFINED.iter().copied());
        names.filter_map(|n| Some((n.to_owned(), self.value(n, of)?))).collect()
    }

    /// What FROM sees.
    pub fn before(&self, name: &str) -> Option<String> {
        let known = self.global.contains_key(name) || PREDEFINED.contains(&name);
        self.value(name, &self.global).filter(|_| known)
    }

    /// What an instruction of this stage sees besides `env`, in which a name counts more.
    pub fn allowed(&self, env: &[String]) -> BTreeMap<String, String> {
        let mut all = self.all(&self.declared);
        all.retain(|name, _| !env.iter().any(|e| e.split_once('=').map_or(e.as_str(), |(k, _)| k) == name));
        all
    }

    /// How RUN's command is known to the cache: with the arguments it sees in front.
    pub fn before_command(&self, allowed: &BTreeMap<String, String>, command: &[String]) -> Vec<String> {
        if allowed.is_empty() {
            return command.to_vec();
        }
        let counts = |n: &str| self.declared.contains_key(n) || !PREDEFINED.contains(&n);
        let mut shown: Vec<String> =
            allowed.iter().filter(|(n, _)| counts(n)).map(|(n, v)| format!("{n}={v}")).collect();
        shown.sort();
        std::iter::once(format!("|{}", shown.len())).chain(shown).chain(command.iter().cloned()).collect()
    }

    /// What was given and never declared.
    pub fn unused(&self) -> Vec<String> {
        let used = |n: &String| self.consumed.contains(n) || PREDEFINED.contains(&n.as_str());
        self.given.keys().filter(|n| !used(n)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_global_argument_is_the_default_of_one_declared_again() {
        let given = [("B", "given"), ("X", "lost"), ("http_proxy", "p")];
        let given = given.iter().map(|(k, v)| ((*k).to_owned(), Some((*v).to_owned()))).collect();
        let mut args = BuildArgs::new(given);
        args.declare_global("A", Some("one".into()));
        args.declare_global("B", Some("two".into()));
        assert_eq!(args.before("B").as_deref(), Some("given"));
        assert_eq!(args.before("X"), None);
        args.begin_stage();
        assert!(!args.allowed(&[]).contains_key("A"));
        args.declare("A", None);
        args.declare("E", Some("five".into()));
        let allowed = args.allowed(&["E=of the image".into()]);
        let shown: Vec<_> = allowed.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(shown, ["A=one", "http_proxy=p"]);
        // A proxy that is not declared is there, but not in the key.
        assert_eq!(args.before_command(&allowed, &["c".into()]), ["|1", "A=one", "c"]);
        assert_eq!(args.unused(), ["X"]);
    }
}
