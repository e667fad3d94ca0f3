//! Settings: every option of the reference's base configuration and of its plugins, from the environment,
//! `ansible.cfg` and defaults.
//!
//! ```text
//! command line (cli/) > environment > ansible.cfg (search.rs, ini.rs) > defaults (options.rs: data/*.jsonl)
//! ```
//!
//! Values are JSON after conversion to the option's type ([`types`]). [`current`] is the program's own
//! configuration, read once.

pub mod ini;
pub mod options;
pub mod search;
pub mod types;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::Value as Json;

pub use ini::Ini;
pub use options::Opt;

use crate::Error;

/// A setting: its value and where it came from (`default`, `env: NAME`, the file's path).
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The value, of the option's type.
    pub value: Json,
    /// Where it came from.
    pub origin: String,
}

/// The configuration.
#[derive(Debug)]
pub struct Config {
    file: Option<PathBuf>,
    ini: Ini,
    env: HashMap<String, String>,
    values: HashMap<&'static str, Setting>,
    /// What was odd while reading, to be said once the program runs.
    pub warnings: Vec<String>,
}

static CURRENT: OnceLock<Config> = OnceLock::new();

/// The program's configuration. Before [`init`] has run, that of no file and an empty environment.
pub fn current() -> &'static Config {
    CURRENT.get_or_init(Config::bare)
}

/// Reads the program's configuration from the environment and the file it finds.
///
/// # Errors
/// Where the file is no configuration or a value is not of its option's type.
pub fn init() -> Result<&'static Config, Error> {
    if let Some(config) = CURRENT.get() {
        return Ok(config);
    }
    let config = Config::load()?;
    Ok(CURRENT.get_or_init(|| config))
}

