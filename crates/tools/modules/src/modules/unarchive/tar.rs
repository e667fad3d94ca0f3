//! Tar archives by the target's GNU tar: what is in it, what differs from it, unpacking it.

use crate::cx::Cx;
use crate::modules::file::glob;
use crate::result::{Fail, os_error};
use crate::sys::process::Exec;

/// The kinds, in the order they are tried: the name results show, tar's flag.
const KINDS: [(&str, &str); 5] = [
    ("TgzArchive", "-z"),
    ("TarArchive", ""),
    ("TarBzipArchive", "-j"),
    ("TarXzArchive", "-J"),
    ("TarZstdArchive", "--use-compress-program=zstd"),
];

/// An archive that tar can read.
pub struct Tar {
    /// What results call the way it is read.
    pub handler: &'static str,
    /// What is in it and wanted, as tar lists it.
    pub files: Vec<String>,
    program: String,
    flag: &'static str,
    src: String,
    dest: String,
    owner: Option<String>,
    group: Option<String>,
    keep_newer: bool,
    extra: Vec<String>,
    exclude: Vec<String>,
    include: Vec<String>,
}

/// How tar ended.
pub struct Done {
    pub argv: Vec<String>,
    pub rc: i32,
    pub out: String,
    pub err: String,
}

impl Tar {
    /// Finds the compression by listing the archive.
    ///
    /// # Errors
    /// Where tar reads it with none; a zip file hands over.
    pub fn open(cx: &mut Cx<'_>, src: &str, dest: &str) -> Result<Self, Fail> {
        if super::is_zip(src) {
            return Err(Fail::hand_over(format!(
                "Failed to find handler for \"{src}\": zip archives need Python on the target"
            )));
        }
        let program = match cx.find_bin("gtar") {
            Some(program) => program,
            None => match cx.find_bin("tar") {
                Some(program) => program,
                None => {
                    return Err(Fail::msg(format!(
                        "Failed to find handler for \"{src}\". Make sure the required command to extract the file is \
                         installed.\nUnable to find required 'gtar' or 'tar' binary in the path"
                    )));
                }
            },
        };
        let mut archive = Tar {
            handler: "",
            files: Vec::new(),
            program,
            flag: "",
            src: src.to_string(),
            dest: dest.to_string(),
            owner: cx.text("owner"),
            group: cx.text("group"),
            keep_newer: cx.bool("keep_newer"),
            extra: cx.list("extra_opts"),
            exclude: cx.list("exclude"),
            include: cx.list("include"),
        };
        let mut reasons: Vec<String> = Vec::new();
        for (handler, flag) in KINDS {
            archive.flag = flag;
            let reason = match archive.list(cx)? {
                Ok(files) if !files.is_empty() => {
                    archive.handler = handler;
                    archive.files = files;
                    return Ok(archive);
                }
                Ok(_) => format!(
                    "Command \"{}\" found no files in archive. Empty archive files are not supported.",
                    archive.program
                ),
                Err(text) => format!(
                    "Command \"{}\" could not handle archive: Unable to list files in the archive: {text}",
                    archive.program
                ),
            };
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        Err(Fail::msg(format!(
            "Failed to find handler for \"{src}\". Make sure the required command to extract the file is installed.\n{}",
            reasons.join("\n")
        )))
    }

    /// `tar ACTION -C DIRECTORY …` with the call's options.
    fn argv(&self, action: &str) -> Vec<String> {
        let mut argv = vec![self.program.clone(), action.into(), "-C".into(), self.dest.clone()];
        argv.extend((!self.flag.is_empty()).then(|| self.flag.to_string()));
        if action == "--list" || !self.extra.is_empty() {
            argv.push("--show-transformed-names".into());
        }
        argv.extend(self.extra.iter().cloned());
        if action != "--list" {
            argv.extend(self.owner.as_ref().map(|o| format!("--owner={o}")));
            argv.extend(self.group.as_ref().map(|g| format!("--group={g}")));
            argv.extend(self.keep_newer.then(|| "--keep-newer-files".to_string()));
        }
        argv.extend(self.exclude.iter().map(|e| format!("--exclude={e}")));
        argv.extend(["-f".to_string(), self.src.clone()]);
        argv.extend(self.include.iter().cloned());
        argv
    }

    fn run(&self, cx: &mut Cx<'_>, action: &str) -> Result<Done, Fail> {
        let argv = self.argv(action);
        let done = cx
            .exec_with(Exec::new(&argv).locale_c().cwd(&self.dest))
            .map_err(|e| Fail::msg(os_error(&e, Some(&self.program))))?;
        Ok(Done { rc: done.rc, out: done.stdout(), err: done.stderr(), argv })
    }

    /// The wanted files, or tar's complaint.
    fn list(&self, cx: &mut Cx<'_>) -> Result<Result<Vec<String>, String>, Fail> {
        let done = self.run(cx, "--list")?;
        if done.rc != 0 {
            return Ok(Err(done.err));
        }
        let wanted = |name: &String| !self.exclude.iter().any(|pattern| glob::matches(pattern, name));
        let names = done.out.lines().map(|line| unescape(line).trim_start_matches('/').to_string());
        Ok(Ok(names.filter(|n| !n.is_empty()).filter(wanted).collect()))
    }

    /// Whether all of it is there already, what the call sets itself apart.
    pub fn is_unpacked(&self, cx: &mut Cx<'_>) -> Result<bool, Fail> {
        let mode_is_ours = !cx.raw("mode").is_null();
        let done = self.run(cx, "--diff")?;
        let root = super::is_root();
        let counts = |line: &str| {
            let ends = |what: &str| line.ends_with(what);
            // A directory whose name `--strip-components` left nothing of.
            if line.contains(": : ") {
                return false;
            }
            if ends(": Uid differs") {
                return root && self.owner.is_none();
            }
            if ends(": Gid differs") {
                return root && self.group.is_none();
            }
            if ends(": Mode differs") {
                return !mode_is_ours;
            }
            [
                ": Mod time differs",
                ": Size differs",
                ": Contents differ",
                ": Symlink differs",
                ": File type differs",
                ": Cannot stat: No such file or directory",
                ": Invalid owner",
                ": Invalid group",
            ]
            .iter()
            .any(|what| ends(what))
                || line.contains(": Not linked to ")
        };
        Ok(!done.out.lines().chain(done.err.lines()).any(counts))
    }

    /// Unpacks it.
    pub fn extract(&self, cx: &mut Cx<'_>) -> Result<Done, Fail> {
        self.run(cx, "--extract")
    }
}

/// A name as tar lists it (`\303\244`, `\n`, `\\`) in its own bytes.
fn unescape(line: &str) -> String {
    let mut out = Vec::with_capacity(line.len());
    let bytes = line.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        let digits = bytes[at + 1..].iter().take(3).take_while(|b| (b'0'..=b'7').contains(*b)).count();
        if digits == 3 {
            let value = bytes[at + 1..at + 4].iter().fold(0u32, |v, b| v * 8 + u32::from(b - b'0'));
            out.push(value as u8);
            at += 4;
            continue;
        }
        out.push(match bytes.get(at + 1) {
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'r') => b'\r',
            Some(other) => *other,
            None => b'\\',
        });
        at += 2;
    }
    crate::py::text(&out)
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_unescaped() {
        assert_eq!(super::unescape("a\\303\\244\\\\b\\n"), "aä\\b\n");
    }
}
