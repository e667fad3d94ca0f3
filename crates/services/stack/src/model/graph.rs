//! Who needs whom: a dependency graph, its order, and its cycles.

use indexmap::{IndexMap, IndexSet};

use super::{Fault, Result};

/// A graph of names. An edge goes from who requires to who is required.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    requires: IndexMap<String, IndexSet<String>>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }
    /// Adds a node.
    pub fn add(&mut self, name: &str) {
        self.requires.entry(name.to_owned()).or_default();
    }
    /// Adds both nodes and says that `requirer` needs `required`.
    pub fn edge(&mut self, requirer: &str, required: &str) {
        self.add(required);
        self.requires.entry(requirer.to_owned()).or_default().insert(required.to_owned());
    }
    /// The nodes as added.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.requires.keys().map(String::as_str)
    }
    /// What `name` needs.
    pub fn requires(&self, name: &str) -> impl Iterator<Item = &str> {
        self.requires.get(name).into_iter().flatten().map(String::as_str)
    }
    /// Who needs `name`.
    pub fn required_by<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.requires.iter().filter(move |(_, needs)| needs.contains(name)).map(|(k, _)| k.as_str())
    }

    /// The nodes, each after all it needs. `label` names a node in the error.
    ///
    /// # Errors
    /// Where they go round.
    pub fn order(&self, label: impl Fn(&str) -> String) -> Result<Vec<&str>> {
        let mut missing: IndexMap<&str, usize> =
            self.requires.iter().map(|(k, n)| (k.as_str(), n.len())).collect();
        let mut dependents: IndexMap<&str, Vec<&str>> = IndexMap::new();
        for (name, needs) in &self.requires {
            for need in needs {
                dependents.entry(need).or_default().push(name);
            }
        }
        let mut out: Vec<&str> = missing.iter().filter(|(_, n)| **n == 0).map(|(k, _)| *k).collect();
        let mut at = 0;
        while let Some(name) = out.get(at).copied() {
            at += 1;
            for dependent in dependents.get(name).into_iter().flatten() {
                if let Some(n) = missing.get_mut(dependent) {
                    *n -= 1;
                    if *n == 0 {
                        out.push(dependent);
                    }
                }
            }
        }
        if out.len() == self.requires.len() {
            return Ok(out);
        }
        let left = |name: &str| !out.contains(&name);
        let shown: Vec<String> = self
            .requires
            .iter()
            .filter(|(name, _)| left(name))
            .map(|(name, needs)| {
                let needs: Vec<_> = needs.iter().filter(|n| left(n)).map(|n| label(n)).collect();
                format!("{}: {{{}}}", label(name), needs.join(", "))
            })
            .collect();
        let message = format!("Circular Dependency Found: {{{}}}", shown.join(", "));
        Err(Fault::new("CircularDependencyException", message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_puts_needs_first_and_cycles_are_named() {
        let mut graph = Graph::new();
        graph.edge("server", "port");
        graph.edge("port", "subnet");
        graph.edge("subnet", "net");
        graph.edge("port", "net");
        graph.add("alone");
        let order = graph.order(str::to_owned).unwrap();
        let at = |n| order.iter().position(|o| *o == n).unwrap();
        assert!(at("net") < at("subnet") && at("subnet") < at("port") && at("port") < at("server"));
        assert_eq!(order.len(), 5);
        assert_eq!(graph.required_by("net").count(), 2);

        graph.edge("net", "server");
        let fault = graph.order(|n| format!("X \"{n}\"")).unwrap_err();
        assert!(fault.message.contains("X \"server\": {X \"port\"}"), "{fault}");
        assert!(!fault.message.contains("alone"));
    }
}
