//! A repository on the target and its remote, as the module's parameters describe them.

use serde_json::{Value, json};

use crate::cx::Cx;
use crate::result::{Fail, os_error};
use crate::sys::path;
use crate::sys::process::{Exec, Output, quote};

/// The repository.
pub struct Repo {
    /// The working directory, or the bare repository.
    pub dest: String,
    /// There is no working directory.
    pub bare: bool,
    program: String,
    url: String,
    remote: String,
    version: String,
    depth: Option<i64>,
    refspec: Option<String>,
    force: bool,
    umask: Option<u32>,
    environment: Vec<(String, String)>,
    /// What the remote says of the version.
    known: Option<Known>,
    /// The branch that the remote's HEAD is.
    default: Option<String>,
}

/// What a version is on the remote.
#[derive(Clone)]
enum Known {
    Head(String),
    Branch(String),
    Tag(String),
    Other,
}

impl Repo {
    /// The repository of a call.
    ///
    /// # Errors
    /// Where there is no git, or `umask` is no number.
    pub fn of(cx: &mut Cx<'_>, dest: Option<&str>) -> Result<Self, Fail> {
        let program = match cx.text("executable") {
            Some(program) => program,
            None => cx.need_bin("git")?,
        };
        let umask = match cx.raw("umask") {
            Value::Null => None,
            Value::Number(n) => n.as_u64().and_then(|n| u32::try_from(n).ok()),
            other => {
                let text = crate::py::str(other);
                let bits =
                    u32::from_str_radix(&text, 8).map_err(|_| Fail::msg("umask must be an octal integer"))?;
                Some(bits)
            }
        };
        for key in ["version", "remote", "refspec"] {
            // git would take it for an option.
            if let Some(text) = cx.text(key).filter(|t| t.starts_with('-')) {
                return Err(Fail::msg(format!("{key} is no name that git knows: {text}")));
            }
        }
        let mut environment = vec![("LC_ALL".to_string(), "C.UTF-8".to_string())];
        environment.push(("GIT_SSH_COMMAND".into(), ssh(cx)));
        Ok(Repo {
            dest: dest.unwrap_or_default().to_string(),
            bare: cx.bool("bare"),
            program,
            url: url(&cx.string("repo")),
            remote: cx.string("remote"),
            version: cx.string("version"),
            depth: cx.int("depth").filter(|d| *d > 0),
            refspec: cx.text("refspec"),
            force: cx.bool("force"),
            umask,
            environment,
            known: None,
            default: None,
        })
    }

    /// Runs git in the working directory (`here`), or where the module is.
    fn git(&self, cx: &mut Cx<'_>, here: bool, args: &[&str]) -> Result<Output, Fail> {
        let mut argv = vec![self.program.as_str()];
        argv.extend(args);
        let mut exec = Exec::new(&argv);
        exec.env.clone_from(&self.environment);
        exec.umask = self.umask;
        if here {
            exec.cwd = Some(self.dest.clone().into());
        }
        cx.exec_with(exec).map_err(|e| Fail::msg(os_error(&e, Some(&self.program))))
    }

    /// A failure of git's in the module's words; the command as text.
    fn failed(&self, message: String, args: &[&str], done: &Output) -> Fail {
        let mut words = vec![quote(&self.program)];
        words.extend(args.iter().map(|a| quote(a)));
        Fail::msg(message)
            .with("cmd", words.join(" "))
            .with("rc", done.rc)
            .with("stdout", done.stdout())
            .with("stderr", done.stderr())
    }

    /// Runs git; anything but 0 fails with what it says.
    fn need(&self, cx: &mut Cx<'_>, here: bool, args: &[&str]) -> Result<String, Fail> {
        let done = self.git(cx, here, args)?;
        if done.rc != 0 {
            return Err(self.failed(done.stderr().trim_end().to_string(), args, &done));
        }
        Ok(done.stdout())
    }

    /// The commit that is checked out; `None` in a repository without any.
    pub fn head(&self, cx: &mut Cx<'_>) -> Result<Option<String>, Fail> {
        let done = self.git(cx, true, &["rev-parse", "HEAD"])?;
        let text = done.stdout().trim().to_string();
        Ok((done.rc == 0 && !text.is_empty()).then_some(text))
    }