impl Config {
    /// From the environment and the file it finds.
    ///
    /// # Errors
    /// Where the file is no configuration or a value is not of its option's type.
    pub fn load() -> Result<Self, Error> {
        let mut warnings = Vec::new();
        let file = search::find(&mut warnings);
        Self::read(file, environment(), warnings)
    }
    /// From the environment and `file`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_file(file: PathBuf) -> Result<Self, Error> {
        Self::read(Some(file), environment(), Vec::new())
    }
    /// Defaults only.
    fn bare() -> Self {
        let empty = Self {
            file: None,
            ini: Ini::default(),
            env: HashMap::new(),
            values: HashMap::new(),
            warnings: Vec::new(),
        };
        Self::read(None, HashMap::new(), Vec::new()).unwrap_or(empty)
    }

    fn read(
        file: Option<PathBuf>,
        env: HashMap<String, String>,
        warnings: Vec<String>,
    ) -> Result<Self, Error> {
        let ini = match &file {
            Some(path) => search::read(path)?,
            None => Ini::default(),
        };
        let mut config = Self { file, ini, env, values: HashMap::new(), warnings };
        // ANSIBLE_HOME first: other defaults are made of it
        let home = options::base().iter().find(|o| o.name == "ANSIBLE_HOME");
        for option in home.into_iter().chain(options::base()) {
            let setting = config.evaluate(option, &format!("'{}'", option.name))?;
            config.values.insert(option.name.as_str(), setting);
        }
        Ok(config)
    }

    /// The file it was read from.
    pub fn file(&self) -> Option<&PathBuf> {
        self.file.as_ref()
    }
    /// The file's sections.
    pub fn ini(&self) -> &Ini {
        &self.ini
    }

    /// The base option `name`, as `DEFAULT_FORKS`.
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.values.get(name)
    }
    /// The value of the base option `name`; null where there is none.
    pub fn value(&self, name: &str) -> &Json {
        self.get(name).map_or(&Json::Null, |s| &s.value)
    }
    /// A boolean option.
    pub fn bool(&self, name: &str) -> bool {
        match self.value(name) {
            Json::String(s) => !s.is_empty(),
            value => value.as_bool().unwrap_or(false),
        }
    }
    /// An integer option; 0 where it is not set.
    pub fn int(&self, name: &str) -> i64 {
        self.value(name).as_i64().unwrap_or(0)
    }
    /// A number option; 0 where it is not set.
    pub fn float(&self, name: &str) -> f64 {
        self.value(name).as_f64().unwrap_or(0.0)
    }
    /// A text option.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.value(name).as_str()
    }
    /// A list option, or a list of paths.
    pub fn list(&self, name: &str) -> Vec<String> {
        match self.value(name) {
            Json::Array(items) => items.iter().map(types::plain).collect(),
            Json::String(s) => vec![s.clone()],
            _ => Vec::new(),
        }
    }

    /// The option of a plugin (`connection`, `ssh`, `retries`) from the environment, the file or its default;
    /// variables, keywords and the command line are the caller's to ask first.
    ///
    /// # Errors
    /// Where there is no such option, it is required and not set, or its value is not of its type.
    pub fn plugin(&self, kind: &str, name: &str, option: &str) -> Result<Setting, Error> {
        let label = format!("'{option}' for '{name}' {kind} plugin");
        let found = options::plugin(kind, name).and_then(|p| p.options.iter().find(|o| o.name == option));
        let option =
            found.ok_or_else(|| Error::options(format!("No config definition exists for {label}.")))?;
        self.evaluate(option, &label)
    }

    /// An option from the environment, the file or its default.
    ///
    /// # Errors
    /// Where it is required and not set, or its value is not of its type.
    pub fn evaluate(&self, option: &Opt, label: &str) -> Result<Setting, Error> {
        let mut value: Option<(Json, String, bool)> = None;
        for name in &option.env {
            if let Some(v) = self.env.get(name) {
                value = Some((Json::String(v.clone()), format!("env: {name}"), false));
            }
        }
        if value.is_none()
            && let Some(file) = &self.file
        {
            for (section, key) in &option.ini {
                if let Some(v) = self.ini.get(section, key) {
                    value = Some((Json::String(v.to_owned()), file.display().to_string(), true));
                }
            }
        }
        let (raw, origin, from_ini) = match value {
            Some(v) => v,
            None if option.required => {
                return Err(Error::options(format!("Required config {label} not provided.")));
            }
            None => (self.default_of(option), "default".to_owned(), false),
        };
        let kind = option.kind.as_deref();
        let (value, origin) = match types::convert(&raw, kind, &origin) {
            Ok(Json::String(s)) if from_ini => (Json::String(types::unquote(&s).to_owned()), origin),
            Ok(v) => (v, origin),
            Err(_) if origin.starts_with("env:") && raw == Json::String(String::new()) => {
                let default = self.default_of(option);
                (types::convert(&default, kind, "default").unwrap_or(default), "default".to_owned())
            }
            Err(why) => {
                return Err(Error::options(format!("Config {label} from '{origin}' has an invalid value."))
                    .because(why));
            }
        };
        check_choices(option, &value, label)?;
        Ok(Setting { value, origin })
    }

    /// The default, where it is made of other settings.
    fn default_of(&self, option: &Opt) -> Json {
        let Some(Json::String(text)) = &option.default else {
            return option.default.clone().unwrap_or(Json::Null);
        };
        let Some(inner) = text.strip_prefix("{{").and_then(|t| t.strip_suffix("}}")) else {
            return option.default.clone().unwrap_or(Json::Null);
        };
        let home = self.text("ANSIBLE_HOME").unwrap_or_default();
        let inner = inner.trim();
        if let Some(rest) = inner.strip_prefix("ANSIBLE_HOME") {
            let tail = rest.trim_start_matches([' ', '~', '"']).trim_end_matches('"');
            return Json::String(format!("{home}{tail}"));
        }
        if let Some(rest) = inner.strip_prefix("REJECT_EXTS +") {
            let more = rest.split('\'').filter(|s| s.starts_with('.'));
            return options::REJECT_EXTENSIONS.into_iter().chain(more).collect();
        }
        Json::String(text.clone())
    }
}

fn check_choices(option: &Opt, value: &Json, label: &str) -> Result<(), Error> {
    let Some(choices) = &option.choices else { return Ok(()) };
    let allowed = |v: &Json| choices.contains(v);
    let ok = match value {
        Json::Null => true,
        Json::Array(items) if option.kind.as_deref() == Some("list") => items.iter().all(allowed),
        v => allowed(v),
    };
    if ok {
        return Ok(());
    }
    let valid = choices.iter().map(types::plain).collect::<Vec<_>>().join(", ");
    let shown = pileus_jinja::Value::from(value).repr();
    Err(Error::options(format!("Invalid value {shown} for config {label}."))
        .help(format!("Valid values are: {valid}")))
}

fn environment() -> HashMap<String, String> {
    std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect()
}

#[cfg(test)]
mod tests;
