//! The user's ssh configuration (ssh_config(5)) and the arguments for `ssh`, as far as the native client follows them.
//!
//! The first value of a keyword wins: arguments, then ~/.ssh/config, then /etc/ssh/ssh_config. A keyword that changes
//! how a connection is made and isn't followed here (ProxyJump, Match exec, GSSAPI, ciphers …) says why the program is
//! needed. Keywords that only concern the program's own conveniences (ControlPersist, LogLevel …) are passed over.

use std::path::{Path, PathBuf};

use crate::connection::Options;

/// What the native client needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Why the program is needed, if it is.
    pub needs_program: Option<String>,
    /// The host as the user named it: what `Host` patterns and HostKeyAlias defaults see.
    pub alias: String,
    /// Where to connect.
    pub host_name: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// The user.
    pub user: Option<String>,
    /// Key files, in order.
    pub identity_files: Vec<String>,
    /// Only those.
    pub identities_only: bool,
    /// `yes`, `no`, `accept-new` or `ask`.
    pub strict: Option<String>,
    /// Files of known hosts, the user's and the system's.
    pub user_known_hosts: Option<Vec<String>>,
    /// See `user_known_hosts`.
    pub global_known_hosts: Option<Vec<String>>,
    /// The name under which the host's key is known.
    pub host_key_alias: Option<String>,
    /// Whether new lines of known hosts are hashed.
    pub hash_known_hosts: Option<bool>,
    /// Seconds to connect.
    pub connect_timeout_s: Option<u64>,
    /// Seconds between signs of life.
    pub alive_interval_s: Option<u64>,
    /// The agent's socket; `none` for none.
    pub identity_agent: Option<String>,
    /// `4` or `6` only.
    pub family: Option<char>,
    /// Names of our environment to send (patterns).
    pub send_env: Vec<String>,
    /// Methods of authentication, when limited.
    pub methods: Option<Vec<String>>,
    /// Whether passwords and keys may be tried.
    pub password: Option<bool>,
    /// See `password`.
    pub public_key: Option<bool>,
    /// See `password`.
    pub keyboard: Option<bool>,
}

/// Keywords without effect on what runs over the connection.
const PASSED_OVER: &[&str] = &[
    "addkeystoagent",
    "batchmode",
    "checkhostip",
    "clearallforwardings",
    "compression",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "escapechar",
    "exitonforwardfailure",
    "fingerprinthash",
    "forwardx11timeout",
    "gssapidelegatecredentials",
    "hostbasedauthentication",
    "ignoreunknown",
    "ipqos",
    "loglevel",
    "logverbose",
    "numberofpasswordprompts",
    "permitlocalcommand",
    "requesttty",
    "serveralivecountmax",
    "streamlocalbindunlink",
    "syslogfacility",
    "tcpkeepalive",
    "updatehostkeys",
    "verifyhostkeydns",
    "visualhostkey",
    "forwardx11trusted",
    "connectionattempts",
    "nohostauthenticationforlocalhost",
];

impl Wanted {
    fn program(&mut self, why: impl Into<String>) {
        self.needs_program.get_or_insert(why.into());
    }

    fn set(&mut self, keyword: &str, value: &str) {
        let key = keyword.to_lowercase();
        let value = value.trim();
        let words = || value.split_whitespace().map(|w| w.trim_matches('"').to_string()).collect::<Vec<_>>();
        let first = || value.trim_matches('"').to_string();
        let yes = matches!(value.to_lowercase().as_str(), "yes" | "true");
        match key.as_str() {
            "hostname" => drop(self.host_name.get_or_insert_with(first)),
            "port" => match value.parse() {
                Ok(port) => drop(self.port.get_or_insert(port)),
                Err(_) => self.program(format!("Port {value}")),
            },
            "user" => drop(self.user.get_or_insert_with(first)),
            "identityfile" => self.identity_files.push(first()),
            "identitiesonly" => self.identities_only |= yes,
            "stricthostkeychecking" => {
                let value = match value.to_lowercase().as_str() {
                    "true" => "yes".into(),
                    "false" | "off" => "no".into(),
                    other => other.to_string(),
                };
                self.strict.get_or_insert(value);
            }
            "userknownhostsfile" => drop(self.user_known_hosts.get_or_insert_with(words)),
            "globalknownhostsfile" => drop(self.global_known_hosts.get_or_insert_with(words)),
            "hostkeyalias" => drop(self.host_key_alias.get_or_insert_with(first)),
            "hashknownhosts" => {
                self.hash_known_hosts.get_or_insert(yes);
            }
            "connecttimeout" => drop(value.parse().map(|s| self.connect_timeout_s.get_or_insert(s))),
            "serveraliveinterval" => drop(value.parse().map(|s| self.alive_interval_s.get_or_insert(s))),
            "identityagent" => drop(self.identity_agent.get_or_insert_with(first)),
            "addressfamily" => match value {
                "inet" => drop(self.family.get_or_insert('4')),
                "inet6" => drop(self.family.get_or_insert('6')),
                _ => {}
            },
            "sendenv" => self.send_env.extend(words()),
            "preferredauthentications" => {
                self.methods.get_or_insert_with(|| value.split(',').map(|m| m.trim().to_string()).collect());
            }
            "passwordauthentication" => {
                self.password.get_or_insert(yes);
            }
            "pubkeyauthentication" => {
                self.public_key.get_or_insert(yes);
            }
            "kbdinteractiveauthentication" | "challengeresponseauthentication" => {
                self.keyboard.get_or_insert(yes);
            }
            // Without tickets there is nothing that it could do.
            "gssapiauthentication" => {
                if yes && has_tickets() {
                    self.program("GSSAPIAuthentication yes");
                }
            }
            "forwardagent" | "forwardx11" => {
                if yes {
                    self.program(format!("{keyword} yes"));
                }
            }
            "proxycommand" | "proxyjump" if value.eq_ignore_ascii_case("none") => {}
            other if PASSED_OVER.contains(&other) => {}
            _ => self.program(format!("{keyword} {value}")),
        }
    }
}

