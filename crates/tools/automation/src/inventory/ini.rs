//! Ini inventories: `[group]`, `[group:children]`, `[group:vars]`, hosts with `key=value`.

use std::sync::Arc;

use indexmap::IndexMap;
use pileus_jinja::{Origin, Str, Value};

use super::{address, data::Data, literal, words};
use crate::Error;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Hosts,
    Children,
    Vars,
}

/// A group spoken of before it is there.
struct Pending {
    section: Section,
    parents: Vec<usize>,
}

/// Reads `text` of `file` into `data`.
///
/// # Errors
/// Where a line is wrong, or a group is used and not there.
pub fn parse(data: &mut Data, text: &str, file: &Arc<str>) -> Result<(), Error> {
    Reader { data, file, line: 0, pending: IndexMap::new() }.all(text).map_err(|e| {
        // the reference names the file, not the line
        let origin = Origin { file: file.clone(), line: 0, column: 0, sealed: None };
        Error::parser("Failed to parse inventory.").because(e).at(Some(Arc::new(origin)))
    })
}

struct Reader<'a> {
    data: &'a mut Data,
    file: &'a Arc<str>,
    line: u32,
    pending: IndexMap<String, Pending>,
}

impl Reader<'_> {
    fn all(&mut self, text: &str) -> Result<(), Error> {
        let mut group = 1;
        let mut section = Section::Hosts;
        for raw in text.lines() {
            self.line += 1;
            let line = raw.trim();
            if line.is_empty() || line.starts_with([';', '#']) {
                continue;
            }
            if line.starts_with('[')
                && let Some((name, kind)) = header(line)
            {
                section = match kind {
                    None | Some("hosts") => Section::Hosts,
                    Some("children") => Section::Children,
                    Some("vars") => Section::Vars,
                    Some(other) => {
                        return Err(Error::new(format!(
                            "Section [{name}:{other}] has unknown type: {other}"
                        )));
                    }
                };
                group = self.section(name, section)?;
                continue;
            }
            if line.starts_with('[') && line.ends_with(']') {
                return Err(Error::new(format!(
                    "Invalid section entry: '{line}'. Please make sure that there are no spaces in the section \
                     entry, and that there are no other invalid characters"
                )));
            }
            match section {
                Section::Hosts => self.host(line, group)?,
                Section::Vars => self.variable(line, group)?,
                Section::Children => self.child(line, group)?,
            }
        }
        match self.pending.first() {
            None => Ok(()),
            Some((name, p)) if p.section == Section::Vars => {
                Err(Error::new(format!("Section [{name}:vars] not valid for undefined group '{name}'.")))
            }
            Some((name, p)) => {
                let parent = p.parents.last().map_or("", |g| &*self.data.groups[*g].name);
                Err(Error::new(format!("Section [{parent}:children] includes undefined group '{name}'.")))
            }
        }
    }

    fn origin(&self) -> Arc<Origin> {
        Arc::new(Origin { file: self.file.clone(), line: self.line, column: 0, sealed: None })
    }

    fn section(&mut self, name: &str, section: Section) -> Result<usize, Error> {
        let safe = super::names::safe_group(name);
        if self.data.group(&safe).is_none() && section == Section::Vars && !self.pending.contains_key(&safe) {
            self.pending.insert(safe.clone(), Pending { section, parents: Vec::new() });
        }
        let group = self.data.add_group(&safe)?;
        if section != Section::Vars {
            self.declared(&safe, group)?;
        }
        Ok(group)
    }

    /// A group that was waited for is there.
    fn declared(&mut self, name: &str, group: usize) -> Result<(), Error> {
        let Some(pending) = self.pending.shift_remove(name) else { return Ok(()) };
        for parent in pending.parents {
            self.data.add_child_group(parent, group)?;
            let parent_name = self.data.groups[parent].name.to_string();
            if self.pending.get(&parent_name).is_some_and(|p| p.section == Section::Children) {
                self.declared(&parent_name, parent)?;
            }
        }
        Ok(())
    }

    fn child(&mut self, line: &str, group: usize) -> Result<(), Error> {
        let (name, rest) = line.find(|c: char| c.is_whitespace()).map_or((line, ""), |i| line.split_at(i));
        let rest = rest.trim_start();
        let valid = name.chars().all(|c| !matches!(c, ':' | '[' | ']' | '#'));
        if !valid || !(rest.is_empty() || rest.starts_with('#')) {
            return Err(Error::new(format!("Expected group name, got: {line}")));
        }
        match self.data.group(name) {
            Some(child) => {
                self.data.add_child_group(group, child)?;
            }
            None => {
                self.pending
                    .entry(name.to_owned())
                    .or_insert_with(|| Pending { section: Section::Children, parents: Vec::new() })
                    .parents
                    .push(group);
            }
        }
        Ok(())
    }

    fn variable(&mut self, line: &str, group: usize) -> Result<(), Error> {
        let Some((key, value)) = line.split_once('=') else {
            return Err(Error::new(format!("Expected key=value, got: {line}")));
        };
        let origin = self.origin();
        let key = Value::Str(Str::new(key.trim()).at(Some(origin.clone())));
        self.data.set_group_var(group, &key, literal::value(value.trim(), &origin))
    }

    fn host(&mut self, line: &str, group: usize) -> Result<(), Error> {
        let tokens = words::split(line)
            .map_err(|why| Error::new(format!("Error parsing host definition '{line}': {why}")))?;
        let Some((pattern, rest)) = tokens.split_first() else { return Ok(()) };
        let (hosts, port) = address::expand(pattern)?;
        if pattern.trim().ends_with(':') && port.is_none() {
            return Err(Error::parser(format!(
                "Invalid host pattern '{pattern}' supplied, ending in ':' is not allowed, this character is \
                 reserved to provide a port."
            )));
        }
        if hosts.iter().any(|h| h.trim() == "---") {
            return Err(Error::parser(format!(
                "Invalid host pattern '{pattern}' supplied, '---' is normally a sign this is a YAML file."
            )));
        }
        let mut vars = Vec::with_capacity(rest.len());
        if !rest.is_empty() {
            let origin = self.origin();
            for token in rest {
                let Some((key, value)) = token.split_once('=') else {
                    return Err(Error::new(format!(
                        "Expected key=value host variable assignment, got: {token}"
                    )));
                };
                vars.push((
                    Value::Str(Str::new(key).at(Some(origin.clone()))),
                    literal::value(value, &origin),
                ));
            }
        }
        for name in &hosts {
            let host = self.data.add_host(name, Some(group), port)?;
            for (key, value) in &vars {
                self.data.set_host_var(host, key, value.clone());
            }
        }
        Ok(())
    }
}

