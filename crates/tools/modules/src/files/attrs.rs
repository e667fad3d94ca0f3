//! Setting mode, owner, group, SELinux context and inode flags where they differ.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};

use serde_json::Value;

use crate::cx::Cx;
use crate::result::{Fail, Map};
use crate::sys::{self, users, xattr};

/// What a module shows as `diff`: two maps of attributes.
#[derive(Debug, Clone, Default)]
pub struct Diff {
    pub before: Map,
    pub after: Map,
}

impl Diff {
    /// Notes one attribute.
    pub fn note(&mut self, key: &str, before: impl Into<Value>, after: impl Into<Value>) {
        self.before.insert(key.into(), before.into());
        self.after.insert(key.into(), after.into());
    }

    /// As the result's `diff`.
    pub fn to_value(&self) -> Value {
        serde_json::json!({"before": self.before, "after": self.after})
    }
}

/// The common file arguments of a call.
#[derive(Debug, Clone, Default)]
pub struct FileArgs {
    pub mode: Value,
    pub owner: Option<String>,
    pub group: Option<String>,
    /// user, role, type and level of the SELinux context
    pub context: [Option<String>; 4],
    pub attributes: Option<String>,
}

impl FileArgs {
    /// Those of the call's parameters.
    pub fn of(cx: &Cx<'_>) -> Self {
        FileArgs {
            mode: cx.raw("mode").clone(),
            owner: cx.str("owner").map(str::to_string),
            group: cx.str("group").map(str::to_string),
            context: ["seuser", "serole", "setype", "selevel"].map(|key| cx.text(key)),
            attributes: cx.str("attributes").map(str::to_string),
        }
    }

    /// Sets what differs; says whether anything does. In check mode nothing is set.
    pub fn apply(&self, cx: &Cx<'_>, path: &str, mut diff: Option<&mut Diff>) -> Result<bool, Fail> {
        let mut changed = self.set_context(cx, path, &mut diff)?;
        changed |= self.set_owner(cx, path, &mut diff)?;
        changed |= self.set_group(cx, path, &mut diff)?;
        changed |= self.set_mode(cx, path, &mut diff)?;
        changed |= self.set_attributes(cx, path, &mut diff)?;
        Ok(changed)
    }

    fn set_owner(&self, cx: &Cx<'_>, path: &str, diff: &mut Option<&mut Diff>) -> Result<bool, Fail> {
        let Some(owner) = &self.owner else { return Ok(false) };
        let uid = match owner.parse::<u32>() {
            Ok(uid) => uid,
            Err(_) => match users::by_name(owner) {
                Some(user) => user.uid,
                None => {
                    return Err(
                        Fail::msg(format!("chown failed: failed to look up user {owner}")).with("path", path)
                    );
                }
            },
        };
        let Ok(meta) = fs::symlink_metadata(path) else { return Ok(cx.check) };
        if meta.uid() == uid {
            return Ok(false);
        }
        if let Some(diff) = diff {
            diff.note("owner", meta.uid(), uid);
        }
        if !cx.check {
            lchown(path, Some(uid), None).map_err(|_| Fail::msg("chown failed").with("path", path))?;
        }
        Ok(true)
    }

    fn set_group(&self, cx: &Cx<'_>, path: &str, diff: &mut Option<&mut Diff>) -> Result<bool, Fail> {
        let Some(group) = &self.group else { return Ok(false) };
        let gid = match group.parse::<u32>() {
            Ok(gid) => gid,
            Err(_) => match users::group_by_name(group) {
                Some(group) => group.gid,
                None => {
                    let text = format!("chgrp failed: failed to look up group {group}");
                    return Err(Fail::msg(text).with("path", path));
                }
            },
        };
        let Ok(meta) = fs::symlink_metadata(path) else { return Ok(cx.check) };
        if meta.gid() == gid {
            return Ok(false);
        }
        if let Some(diff) = diff {
            diff.note("group", meta.gid(), gid);
        }
        if !cx.check {
            lchown(path, None, Some(gid)).map_err(|_| Fail::msg("chgrp failed").with("path", path))?;
        }
        Ok(true)
    }

