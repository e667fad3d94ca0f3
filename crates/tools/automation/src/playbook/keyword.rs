//! The keywords of plays, roles, blocks, tasks and handlers: where each may stand, what it holds, who inherits it.

use pileus_jinja::Value;

/// Who may bear a keyword.
pub mod on {
    /// Plays.
    pub const PLAY: u8 = 1;
    /// Roles.
    pub const ROLE: u8 = 2;
    /// Blocks.
    pub const BLOCK: u8 = 4;
    /// Tasks.
    pub const TASK: u8 = 8;
    /// Handlers, beside what tasks may.
    pub const HANDLER: u8 = 16;
    /// Roles, blocks and tasks.
    pub const INNER: u8 = ROLE | BLOCK | TASK;
    /// All.
    pub const ALL: u8 = PLAY | INNER;
}

/// What a keyword holds once it is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A truth value.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// A number or a share in percent.
    Percent,
    /// Text.
    Str,
    /// A list.
    List,
    /// A mapping.
    Dict,
    /// Anything.
    Any,
}

/// How an inner element takes a keyword from an outer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inherit {
    /// Not at all.
    No,
    /// The nearest wins.
    Nearest,
    /// Both: the outer's items first.
    OuterFirst,
    /// Both: the inner's items first.
    InnerFirst,
}

macro_rules! keywords {
    ($($id:ident $name:literal $on:expr, $holds:ident, $inherit:ident;)*) => {
        /// A keyword.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum K { $($id),* }

        /// How many there are.
        pub const COUNT: usize = [$(K::$id),*].len();

        /// All of them.
        static TABLE: [Keyword; COUNT] = [$(Keyword { id: K::$id, name: $name, on: $on, holds: Holds::$holds, inherit: Inherit::$inherit }),*];
    };
}

/// One row of the table.
#[derive(Debug)]
pub struct Keyword {
    /// Which.
    pub id: K,
    /// As it is written.
    pub name: &'static str,
    /// Where it may stand.
    pub on: u8,
    /// What it holds.
    pub holds: Holds,
    /// Who inherits it.
    pub inherit: Inherit,
}

keywords! {
    Action "action" on::TASK, Any, No;
    AnyErrorsFatal "any_errors_fatal" on::ALL, Bool, Nearest;
    Args "args" on::TASK, Any, No;
    Async "async" on::TASK, Int, No;
    Become "become" on::ALL, Bool, Nearest;
    BecomeExe "become_exe" on::ALL, Str, Nearest;
    BecomeFlags "become_flags" on::ALL, Str, Nearest;
    BecomeMethod "become_method" on::ALL, Str, Nearest;
    BecomeUser "become_user" on::ALL, Str, Nearest;
    ChangedWhen "changed_when" on::TASK, List, No;
    CheckMode "check_mode" on::ALL, Bool, Nearest;
    Collections "collections" on::ALL, List, Nearest;
    Connection "connection" on::ALL, Str, Nearest;
    Debugger "debugger" on::ALL, Str, Nearest;
    Delay "delay" on::TASK, Float, No;
    DelegateFacts "delegate_facts" on::INNER, Bool, Nearest;
    DelegateTo "delegate_to" on::INNER, Str, Nearest;
    Diff "diff" on::ALL, Bool, Nearest;
    Environment "environment" on::ALL, List, OuterFirst;
    FactPath "fact_path" on::PLAY, Str, No;
    FailedWhen "failed_when" on::TASK, List, No;
    ForceHandlers "force_handlers" on::PLAY, Bool, No;
    GatherFacts "gather_facts" on::PLAY, Bool, No;
    GatherSubset "gather_subset" on::PLAY, List, No;
    GatherTimeout "gather_timeout" on::PLAY, Int, No;
    Hosts "hosts" on::PLAY, List, No;
    IgnoreErrors "ignore_errors" on::ALL, Bool, Nearest;
    IgnoreUnreachable "ignore_unreachable" on::ALL, Bool, Nearest;
    Listen "listen" on::HANDLER, List, No;
    Loop "loop" on::TASK, Any, No;
    LoopControl "loop_control" on::TASK, Dict, No;
    MaxFailPercentage "max_fail_percentage" on::PLAY, Percent, No;
    ModuleDefaults "module_defaults" on::ALL, List, OuterFirst;
    Name "name" on::ALL, Str, No;
    NoLog "no_log" on::ALL, Bool, Nearest;
    Notify "notify" on::BLOCK | on::TASK, List, Nearest;
    Order "order" on::PLAY, Str, No;
    Poll "poll" on::TASK, Int, No;
    Port "port" on::ALL, Int, Nearest;
    Register "register" on::TASK, Str, No;
    RemoteUser "remote_user" on::ALL, Str, Nearest;
    Retries "retries" on::TASK, Int, No;
    RunOnce "run_once" on::ALL, Bool, Nearest;
    Serial "serial" on::PLAY, List, No;
    Strategy "strategy" on::PLAY, Str, No;
    Tags "tags" on::ALL, List, InnerFirst;
    Throttle "throttle" on::ALL, Int, Nearest;
    Timeout "timeout" on::ALL, Int, Nearest;
    Until "until" on::TASK, List, No;
    Vars "vars" on::ALL, Dict, No;
    VarsFiles "vars_files" on::PLAY, List, No;
    VarsPrompt "vars_prompt" on::PLAY, List, No;
    When "when" on::INNER, List, OuterFirst;
}