    /// Whether files that git knows were changed here.
    pub fn is_modified(&self, cx: &mut Cx<'_>) -> Result<bool, Fail> {
        if self.bare {
            return Ok(false);
        }
        let text = self.need(cx, true, &["status", "--porcelain"])?;
        Ok(text.lines().any(|line| !line.starts_with("??")))
    }

    /// Throws local changes away.
    pub fn reset(&self, cx: &mut Cx<'_>) -> Result<(), Fail> {
        self.need(cx, true, &["reset", "--hard", "HEAD", "--"]).map(drop)
    }

    /// Gives the remote the wanted URL; whether it had another.
    pub fn set_url(&self, cx: &mut Cx<'_>) -> Result<bool, Fail> {
        let key = format!("remote.{}.url", self.remote);
        let done = self.git(cx, true, &["config", "--get", &key])?;
        let had = done.stdout().trim().to_string();
        if had == self.url {
            return Ok(false);
        }
        if cx.check {
            return Ok(!had.is_empty() && url(&had) != self.url);
        }
        let args = ["remote", "set-url", &self.remote, &self.url];
        let done = self.git(cx, true, &args)?;
        if done.rc != 0 {
            return Err(Fail::msg(format!(
                "Failed to set a new url {} for {}: {} {}",
                self.url,
                self.remote,
                done.stdout(),
                done.stderr()
            )));
        }
        Ok(!had.is_empty() && url(&had) != self.url)
    }

    /// Asks the remote what the version is there, once.
    fn known(&mut self, cx: &mut Cx<'_>) -> Result<Known, Fail> {
        if let Some(known) = &self.known {
            return Ok(known.clone());
        }
        let (branch, tag) = (format!("refs/heads/{}", self.version), format!("refs/tags/{}", self.version));
        let peeled = format!("{tag}^{{}}");
        let head = self.version == "HEAD";
        let args: Vec<&str> = match head {
            true => vec!["ls-remote", "--symref", "--", &self.url, "HEAD"],
            false => vec!["ls-remote", "--", &self.url, &branch, &tag, &peeled],
        };
        let text = self.need(cx, false, &args)?;
        let find = |name: &str| {
            text.lines().find_map(|line| {
                let (hash, found) = line.split_once('\t')?;
                (found == name && super::is_hash(hash)).then(|| hash.to_string())
            })
        };
        let known = if head {
            find("HEAD").map_or(Known::Other, Known::Head)
        } else if let Some(hash) = find(&branch) {
            Known::Branch(hash)
        } else if let Some(hash) = find(&peeled).or_else(|| find(&tag)) {
            Known::Tag(hash)
        } else {
            Known::Other
        };
        if head
            && let Some(name) =
                text.lines().find_map(|l| l.strip_prefix("ref: refs/heads/")?.split('\t').next())
        {
            self.default = Some(name.to_string());
        }
        self.known = Some(known.clone());
        Ok(known)
    }

    /// The commit that the version is on the remote.
    pub fn remote_head(&mut self, cx: &mut Cx<'_>) -> Result<String, Fail> {
        Ok(match self.known(cx)? {
            Known::Head(hash) | Known::Branch(hash) | Known::Tag(hash) => hash,
            Known::Other => self.version.clone(),
        })
    }

