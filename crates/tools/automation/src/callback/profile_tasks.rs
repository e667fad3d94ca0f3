//! ansible.posix's `profile_tasks`: when each task began, how long the one before took, the longest at the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use pileus_jinja::Value;

use crate::playbook::Task;
use crate::{config, display};

use super::{Callback, Stats};

/// The columns of its lines.
const COLUMNS: usize = 79;
/// The columns of a task's name in the recap, and of its time.
const NAME: usize = 70;
const TIME: usize = 9;

/// How long a task took.
#[derive(Debug)]
struct Took {
    id: u64,
    name: String,
    began: Instant,
    time: Duration,
}

/// How the recap is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Descending,
    Ascending,
    AsRun,
}

/// The callback.
#[derive(Debug)]
pub struct ProfileTasks {
    start: Instant,
    tasks: Vec<Took>,
    /// How many tasks the recap shows; `None` is all.
    limit: Option<usize>,
    order: Order,
    summary_only: bool,
}

/// An option: of the environment, else of the settings' section.
fn option(env: &str, key: &str) -> Option<String> {
    let of_env = std::env::var(env).ok();
    of_env.or_else(|| config::current().ini().get("callback_profile_tasks", key).map(str::to_owned))
}

impl Default for ProfileTasks {
    fn default() -> Self {
        let limit = match option("PROFILE_TASKS_TASK_OUTPUT_LIMIT", "task_output_limit").as_deref() {
            Some("all") => None,
            Some(n) => Some(n.parse().unwrap_or(20)),
            None => Some(20),
        };
        let order = match option("PROFILE_TASKS_SORT_ORDER", "sort_order").as_deref() {
            Some("ascending") => Order::Ascending,
            Some("none") => Order::AsRun,
            _ => Order::Descending,
        };
        let only = option("PROFILE_TASKS_SUMMARY_ONLY", "summary_only");
        let summary_only = only.is_some_and(|only| crate::truth::holds(&only));
        Self { start: Instant::now(), tasks: Vec::new(), limit, order, summary_only }
    }
}

/// `0:00:01.234`.
fn clock(d: Duration) -> String {
    let s = d.as_secs();
    format!("{}:{:02}:{:02}.{:03}", s / 3600, s / 60 % 60, s % 60, d.subsec_millis())
}

/// Filled up with `c`, and a blank.
fn filled(text: &str, c: char) -> String {
    let mut line = format!("{text} ");
    line.extend(std::iter::repeat_n(c, COLUMNS.saturating_sub(line.chars().count())));
    line.push(' ');
    line
}

/// A row of the recap: the name, dashes, the seconds.
fn row(name: &str, time: Duration) -> String {
    let time = format!(" {:.2}s", time.as_secs_f64());
    format!("{:-<NAME$}{time:->TIME$}", format!("{name} "))
}

impl ProfileTasks {
    /// Ends the task that runs; how long it took.
    fn end(&mut self, now: Instant) -> Duration {
        match self.tasks.last_mut() {
            Some(t) => {
                t.time = now - t.began;
                t.time
            }
            None => now - self.start,
        }
    }

    fn line(&self, last: Duration, now: Instant) -> String {
        let here = Timestamp::now().to_zoned_datetime(TimeZone::system());
        // a format of ours is never refused
        let at = jiff::fmt::strtime::format("%A %d %B %Y  %H:%M:%S %z", &here).unwrap_or_default();
        filled(&format!("{at} ({}){}{}", clock(last), " ".repeat(7), clock(now - self.start)), '*')
    }
}

impl Callback for ProfileTasks {
    fn task_start(&mut self, task: &Arc<Task>, name: &str) {
        let now = Instant::now();
        let last = self.end(now);
        if !self.summary_only {
            display::out(&self.line(last, now));
        }
        // a task that comes again (free strategies) counts from its beginning
        if self.tasks.last().is_some_and(|t| t.id == task.id) {
            return;
        }
        self.tasks.push(Took { id: task.id, name: name.trim().to_owned(), began: now, time: Duration::ZERO });
    }

    fn stats(&mut self, _stats: &Stats, _custom: &[(String, String, Value)]) {
        let now = Instant::now();
        let last = self.end(now);
        display::out(&format!("\n{}", filled("TASKS RECAP", '*').trim_end_matches(' ').to_owned() + "*"));
        display::out(&self.line(last, now));
        display::out(&format!("{} ", "=".repeat(COLUMNS)));
        let mut rows: Vec<&Took> = self.tasks.iter().collect();
        match self.order {
            Order::Descending => rows.sort_by_key(|t| std::cmp::Reverse(t.time)),
            Order::Ascending => rows.sort_by_key(|t| t.time),
            Order::AsRun => {}
        }
        for t in rows.into_iter().take(self.limit.unwrap_or(usize::MAX)) {
            display::out(&row(&t.name, t.time));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_to_the_character() {
        assert_eq!(clock(Duration::from_millis(3_723_045)), "1:02:03.045");
        assert_eq!(
            row("include_role : r1", Duration::from_millis(104)),
            "include_role : r1 ------------------------------------------------------- 0.10s"
        );
        let text = "Thursday 26 November 2026  19:57:11 +0000 (0:00:00.055)       0:00:00.055";
        assert_eq!(filled(text, '*'), format!("{text} ***** "));
    }
}
