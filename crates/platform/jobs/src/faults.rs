//! Where a test may interfere with a real job: before and after each effect.

/// A place in a job's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The job's kind.
    pub kind: String,
    /// The step's index.
    pub index: usize,
    /// The step's name.
    pub step: String,
    /// Before or after which effect.
    pub moment: Moment,
}

/// Before or after which effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    /// Before the step runs.
    BeforeRun,
    /// The step is done, not journaled yet.
    AfterRun,
    /// Before its undo runs.
    BeforeUndo,
    /// The undo is done, not journaled yet.
    AfterUndo,
}

/// What goes wrong there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The step, or its undo, fails.
    Fail,
    /// The effect happens a second time (after it only).
    Again,
    /// The daemon dies: nothing is written any more, the lease stays.
    Kill,
}

/// Decides what goes wrong.
pub trait Faults: Send + Sync + 'static {
    /// What goes wrong at `point`, if anything.
    fn at(&self, point: &Point) -> Option<Fault>;
}