    /// Clones into the destination, whose parents are made.
    pub fn clone(&mut self, cx: &mut Cx<'_>) -> Result<(), Fail> {
        let parent = path::dirname(&self.dest);
        if !parent.is_empty() {
            std::fs::create_dir_all(parent).map_err(|e| Fail::msg(os_error(&e, Some(parent))))?;
        }
        let named = matches!(self.known(cx)?, Known::Branch(_) | Known::Tag(_));
        let depth = self.depth.map(|d| d.to_string());
        let reference = cx.text("reference");
        let mut args = vec!["clone"];
        match self.bare {
            true => args.push("--bare"),
            false => args.extend(["--origin", self.remote.as_str()]),
        }
        if let Some(depth) = &depth {
            if self.version == "HEAD" || named {
                args.extend(["--depth", depth]);
            } else {
                cx.warn(
                    "Ignoring depth argument. Shallow clones are only available for HEAD, branches, tags or in \
                     combination with refspec.",
                );
            }
        }
        if named {
            args.extend(["--branch", self.version.as_str()]);
        }
        if cx.bool("single_branch") {
            args.push("--single-branch");
        }
        if let Some(reference) = &reference {
            args.extend(["--reference", reference.as_str()]);
        }
        args.extend(["--", self.url.as_str(), self.dest.as_str()]);
        self.need(cx, false, &args)?;
        if self.bare && self.remote != "origin" {
            self.need(cx, true, &["remote", "add", "--", &self.remote, &self.url])?;
        }
        if let Some(refspec) = &self.refspec {
            self.need(cx, true, &["fetch", &self.remote, refspec])?;
        }
        Ok(())
    }

    /// Fetches what the version needs, or everything.
    pub fn fetch(&mut self, cx: &mut Cx<'_>) -> Result<(), Fail> {
        let mut refspecs: Vec<String> = Vec::new();
        let depth = self.depth.map(|d| d.to_string());
        if depth.is_some() {
            let (remote, version) = (self.remote.clone(), self.version.clone());
            match self.known(cx)? {
                Known::Branch(_) => {
                    refspecs.push(format!("+refs/heads/{version}:refs/remotes/{remote}/{version}"))
                }
                Known::Tag(_) => refspecs.push(format!("+refs/tags/{version}:refs/tags/{version}")),
                _ => {
                    if let Some(branch) = self.default.clone() {
                        refspecs.push(format!("+refs/heads/{branch}:refs/remotes/{remote}/{branch}"));
                    }
                }
            }
        }
        let mut args = vec!["fetch"];
        if self.force {
            args.push("--force");
        }
        if let Some(depth) = depth.as_ref().filter(|_| !refspecs.is_empty()) {
            args.extend(["--depth", depth]);
        } else {
            args.push("--tags");
            if self.git(cx, true, &["rev-parse", "--is-shallow-repository"])?.stdout().trim() == "true" {
                args.push("--unshallow");
            }
            if self.bare {
                refspecs.extend(["+refs/heads/*:refs/heads/*".into(), "+refs/tags/*:refs/tags/*".into()]);
            }
        }
        args.push(&self.remote);
        // A refspec of the call's comes with what the remote's own configuration says.
        if let Some(refspec) = &self.refspec {
            let own =
                self.git(cx, true, &["config", "--get-all", &format!("remote.{}.fetch", self.remote)])?;
            refspecs.extend(own.stdout().lines().filter(|_| !self.bare).map(str::to_string));
            refspecs.push(refspec.clone());
        }
        args.extend(refspecs.iter().map(String::as_str));
        let done = self.git(cx, true, &args)?;
        if done.rc != 0 {
            let argv: Vec<&str> = std::iter::once(self.program.as_str()).chain(args).collect();
            return Err(Fail::msg(format!(
                "Failed to download remote objects and refs: {} {}",
                done.stdout(),
                done.stderr()
            ))
            .with("cmd", json!(argv)));
        }
        Ok(())
    }

    /// Checks the version out; the commit that it is.
    pub fn checkout(&mut self, cx: &mut Cx<'_>) -> Result<Option<String>, Fail> {
        let known = self.known(cx)?;
        let (branch, commit) = match known {
            Known::Branch(_) => (Some(self.version.clone()), String::new()),
            // A remote whose HEAD is no branch has a commit there.
            Known::Head(hash) => (self.default.clone(), hash),
            _ => (None, self.version.clone()),
        };
        let Some(branch) = branch else {
            let args = ["checkout", "--force", &commit];
            let done = self.git(cx, true, &args)?;
            if done.rc != 0 {
                return Err(self.failed(format!("Failed to checkout {commit}"), &args, &done));
            }
            return self.head(cx);
        };
        let upstream = format!("{}/{branch}", self.remote);
        let local = format!("refs/heads/{branch}");
        let exists = self.git(cx, true, &["show-ref", "--verify", "--quiet", &local])?.rc == 0;
        let args: Vec<&str> = match exists {
            true => vec!["checkout", "--force", &branch, "--"],
            false => vec!["checkout", "--track", "-b", &branch, &upstream, "--"],
        };
        let done = self.git(cx, true, &args)?;
        if done.rc != 0 {
            return Err(self.failed(format!("Failed to checkout branch {branch}"), &args, &done));
        }
        let remote_ref = format!("refs/remotes/{upstream}");
        let args = ["reset", "--hard", &remote_ref, "--"];
        let done = self.git(cx, true, &args)?;
        if done.rc != 0 {
            return Err(self.failed(format!("Failed to checkout branch {branch}"), &args, &done));
        }
        self.head(cx)
    }

