//! The `junit` callback: at the end a report in JUnit's XML, a test case for each task and host.
//!
//! It is set by the environment: `JUNIT_OUTPUT_DIR` and what [`Options`] names.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use pileus_jinja::Value;

use crate::execute::TaskResult;
use crate::inventory::Name;
use crate::playbook::{K, Play, Task};
use crate::source::paths;
use crate::{Error, display};

use super::{Callback, Inclusion, Stats, dump};

/// A task whose name says that it must fail, and one whose result counts the other way round.
const EXPECTED: &str = "EXPECTED FAILURE";
const TOGGLED: &str = "TOGGLE RESULT";

/// The options, of the environment.
#[derive(Debug, Default)]
struct Options {
    /// `JUNIT_OUTPUT_DIR`.
    directory: PathBuf,
    /// `JUNIT_TASK_CLASS`: one class for each file.
    class_by_file: bool,
    /// `JUNIT_TASK_RELATIVE_PATH`.
    relative_to: String,
    /// `JUNIT_REPLACE_OUT_OF_TREE_PATH`.
    out_of_tree: Option<String>,
    /// `JUNIT_FAIL_ON_CHANGE`.
    fail_on_change: bool,
    /// `JUNIT_FAIL_ON_IGNORE`.
    fail_on_ignore: bool,
    /// `JUNIT_INCLUDE_SETUP_TASKS_IN_REPORT`.
    setup: bool,
    /// `JUNIT_HIDE_TASK_ARGUMENTS`.
    hide_arguments: bool,
    /// `JUNIT_TEST_CASE_PREFIX`.
    prefix: String,
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Options {
    fn read() -> Self {
        let on = |name: &str| env(name).is_some_and(|v| v.eq_ignore_ascii_case("true"));
        let text = |name: &str| env(name).unwrap_or_default();
        Self {
            directory: paths::unfrack(&env("JUNIT_OUTPUT_DIR").unwrap_or_else(|| "~/.ansible.log".into()))
                .into(),
            class_by_file: on("JUNIT_TASK_CLASS"),
            relative_to: text("JUNIT_TASK_RELATIVE_PATH"),
            out_of_tree: env("JUNIT_REPLACE_OUT_OF_TREE_PATH"),
            fail_on_change: on("JUNIT_FAIL_ON_CHANGE"),
            fail_on_ignore: on("JUNIT_FAIL_ON_IGNORE"),
            setup: !env("JUNIT_INCLUDE_SETUP_TASKS_IN_REPORT")
                .is_some_and(|v| v.eq_ignore_ascii_case("false")),
            hide_arguments: env("JUNIT_HIDE_TASK_ARGUMENTS")
                .is_some_and(|v| !v.eq_ignore_ascii_case("false")),
            prefix: text("JUNIT_TEST_CASE_PREFIX"),
        }
    }

    /// The class of a task that stands at `path`.
    fn class(&self, path: &str) -> String {
        let mut class = path.to_owned();
        if !self.relative_to.is_empty() && !path.is_empty() {
            class = relative(path, &paths::unfrack(&self.relative_to));
        }
        if let Some(with) = self.out_of_tree.as_ref().filter(|_| class.starts_with("../")) {
            class = format!("{with}{}", class.rsplit('/').next().unwrap_or_default());
        }
        if self.class_by_file
            && let Some((file, line)) = class.rsplit_once(".yml:")
            && line.bytes().all(|b| b.is_ascii_digit())
        {
            class = file.to_owned();
        }
        class
    }
}

/// `path` as seen from the directory `from`.
fn relative(path: &str, from: &str) -> String {
    let (path, from): (Vec<_>, Vec<_>) =
        (Path::new(path).components().collect(), Path::new(from).components().collect());
    let same = path.iter().zip(&from).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - same);
    let down = path[same..].iter().map(|c| c.as_os_str().to_string_lossy().into_owned());
    up.chain(down).collect::<Vec<_>>().join("/")
}

