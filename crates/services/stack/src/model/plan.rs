//! What an action does, as a graph of steps: made by a pure function, run by jobs.
//!
//! ```text
//! create   each after what it requires
//! delete   each after what requires it
//! update   forward: create, keep, update or replace, each after what it requires
//!          back:    remove what is left over, each after everybody stopped using it
//! ```

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{Graph, Result, schema::Change};

/// What happens to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Make it.
    Create,
    /// Look whether values that it takes from others changed, and leave it otherwise.
    Keep,
    /// Change it in place.
    Update,
    /// Make another; the old one goes in a later [`Action::Delete`].
    Replace,
    /// Remove it.
    Delete,
}

/// A step: one resource, one action, after others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The resource.
    pub resource: String,
    /// What happens to it.
    pub action: Action,
    /// Indexes of the steps that must be done before.
    pub after: Vec<usize>,
}

/// Steps in an order that can be run one by one; independent ones can run side by side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Plan {
    /// The step of `resource` that does `action`.
    pub fn find(&self, resource: &str, action: Action) -> Option<usize> {
        self.steps.iter().position(|s| s.resource == resource && s.action == action)
    }
}

/// Makes all of `graph`.
///
/// # Errors
/// Where it goes round.
pub fn create(graph: &Graph) -> Result<Plan> {
    forward(graph, |_| Action::Create)
}

/// Removes all of `graph`.
///
/// # Errors
/// Where it goes round.
pub fn delete(graph: &Graph) -> Result<Plan> {
    let order = graph.order(str::to_owned)?;
    let mut at = HashMap::new();
    let mut plan = Plan::default();
    for name in order.into_iter().rev() {
        let after = graph.required_by(name).filter_map(|r| at.get(r).copied()).collect();
        at.insert(name.to_owned(), plan.steps.len());
        plan.steps.push(Step { resource: name.to_owned(), action: Action::Delete, after });
    }
    Ok(plan)
}

/// Goes from the resources of `old` to those of `new`. `decide` says what a resource that is in both asks
/// for; whoever takes something from a replaced one is looked at again by its own step.
///
/// # Errors
/// Where one of them goes round, or `decide` refuses.
pub fn update(old: &Graph, new: &Graph, decide: &mut dyn FnMut(&str) -> Result<Change>) -> Result<Plan> {
    let had: HashSet<&str> = old.names().collect();
    let mut actions = HashMap::new();
    for name in new.names() {
        let action = if had.contains(name) {
            match decide(name)? {
                Change::None => Action::Keep,
                Change::Update => Action::Update,
                Change::Replace => Action::Replace,
            }
        } else {
            Action::Create
        };
        actions.insert(name, action);
    }
    let mut plan = forward(new, |name| actions[name])?;
    let ahead: HashMap<String, usize> =
        plan.steps.iter().enumerate().map(|(i, s)| (s.resource.clone(), i)).collect();
    let mut gone: HashMap<String, usize> = HashMap::new();
    for name in old.order(str::to_owned)?.into_iter().rev() {
        let leaves = !matches!(actions.get(name), Some(Action::Keep | Action::Update | Action::Create));
        if !leaves {
            continue;
        }
        let mut after: Vec<usize> = Vec::new();
        // Its successor, then whoever used it: their new selves are settled and their old selves gone.
        after.extend(ahead.get(name));
        for user in old.required_by(name).chain(new.required_by(name)) {
            after.extend(ahead.get(user));
            after.extend(gone.get(user));
        }
        after.sort_unstable();
        after.dedup();
        gone.insert(name.to_owned(), plan.steps.len());
        plan.steps.push(Step { resource: name.to_owned(), action: Action::Delete, after });
    }
    Ok(plan)
}

fn forward(graph: &Graph, action: impl Fn(&str) -> Action) -> Result<Plan> {
    let mut at = HashMap::new();
    let mut plan = Plan::default();
    for name in graph.order(str::to_owned)? {
        let after = graph.requires(name).filter_map(|r| at.get(r).copied()).collect();
        at.insert(name.to_owned(), plan.steps.len());
        plan.steps.push(Step { resource: name.to_owned(), action: action(name), after });
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(names: &[&str]) -> Graph {
        let mut graph = Graph::new();
        graph.add(names[0]);
        names.windows(2).for_each(|w| graph.edge(w[1], w[0]));
        graph
    }

    fn check(plan: &Plan) {
        for (i, step) in plan.steps.iter().enumerate() {
            assert!(step.after.iter().all(|a| *a < i), "{plan:?}");
        }
    }

    #[test]
    fn create_and_delete_mirror_each_other() {
        let graph = chain(&["net", "subnet", "port", "server"]);
        let made = create(&graph).unwrap();
        assert_eq!(
            made.steps.iter().map(|s| s.resource.as_str()).collect::<Vec<_>>(),
            ["net", "subnet", "port", "server"]
        );
        assert_eq!(made.steps[3].after, [2]);
        let gone = delete(&graph).unwrap();
        assert_eq!(gone.steps[0].resource, "server");
        assert_eq!(gone.steps[3], Step { resource: "net".into(), action: Action::Delete, after: vec![2] });
        check(&made);
        check(&gone);
    }

    #[test]
    fn update_replaces_before_it_removes() {
        let old = chain(&["net", "port", "server"]);
        let mut new = chain(&["net", "port", "server"]);
        new.edge("extra", "server");
        let mut decide = |name: &str| {
            Ok(match name {
                "port" => Change::Replace,
                "server" => Change::Update,
                _ => Change::None,
            })
        };
        let plan = update(&old, &new, &mut decide).unwrap();
        check(&plan);
        let (remove, server) =
            (plan.find("port", Action::Delete).unwrap(), plan.find("server", Action::Update).unwrap());
        assert!(plan.steps[remove].after.contains(&server));
        assert!(plan.steps[remove].after.contains(&plan.find("port", Action::Replace).unwrap()));
        assert_eq!(plan.find("net", Action::Delete), None);
        assert!(plan.find("extra", Action::Create).is_some());
    }

    #[test]
    fn update_removes_what_is_gone_in_reverse() {
        let plan = update(&chain(&["a", "b", "c"]), &Graph::new(), &mut |_| Ok(Change::None)).unwrap();
        assert_eq!(plan.steps.iter().map(|s| s.resource.as_str()).collect::<Vec<_>>(), ["c", "b", "a"]);
        check(&plan);
    }
}