    fn set_mode(&self, cx: &Cx<'_>, path: &str, diff: &mut Option<&mut Diff>) -> Result<bool, Fail> {
        if self.mode.is_null() {
            return Ok(false);
        }
        let Ok(meta) = fs::symlink_metadata(path) else { return Ok(cx.check) };
        let present = meta.permissions().mode() & 0o7777;
        let wanted = mode_of(&self.mode, present, meta.is_dir(), path)?;
        // The mode of a link itself can't be changed on Linux.
        if wanted == present || meta.is_symlink() {
            return Ok(false);
        }
        if let Some(diff) = diff {
            diff.note("mode", format!("{present:04o}"), format!("{wanted:04o}"));
        }
        if !cx.check {
            fs::set_permissions(path, fs::Permissions::from_mode(wanted)).map_err(|e| {
                Fail::msg("chmod failed")
                    .with("path", path)
                    .with("details", crate::result::os_error(&e, Some(path)))
            })?;
            let now = fs::symlink_metadata(path).map_or(wanted, |m| m.permissions().mode() & 0o7777);
            return Ok(now != present);
        }
        Ok(true)
    }

    fn set_context(&self, cx: &Cx<'_>, path: &str, diff: &mut Option<&mut Diff>) -> Result<bool, Fail> {
        if self.context.iter().all(Option::is_none) || !xattr::selinux_enabled() {
            return Ok(false);
        }
        let Some(present) = xattr::context(path) else { return Ok(false) };
        let mut fields: Vec<String> = present.splitn(4, ':').map(str::to_string).collect();
        for (at, wanted) in self.context.iter().enumerate() {
            if let (Some(wanted), Some(field)) = (wanted, fields.get_mut(at))
                && wanted != "_default"
            {
                field.clone_from(wanted);
            }
        }
        let wanted = fields.join(":");
        if wanted == present {
            return Ok(false);
        }
        if let Some(diff) = diff {
            diff.note("secontext", present.as_str(), wanted.as_str());
        }
        if !cx.check {
            xattr::set_context(path, &wanted).map_err(|e| {
                Fail::msg(format!("invalid selinux context: {e}"))
                    .with("path", path)
                    .with("new_context", wanted.as_str())
            })?;
        }
        Ok(true)
    }

    fn set_attributes(&self, cx: &Cx<'_>, path: &str, diff: &mut Option<&mut Diff>) -> Result<bool, Fail> {
        let Some(text) = self.attributes.as_deref().filter(|a| !a.is_empty()) else { return Ok(false) };
        if fs::symlink_metadata(path).is_err() {
            return Ok(cx.check);
        }
        let present = xattr::attributes(path).unwrap_or_default().letters;
        let (operator, letters) = match text.chars().next() {
            Some(op @ ('+' | '-' | '=')) => (op, &text[1..]),
            _ => ('=', text),
        };
        let has = |c: char| present.contains(c);
        let differs = match operator {
            '+' => letters.chars().any(|c| !has(c)),
            '-' => letters.chars().any(has),
            _ => {
                let sorted = |s: &str| {
                    let mut all: Vec<char> = s.chars().collect();
                    all.sort_unstable();
                    all
                };
                sorted(letters) != sorted(&present)
            }
        };
        if !differs {
            return Ok(false);
        }
        if let Some(diff) = diff {
            diff.note("attributes", present.as_str(), format!("{operator}{letters}"));
        }
        if !cx.check {
            let flag = format!("{operator}{letters}");
            let chattr = cx.need_bin("chattr")?;
            let output =
                sys::process::Exec::new(&[chattr.as_str(), flag.as_str(), path]).locale_c().run(None);
            let failed =
                |details: String| Fail::msg("chattr failed").with("path", path).with("details", details);
            let output = output.map_err(|e| failed(e.to_string()))?;
            if output.rc != 0 || !output.err.is_empty() {
                return Err(failed(format!("Error while setting attributes: {}", output.stderr())));
            }
        }
        Ok(true)
    }
}

/// The mode a parameter asks for, or the reference's failure.
pub fn mode_of(param: &Value, present: u32, is_dir: bool, path: &str) -> Result<u32, Fail> {
    super::mode::wanted(param, present, is_dir, sys::umask())
        .map_err(|(msg, details)| Fail::msg(msg).with("path", path).with("details", details))
}