impl K {
    /// Its row.
    pub fn row(self) -> &'static Keyword {
        &TABLE[self as usize]
    }
    /// As it is written.
    pub fn name(self) -> &'static str {
        self.row().name
    }
}

/// The keyword written as `name`, where `bearer` may bear it.
pub fn find(name: &str, bearer: u8) -> Option<K> {
    let at = TABLE.binary_search_by(|k| k.name.cmp(name)).ok()?;
    let bearer = if bearer & on::HANDLER != 0 { bearer | on::TASK } else { bearer };
    (TABLE[at].on & bearer != 0).then_some(TABLE[at].id)
}

/// Keywords with their values as written.
#[derive(Debug, Clone)]
pub struct Keywords(Vec<Option<Value>>);

impl Default for Keywords {
    fn default() -> Self {
        Self(vec![None; COUNT])
    }
}

impl Keywords {
    /// The value of `k`.
    pub fn get(&self, k: K) -> Option<&Value> {
        self.0[k as usize].as_ref()
    }
    /// Sets `k`.
    pub fn set(&mut self, k: K, value: Value) {
        self.0[k as usize] = Some(value);
    }
    /// Takes `k` out.
    pub fn take(&mut self, k: K) -> Option<Value> {
        self.0[k as usize].take()
    }
    /// Those that are set.
    pub fn iter(&self) -> impl Iterator<Item = (K, &Value)> {
        TABLE.iter().zip(&self.0).filter_map(|(row, v)| v.as_ref().map(|v| (row.id, v)))
    }
    /// What an element inside of these has, by inheritance: its own, completed.
    #[must_use]
    pub fn within(&self, inner: &Keywords) -> Keywords {
        let mut out = inner.clone();
        for row in &TABLE {
            let Some(outer) = &self.0[row.id as usize] else { continue };
            let slot = &mut out.0[row.id as usize];
            match row.inherit {
                Inherit::No => {}
                Inherit::Nearest => {
                    if slot.is_none() {
                        *slot = Some(outer.clone());
                    }
                }
                Inherit::OuterFirst => *slot = Some(joined(Some(outer), slot.as_ref())),
                Inherit::InnerFirst => *slot = Some(joined(slot.as_ref(), Some(outer))),
            }
        }
        out
    }
    /// Only what an inner element would inherit.
    #[must_use]
    pub fn heritable(&self) -> Keywords {
        self.within(&Keywords::default())
    }
}

/// The items of both; neighbours that are equal count once.
fn joined(first: Option<&Value>, second: Option<&Value>) -> Value {
    let mut out: Vec<Value> = Vec::new();
    for v in first.into_iter().chain(second) {
        for item in items(v) {
            if out.last() != Some(&item) {
                out.push(item);
            }
        }
    }
    Value::list(out)
}

/// The items of a list, or the one value itself; nothing of null.
pub fn items(v: &Value) -> Vec<Value> {
    match v {
        Value::List(l) => l.items(),
        Value::Tuple(t) => t.to_vec(),
        Value::None => Vec::new(),
        other => vec![other.clone()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_bearers_differ() {
        assert!(TABLE.windows(2).all(|w| w[0].name < w[1].name));
        assert_eq!(find("hosts", on::PLAY), Some(K::Hosts));
        assert_eq!(find("hosts", on::TASK), None);
        assert_eq!(find("listen", on::TASK), None);
        assert_eq!(find("listen", on::HANDLER), Some(K::Listen));
        assert_eq!(find("register", on::HANDLER), Some(K::Register));
    }

    #[test]
    fn inheritance() {
        let (mut outer, mut inner) = (Keywords::default(), Keywords::default());
        outer.set(K::When, Value::list(vec!["a".into()]));
        outer.set(K::Tags, Value::list(vec!["t".into()]));
        outer.set(K::Become, Value::Bool(true));
        outer.set(K::Name, "outer".into());
        inner.set(K::When, Value::list(vec!["b".into()]));
        inner.set(K::Tags, Value::list(vec!["u".into()]));
        let all = outer.within(&inner);
        assert_eq!(all.get(K::When).unwrap().repr(), "['a', 'b']");
        assert_eq!(all.get(K::Tags).unwrap().repr(), "['u', 't']");
        assert_eq!(all.get(K::Become), Some(&Value::Bool(true)));
        assert_eq!(all.get(K::Name), None);
    }
}
