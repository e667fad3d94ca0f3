//! Blocks: tasks with rescue and always, or a run of tasks that stand together.

use std::sync::Arc;

use pileus_jinja::Origin;

use super::frame::Frame;
use super::keyword::Keywords;
use super::task::Task;

/// A task or a block.
#[derive(Debug, Clone)]
pub enum Node {
    /// A task.
    Task(Arc<Task>),
    /// A block.
    Block(Arc<Block>),
}

/// A block.
#[derive(Debug)]
pub struct Block {
    /// Tells blocks apart.
    pub id: u64,
    /// `block`.
    pub block: Vec<Node>,
    /// `rescue`.
    pub rescue: Vec<Node>,
    /// `always`.
    pub always: Vec<Node>,
    /// What surrounds its tasks.
    pub frame: Arc<Frame>,
    /// Its own keywords.
    pub keywords: Keywords,
    /// Where.
    pub origin: Option<Arc<Origin>>,
    /// Not written as a block.
    pub implicit: bool,
}

impl Block {
    /// A run of tasks.
    pub fn run(nodes: Vec<Node>, frame: &Arc<Frame>) -> Arc<Self> {
        Arc::new(Self {
            id: super::task::next_id(),
            block: nodes,
            rescue: Vec::new(),
            always: Vec::new(),
            frame: frame.clone(),
            keywords: Keywords::default(),
            origin: None,
            implicit: true,
        })
    }
    /// Every task inside, in order.
    pub fn tasks(&self) -> Vec<Arc<Task>> {
        let mut out = Vec::new();
        self.collect(&mut out);
        out
    }
    fn collect(&self, out: &mut Vec<Arc<Task>>) {
        for node in self.block.iter().chain(&self.rescue).chain(&self.always) {
            match node {
                Node::Task(t) => out.push(t.clone()),
                Node::Block(b) => b.collect(out),
            }
        }
    }
    /// Whether there is nothing inside.
    pub fn is_empty(&self) -> bool {
        self.block.is_empty() && self.rescue.is_empty() && self.always.is_empty()
    }
    /// The same with only the tasks that `keep` accepts; `None` where nothing is left.
    pub fn filtered(self: &Arc<Self>, keep: &dyn Fn(&Arc<Task>) -> bool) -> Option<Arc<Self>> {
        let filter = |nodes: &[Node]| -> Vec<Node> {
            nodes
                .iter()
                .filter_map(|n| match n {
                    Node::Task(t) => keep(t).then(|| n.clone()),
                    Node::Block(b) => b.filtered(keep).map(Node::Block),
                })
                .collect()
        };
        let out = Self {
            id: self.id,
            block: filter(&self.block),
            rescue: filter(&self.rescue),
            always: filter(&self.always),
            frame: self.frame.clone(),
            keywords: self.keywords.clone(),
            origin: self.origin.clone(),
            implicit: self.implicit,
        };
        (!out.is_empty()).then(|| Arc::new(out))
    }
}