    /// Brings submodules to what the commit says; whether one was moved.
    pub fn update_submodules(&self, cx: &mut Cx<'_>) -> Result<bool, Fail> {
        let there = std::fs::metadata(path::join(&self.dest, ".gitmodules")).is_ok();
        if self.bare || !cx.bool("recursive") || !there {
            return Ok(false);
        }
        let status = |cx: &mut Cx<'_>| {
            let text = self.need(cx, true, &["submodule", "status", "--recursive"])?;
            let hash = |line: &str| line.split(" (").next().unwrap_or(line).to_string();
            Ok::<_, Fail>(text.lines().map(hash).collect::<Vec<_>>())
        };
        let before = status(cx)?;
        self.need(cx, true, &["submodule", "sync", "--recursive"])?;
        let mut args = vec!["submodule", "update", "--init", "--recursive"];
        if self.force {
            args.push("--force");
        }
        let done = self.git(cx, true, &args)?;
        if done.rc != 0 {
            let text = format!(
                "Failed to init/update submodules: {}",
                format!("{}{}", done.stdout(), done.stderr()).trim()
            );
            return Err(Fail::msg(text));
        }
        Ok(status(cx)? != before)
    }

    /// What diff mode shows.
    pub fn diff(&self, cx: &mut Cx<'_>, before: Option<&str>, after: Option<&str>) -> Result<Value, Fail> {
        let (Some(before), Some(after)) = (before, after) else {
            return Ok(json!({ "prepared": format!(">> Newly checked out {}", after.unwrap_or("None")) }));
        };
        let done = self.git(cx, true, &["diff", before, after, "--"])?;
        if done.rc == 0 {
            return Ok(json!({ "prepared": done.stdout() }));
        }
        Ok(json!({ "prepared": format!(">> No visual differences available between {before} and {after}") }))
    }
}

/// A path on the target as a URL, so that a clone is no hard link.
fn url(repo: &str) -> String {
    if repo.contains("://") || repo.is_empty() {
        return repo.to_string();
    }
    let expanded = path::expand(repo);
    if !repo.starts_with('/') && std::fs::metadata(&expanded).is_err() {
        return repo.to_string();
    }
    let absolute = match expanded.starts_with('/') {
        true => expanded,
        false => {
            std::env::current_dir().map_or(expanded.clone(), |d| path::join(&d.to_string_lossy(), &expanded))
        }
    };
    format!("file://{absolute}")
}

/// The command by which git reaches a server over SSH. It never asks.
fn ssh(cx: &Cx<'_>) -> String {
    let base = cx.env("GIT_SSH_COMMAND").or_else(|| cx.env("GIT_SSH").map(|p| quote(&p)));
    let mut command = base.unwrap_or_else(|| "ssh".into());
    let mut add = |option: &str| {
        if !command.contains(option) {
            command.push_str(&format!(" {option}"));
        }
    };
    if let Some(options) = cx.text("ssh_opts") {
        add(&options);
    }
    add("-o BatchMode=yes");
    if cx.bool("accept_hostkey") {
        add("-o StrictHostKeyChecking=no");
    } else if cx.bool("accept_newhostkey") {
        add("-o StrictHostKeyChecking=accept-new");
    }
    if let Some(key) = cx.text("key_file") {
        add("-o IdentitiesOnly=yes");
        add(&format!("-i {}", quote(&key)));
    }
    command
}