/// How a case ended.
#[derive(Debug)]
enum Verdict {
    Passed { output: String },
    Skipped(String),
    Failed { kind: &'static str, message: String, output: String },
}

/// A task on a host.
#[derive(Debug)]
struct Case {
    host: String,
    seconds: f64,
    verdict: Verdict,
}

/// A task.
#[derive(Debug)]
struct OfTask {
    id: u64,
    name: String,
    path: String,
    play: String,
    setup: bool,
    began: Instant,
    cases: Vec<Case>,
}

/// The callback.
#[derive(Debug)]
pub struct Junit {
    options: Options,
    playbook: String,
    play: String,
    tasks: Vec<OfTask>,
}

impl Junit {
    /// As the environment says.
    ///
    /// # Errors
    /// Where the directory cannot be made.
    pub fn new() -> Result<Self, Error> {
        let options = Options::read();
        std::fs::create_dir_all(&options.directory)
            .map_err(|e| Error::new(format!("{}: {e}", options.directory.display())))?;
        Ok(Self { options, playbook: String::new(), play: String::new(), tasks: Vec::new() })
    }

    fn finish(&mut self, r: &TaskResult, mut status: &'static str) {
        let o = &self.options;
        if o.fail_on_change && status == "ok" && r.changed() {
            status = "failed";
        }
        let Some(of_task) = self.tasks.iter_mut().find(|t| t.id == r.task.id) else { return };
        if status == "failed" && of_task.name.contains(EXPECTED) {
            status = "ok";
        } else if of_task.name.contains(TOGGLED) {
            status = match status {
                "failed" => "ok",
                "ok" => "failed",
                other => other,
            };
        }
        if !of_task.name.starts_with(&o.prefix) && status != "failed" {
            return;
        }
        let text = |k: &str| r.value.get(k).filter(|_| !r.fields.no_log).and_then(|v| v.to_text().ok());
        let output = || dump::told(&r.value, &r.task, r.fields.no_log, Some(0));
        let verdict = match status {
            "ok" => Verdict::Passed { output: output() },
            "skipped" => Verdict::Skipped(text("skip_reason").unwrap_or_else(|| "skipped".into())),
            _ => match r.error.as_ref().filter(|_| !r.fields.no_log) {
                Some(e) => Verdict::Failed { kind: "error", message: e.brief(), output: e.details() },
                None => {
                    let message = text("msg")
                        .unwrap_or_else(|| format!("rc={}", text("rc").unwrap_or_else(|| "0".into())));
                    Verdict::Failed { kind: "failure", message, output: output() }
                }
            },
        };
        let seconds = of_task.began.elapsed().as_secs_f64();
        of_task.cases.push(Case { host: r.host.to_string(), seconds, verdict });
    }