fn has_tickets() -> bool {
    // SAFETY: getuid has no preconditions and cannot fail.
    let uid = unsafe { libc::getuid() };
    std::env::var_os("KRB5CCNAME").is_some() || Path::new(&format!("/tmp/krb5cc_{uid}")).exists()
}

/// What the options and the user's files ask for.
pub fn resolve(options: &Options) -> Wanted {
    let mut wanted = Wanted { alias: options.host.clone(), ..Wanted::default() };
    let mut files = None;
    if options.ssh_executable != "ssh" {
        wanted.program(format!("ssh_executable {}", options.ssh_executable));
    }
    if options.pkcs11_provider.is_some() {
        wanted.program("pkcs11_provider");
    }
    if options.verbosity > 0 {
        wanted.program("verbosity");
    }
    if options.password.is_some()
        && let Some(mechanism) = &options.password_mechanism
    {
        wanted.program(format!("password_mechanism {mechanism}"));
    }
    arguments(&options.ssh_args, &mut wanted, &mut files);
    // What the plugin itself passes comes after the arguments.
    if !options.host_key_checking {
        wanted.set("StrictHostKeyChecking", "no");
    }
    if let Some(port) = options.port {
        wanted.port.get_or_insert(port);
    }
    if let Some(user) = &options.user {
        wanted.user.get_or_insert_with(|| user.clone());
    }
    if let Some(file) = &options.private_key_file {
        wanted.identity_files.push(file.clone());
    }
    wanted.connect_timeout_s.get_or_insert(options.timeout_s);
    let files = files.unwrap_or_else(|| vec![home().join(".ssh/config"), "/etc/ssh/ssh_config".into()]);
    for file in files {
        read(&file, &mut wanted, 0);
    }
    wanted
}

/// The home directory.
pub fn home() -> PathBuf {
    std::env::home_dir().unwrap_or_else(|| "/".into())
}

/// A path of the user's, `~` resolved.
pub fn path(text: &str) -> PathBuf {
    match text.strip_prefix("~/").or_else(|| text.strip_prefix("%d/")) {
        Some(rest) => home().join(rest),
        None => PathBuf::from(text),
    }
}

/// The arguments that `ssh` would get.
fn arguments(text: &str, wanted: &mut Wanted, files: &mut Option<Vec<PathBuf>>) {
    let Some(words) = split(text) else { return wanted.program("arguments that are no words") };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix('-').filter(|f| !f.is_empty()) else {
            return wanted.program(word);
        };
        let letter = flag.chars().next().unwrap_or('-');
        let rest = flag[letter.len_utf8()..].to_string();
        match letter {
            'C' | 'q' | 'T' | 'x' | 'v' if flag.chars().all(|c| "CqTxv".contains(c)) => {}
            '4' | '6' if rest.is_empty() => drop(wanted.family.get_or_insert(letter)),
            'o' | 'p' | 'i' | 'l' | 'F' => {
                let Some(value) = (if rest.is_empty() { words.next() } else { Some(rest) }) else {
                    return wanted.program(word);
                };
                match letter {
                    'o' => match value.split_once(['=', ' ']) {
                        Some((key, value)) => wanted.set(key.trim(), value.trim_start_matches(['=', ' '])),
                        None => wanted.program(value),
                    },
                    'p' => wanted.set("Port", &value),
                    'i' => wanted.identity_files.push(value),
                    'l' => wanted.set("User", &value),
                    _ => *files = Some(if value == "none" { Vec::new() } else { vec![path(&value)] }),
                }
            }
            _ => return wanted.program(word),
        }
    }
}

