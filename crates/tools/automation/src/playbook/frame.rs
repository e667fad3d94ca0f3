//! What surrounds a task: keywords inherited, variables of blocks and includes, the role. Built once when the
//! playbook is read, shared by all tasks inside.

use std::sync::Arc;

use pileus_jinja::Dict;

use super::keyword::Keywords;
use super::role::Role;

/// What surrounds a task.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// The keywords that hold here.
    pub keywords: Arc<Keywords>,
    /// Variables of blocks and includes, outermost first.
    pub vars: Vec<Dict>,
    /// Variables of includes: stronger than facts; outermost first.
    pub params: Vec<Dict>,
    /// The role this is of.
    pub role: Option<Arc<Role>>,
    /// The roles that led here, outermost first, the own role last.
    pub chain: Vec<Arc<Role>>,
    /// The directory of the file that the tasks stand in.
    pub directory: Arc<str>,
}

impl Frame {
    /// This frame with further keywords inside.
    #[must_use]
    pub fn inside(&self, keywords: &Keywords) -> Self {
        Self { keywords: Arc::new(self.keywords.within(keywords).heritable()), ..self.clone() }
    }
    /// This frame with further variables.
    #[must_use]
    pub fn with_vars(mut self, vars: Option<&Dict>) -> Self {
        self.vars.extend(vars.cloned());
        self
    }
    /// This frame with variables of an include.
    #[must_use]
    pub fn with_params(mut self, vars: Option<&Dict>) -> Self {
        self.vars.extend(vars.cloned());
        self.params.extend(vars.cloned());
        self
    }
}