    /// The report.
    fn report(&self) -> String {
        let told = || self.tasks.iter().filter(|t| self.options.setup || !t.setup);
        let cases = || told().flat_map(|t| &t.cases);
        let (mut errors, mut failures, mut skipped) = (0, 0, 0);
        for case in cases() {
            match &case.verdict {
                Verdict::Failed { kind: "error", .. } => errors += 1,
                Verdict::Failed { .. } => failures += 1,
                Verdict::Skipped(_) => skipped += 1,
                Verdict::Passed { .. } => {}
            }
        }
        let (tests, seconds) = (cases().count(), cases().map(|c| c.seconds).sum::<f64>());
        let mut out = format!(
            "<?xml version=\"1.0\" ?>\n<testsuites disabled=\"0\" errors=\"{errors}\" failures=\"{failures}\" \
             tests=\"{tests}\" time=\"{seconds}\">\n\t<testsuite disabled=\"0\" errors=\"{errors}\" \
             failures=\"{failures}\" name=\"{}\" skipped=\"{skipped}\" tests=\"{tests}\" time=\"{seconds}\">\n",
            attribute(&self.playbook)
        );
        for task in told() {
            let class = attribute(&self.options.class(&task.path));
            for case in &task.cases {
                let name = attribute(&format!("[{}] {}: {}", case.host, task.play, task.name));
                out.push_str(&format!(
                    "\t\t<testcase classname=\"{class}\" name=\"{name}\" time=\"{}\">\n",
                    case.seconds
                ));
                out.push_str(&match &case.verdict {
                    Verdict::Passed { output } => {
                        format!("\t\t\t<system-out>{}</system-out>\n", content(output))
                    }
                    Verdict::Skipped(why) => format!("\t\t\t<skipped>{}</skipped>\n", content(why)),
                    Verdict::Failed { kind, message, output } => format!(
                        "\t\t\t<{kind} message=\"{}\" type=\"{kind}\">{}</{kind}>\n",
                        attribute(message),
                        content(output)
                    ),
                });
                out.push_str("\t\t</testcase>\n");
            }
        }
        out.push_str("\t</testsuite>\n</testsuites>\n");
        out
    }
}

/// Text for XML: what it has no characters for is left out.
fn content(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(c),
            c if (c as u32) < 0x20 || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Text for an attribute: its newlines are kept.
fn attribute(text: &str) -> String {
    content(text).replace('\n', "&#10;").replace('\r', "&#13;").replace('\t', "&#9;")
}

impl Callback for Junit {
    fn playbook_start(&mut self, path: &str, _plays: usize) {
        self.playbook =
            Path::new(path).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    }
    fn play_start(&mut self, _play: &Arc<Play>, name: &str, _hosts: &[Name]) {
        self.play = name.to_owned();
    }
    fn task_start(&mut self, task: &Arc<Task>, name: &str) {
        if self.tasks.iter().any(|t| t.id == task.id) {
            return;
        }
        let mut name = name.trim().to_owned();
        let hidden = task.keyword(K::NoLog).is_some_and(|v| v.truth().unwrap_or(true));
        if !self.options.hide_arguments && !hidden {
            let of = |(k, v): (Value, Value)| {
                format!("{}={}", k.to_text().unwrap_or_default(), v.to_text().unwrap_or_default())
            };
            let args: Vec<String> = task.args.items().into_iter().map(of).collect();
            if !args.is_empty() {
                name.push_str(&format!(" {}", args.join(", ")));
            }
        }
        let path = task.origin.as_ref().map(|o| format!("{}:{}", o.file, o.line.max(1))).unwrap_or_default();
        self.tasks.push(OfTask {
            id: task.id,
            name,
            path,
            play: self.play.clone(),
            setup: matches!(&*task.action, "setup" | "gather_facts"),
            began: Instant::now(),
            cases: Vec::new(),
        });
    }
    fn ok(&mut self, r: &TaskResult) {
        self.finish(r, "ok");
    }
    fn failed(&mut self, r: &TaskResult, ignored: bool) {
        self.finish(r, if ignored && !self.options.fail_on_ignore { "ok" } else { "failed" });
    }
    fn skipped(&mut self, r: &TaskResult) {
        self.finish(r, "skipped");
    }
    fn included(&mut self, of: &Inclusion<'_>) {
        let prefix = &self.options.prefix;
        let Some(of_task) = self.tasks.iter_mut().find(|t| t.id == of.task.id) else { return };
        if !of_task.name.starts_with(prefix) {
            return;
        }
        let mut text = format!("{} (args={{}} vars={{", of.what);
        if let Some(label) = of.label {
            text.push_str(&format!("'item': {}", label.repr()));
        }
        text.push_str(&format!("}}): [{}]", of.hosts.join(", ")));
        let seconds = of_task.began.elapsed().as_secs_f64();
        // those of one task are told together
        match of_task.cases.iter_mut().find(|c| c.host == "include") {
            Some(Case { verdict: Verdict::Passed { output }, seconds: s, .. }) => {
                output.push('\n');
                output.push_str(&text);
                *s = seconds;
            }
            _ => of_task.cases.push(Case {
                host: "include".into(),
                seconds,
                verdict: Verdict::Passed { output: text },
            }),
        }
    }
    fn stats(&mut self, _stats: &Stats, _custom: &[(String, String, Value)]) {
        let now = Timestamp::now().as_microsecond() as f64 / 1e6;
        let file = self.options.directory.join(format!("{}-{now}.xml", self.playbook));
        if let Err(e) = std::fs::write(&file, self.report()) {
            display::warning(&format!("Could not write the JUnit report {}: {e}", file.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_paths_as_the_options_want_them() {
        let o = Options { relative_to: "/a/b".into(), ..Options::default() };
        assert_eq!(o.class("/a/b/c/main.yml:3"), "c/main.yml:3");
        let o = Options { out_of_tree: Some("out-of-tree:".into()), class_by_file: true, ..o };
        assert_eq!(o.class("/a/x/main.yml:3"), "out-of-tree:main");
    }

    #[test]
    fn text_is_xml() {
        assert_eq!(content("a<b> & \"c\"\u{1}\n"), "a&lt;b&gt; &amp; &quot;c&quot;\u{fffd}\n");
        assert_eq!(attribute("a\nb"), "a&#10;b");
    }
}