/// Words of a POSIX command line; `None` for an open quote.
pub fn split(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some('"') | None, '\\') => word.get_or_insert_default().push(chars.next()?),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// Reads a file of the configuration.
fn read(file: &Path, wanted: &mut Wanted, depth: u8) {
    let Ok(text) = std::fs::read_to_string(file) else { return };
    let mut applies = true;
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (keyword, value) = line.split_once([' ', '\t', '=']).unwrap_or((line, ""));
        let value = value.trim_start_matches([' ', '\t', '=']).trim();
        match keyword.to_lowercase().as_str() {
            "host" => applies = patterns(value, &wanted.alias),
            "match" => {
                applies = value.eq_ignore_ascii_case("all");
                if !applies {
                    wanted.program(line);
                }
            }
            "include" if applies => {
                if depth >= 4 || value.contains(['*', '?', '[']) && !include_dir_is_empty(value) {
                    wanted.program(line);
                } else if !value.contains(['*', '?', '[']) {
                    for name in value.split_whitespace() {
                        let base = if file.starts_with("/etc") {
                            PathBuf::from("/etc/ssh")
                        } else {
                            home().join(".ssh")
                        };
                        read(&base.join(path(name)), wanted, depth + 1);
                    }
                }
            }
            _ if applies => wanted.set(keyword, value),
            _ => {}
        }
    }
}

/// Debian includes /etc/ssh/ssh_config.d/*.conf, which is empty as a rule.
fn include_dir_is_empty(value: &str) -> bool {
    let (directory, pattern) = value.rsplit_once('/').unwrap_or(("/etc/ssh", value));
    let suffix = pattern.trim_start_matches('*');
    match std::fs::read_dir(path(directory)) {
        Ok(mut entries) => {
            !entries.any(|e| e.is_ok_and(|e| e.file_name().to_string_lossy().ends_with(suffix)))
        }
        Err(_) => true,
    }
}

/// Whether a list of patterns (blanks or commas between them, `!` excludes) means the name.
pub fn patterns(list: &str, name: &str) -> bool {
    let mut matched = false;
    for pattern in list.split([' ', '\t', ',']).filter(|p| !p.is_empty()) {
        match pattern.strip_prefix('!') {
            Some(pattern) if glob(pattern.as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => matched |= glob(pattern.as_bytes(), name.as_bytes()),
        }
    }
    matched
}

/// `*` and `?`.
pub fn glob(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.first(), name.first()) {
        (None, None) => true,
        (Some(b'*'), _) => glob(&pattern[1..], name) || (!name.is_empty() && glob(pattern, &name[1..])),
        (Some(b'?'), Some(_)) => glob(&pattern[1..], &name[1..]),
        (Some(p), Some(n)) => p.eq_ignore_ascii_case(n) && glob(&pattern[1..], &name[1..]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &str) -> Wanted {
        let mut wanted = Wanted::default();
        super::arguments(arguments, &mut wanted, &mut None);
        wanted
    }

    #[test]
    fn the_default_arguments_are_native() {
        assert_eq!(of("-C -o ControlMaster=auto -o ControlPersist=60s"), Wanted::default());
        let wanted = of("-o StrictHostKeyChecking=no -oPort=2222 -p 1 -i '/a b' -o \"User x\"");
        assert_eq!(
            (wanted.strict.as_deref(), wanted.port, wanted.user.as_deref()),
            (Some("no"), Some(2222), Some("x"))
        );
        assert_eq!((wanted.identity_files, wanted.needs_program), (vec!["/a b".to_string()], None));
    }

    #[test]
    fn what_is_not_understood_needs_the_program() {
        for arguments in
            ["-J jump", "-o ProxyCommand='nc %h %p'", "-o Ciphers=aes128-ctr", "-w 0", "'", "host"]
        {
            assert!(of(arguments).needs_program.is_some(), "{arguments}");
        }
        assert_eq!(of("-o ProxyCommand=none").needs_program, None);
    }

    #[test]
    fn files_and_patterns() {
        let directory = tempfile();
        let file = directory.join("config");
        let text = "User first\nHost web* !web9\n Port 2201\n IdentityFile ~/.ssh/web\nHost *\n  Port 2202\nHost other\n ProxyJump x\n";
        std::fs::write(&file, text).unwrap();
        let mut wanted = Wanted { alias: "web1".into(), ..Wanted::default() };
        read(&file, &mut wanted, 0);
        assert_eq!(
            (wanted.port, wanted.user.as_deref(), wanted.needs_program),
            (Some(2201), Some("first"), None)
        );
        let mut wanted = Wanted { alias: "web9".into(), ..Wanted::default() };
        read(&file, &mut wanted, 0);
        assert_eq!((wanted.port, wanted.identity_files.len()), (Some(2202), 0));
        let mut wanted = Wanted { alias: "other".into(), ..Wanted::default() };
        read(&file, &mut wanted, 0);
        assert!(wanted.needs_program.is_some());
        std::fs::remove_dir_all(directory).unwrap();
    }

    fn tempfile() -> PathBuf {
        let directory = std::env::temp_dir().join(format!("pileus-ssh-config-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        directory
    }
}
