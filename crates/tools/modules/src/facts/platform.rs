//! The kernel, the machine's names, and the Python interpreter if there is one.

use std::ffi::CStr;

use serde_json::Value;

use super::{Facts, read};
use crate::cx::Cx;
use crate::sys::users;

/// `uname -s -n -r -v -m`.
pub fn uname() -> [String; 5] {
    // SAFETY: utsname is plain bytes, for which zero is valid.
    let mut raw: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a utsname that lives through the call.
    unsafe { libc::uname(&mut raw) };
    [&raw.sysname, &raw.nodename, &raw.release, &raw.version, &raw.machine].map(|field| {
        // SAFETY: the kernel ends each field with a zero, and a zeroed one is ended too.
        unsafe { CStr::from_ptr(field.as_ptr()) }.to_string_lossy().into_owned()
    })
}

/// system, kernel, machine, names, machine id.
pub fn collect(cx: &mut Cx<'_>, facts: &mut Facts) {
    let [system, node, release, version, machine] = uname();
    let fqdn = fqdn(cx, &node);
    let bits = if cfg!(target_pointer_width = "64") { "64" } else { "32" };
    let i386 = matches!(machine.as_str(), "i386" | "i486" | "i586" | "i686");
    let userspace = match (machine.as_str(), bits) {
        ("x86_64", "64") => "x86_64",
        ("x86_64", _) => "i386",
        (m, _) if i386 || m.is_empty() => "i386",
        (m, _) => m,
    };
    let architecture = if i386 { "i386" } else { machine.as_str() };
    facts.insert("userspace_bits".into(), bits.into());
    facts.insert("userspace_architecture".into(), userspace.into());
    facts.insert("architecture".into(), architecture.into());
    facts.insert("domain".into(), fqdn.split_once('.').map_or("", |(_, d)| d).into());
    facts.insert("hostname".into(), node.split('.').next().unwrap_or_default().into());
    facts.insert("fqdn".into(), fqdn.into());
    facts.insert("nodename".into(), node.into());
    facts.insert("system".into(), system.into());
    facts.insert("kernel".into(), release.into());
    facts.insert("kernel_version".into(), version.into());
    facts.insert("machine".into(), machine.into());
    if let Some(id) = read("/var/lib/dbus/machine-id").or_else(|| read("/etc/machine-id")) {
        facts.insert("machine_id".into(), id.lines().next().unwrap_or_default().into());
    }
    if let Some(version) = interpreter(cx).and_then(|p| p.get("version_info").cloned()) {
        let parts: Vec<String> =
            version.as_array().into_iter().flatten().take(3).map(Value::to_string).collect();
        facts.insert("python_version".into(), parts.join(".").into());
    }
}

/// The full name: the host's address looked up, then that address's names; the first with a dot, or the first.
fn fqdn(cx: &mut Cx<'_>, node: &str) -> String {
    let hosts = read("/etc/hosts").unwrap_or_default();
    let lines: Vec<Vec<&str>> = hosts
        .lines()
        .map(|l| l.split('#').next().unwrap_or_default().split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.len() > 1)
        .collect();
    let forward = |family: char| {
        lines.iter().find(|w| w[0].contains(family) && w[1..].contains(&node)).map(|w| w[0].to_string())
    };
    let mut address = forward('.').or_else(|| forward(':'));
    if address.is_none()
        && let Some(getent) = cx.find_bin("getent")
    {
        address = super::output(cx, &[&getent, "hosts", node])
            .and_then(|out| out.split_whitespace().next().map(str::to_string));
    }
    let Some(address) = address else { return node.to_string() };
    let mut names: Vec<String> = lines
        .iter()
        .find(|w| w[0] == address)
        .map(|w| w[1..].iter().map(|n| (*n).to_string()).collect())
        .unwrap_or_default();
    if names.is_empty()
        && let Some(getent) = cx.find_bin("getent")
        && let Some(out) = super::output(cx, &[&getent, "hosts", &address])
    {
        names = out.split_whitespace().skip(1).map(str::to_string).collect();
    }
    let dotted = names.iter().find(|n| n.contains('.')).or(names.first());
    dotted.cloned().unwrap_or_else(|| node.to_string())
}

/// What the interpreter says of itself; it is asked once per process.
fn interpreter(cx: &mut Cx<'_>) -> Option<Value> {
    use std::sync::Mutex;
    static KNOWN: Mutex<Vec<(String, Value)>> = Mutex::new(Vec::new());
    let named = cx.interpreter.clone().filter(|path| path.starts_with('/'));
    let path = named.or_else(|| cx.find_bin("python3")).or_else(|| cx.find_bin("python"))?;
    let known = KNOWN.lock().unwrap_or_else(|e| e.into_inner());
    if let Some((_, value)) = known.iter().find(|(p, _)| *p == path) {
        return Some(value.clone());
    }
    drop(known);
    const ASK: &str = "import sys, json
try:
    import importlib.util
    ssl = importlib.util.find_spec('_ssl') is not None
except Exception:
    ssl = False
v = list(sys.version_info)
print(json.dumps({'version': dict(zip(('major', 'minor', 'micro', 'releaselevel', 'serial'), v)), 'version_info': v,
'executable': sys.executable, 'type': getattr(getattr(sys, 'implementation', None), 'name', None), 'has_sslcontext': ssl}))";
    let out = super::output(cx, &[&path, "-I", "-S", "-c", ASK])?;
    let value: Value = serde_json::from_str(&out).ok()?;
    KNOWN.lock().unwrap_or_else(|e| e.into_inner()).push((path, value.clone()));
    Some(value)
}

/// The Python interpreter; nothing where there is none.
pub fn python(cx: &mut Cx<'_>, facts: &mut Facts) {
    if let Some(value) = interpreter(cx) {
        facts.insert("python".into(), value);
    }
}

/// The entry of the user that runs this, or what can be said without one.
pub fn me() -> users::Passwd {
    // SAFETY: getuid has no preconditions and cannot fail.
    let uid = unsafe { libc::getuid() };
    users::by_uid(uid).unwrap_or_else(|| users::Passwd {
        name: std::env::var("USER").unwrap_or_else(|_| uid.to_string()),
        password: String::new(),
        uid,
        // SAFETY: as above.
        gid: unsafe { libc::getgid() },
        gecos: String::new(),
        home: std::env::var("HOME").unwrap_or_default(),
        shell: String::new(),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_names_itself() {
        let [system, _, release, _, machine] = super::uname();
        assert_eq!(system, "Linux");
        assert!(!release.is_empty() && !machine.is_empty());
    }
}