/// `[name:kind]`, a comment after it allowed.
fn header(line: &str) -> Option<(&str, Option<&str>)> {
    let inner = line.strip_prefix('[')?;
    let end = inner.find(']')?;
    let tail = inner[end + 1..].trim_start();
    if !(tail.is_empty() || tail.starts_with('#')) {
        return None;
    }
    let (name, kind) = match inner[..end].split_once(':') {
        Some((name, kind)) => (name, Some(kind)),
        None => (&inner[..end], None),
    };
    let word = |s: &str| !s.is_empty() && s.chars().all(|c| c.is_alphanumeric() || c == '_');
    let named = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '[' || c == ':');
    (named && kind.is_none_or(word)).then_some((name, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Data, Error> {
        let mut data = Data::default();
        parse(&mut data, text, &"/inv".into())?;
        data.reconcile();
        Ok(data)
    }

    #[test]
    fn sections() {
        let d = read(
            "loose\n[web]\nw[1:2] port=80 # c\n[prod:children]\nweb\ndb\n[db]\nd1:2200 x='a b'\n[prod:vars]\nk = [1, 2]\n",
        )
        .unwrap();
        let prod = d.group("prod").unwrap();
        assert_eq!(d.hosts_in(prod).len(), 3);
        assert_eq!(d.groups[prod].vars.get("k").unwrap().repr(), "[1, 2]");
        let d1 = d.host("d1").unwrap();
        assert_eq!(d.hosts[d1].vars.get("ansible_port"), Some(Value::Int(2200)));
        assert_eq!(d.hosts[d1].vars.get("x").unwrap().as_str(), Some("a b"));
        assert_eq!(d.hosts[d.host("w1").unwrap()].vars.get("port"), Some(Value::Int(80)));
    }

    #[test]
    fn errors() {
        assert_eq!(
            read("[x:vars]\na=1\n").unwrap_err().brief(),
            "Failed to parse inventory: Section [x:vars] not valid for undefined group 'x'."
        );
        assert_eq!(
            read("[x:children]\ny\n").unwrap_err().brief(),
            "Failed to parse inventory: Section [x:children] includes undefined group 'y'."
        );
        assert_eq!(read("a b\n").unwrap_err().message(), "Failed to parse inventory.");
        assert!(read("a:\n").unwrap_err().brief().contains("reserved to provide a port."));
    }
}
