//! Results of modules: a JSON object, or a failure that becomes one.

use serde_json::Value;

/// A module's parameters or its result.
pub type Map = serde_json::Map<String, Value>;

/// What a module gives back.
pub type Reply = Result<Map, Fail>;

/// The field of a result by which a module hands over to the one in Python.
pub const HAND_OVER: &str = "_pileus_hand_over";

/// A failed result: `failed`, `msg` and whatever else the module says.
#[derive(Debug)]
pub struct Fail(Map);

impl Fail {
    /// A failure with a message.
    pub fn msg(message: impl Into<String>) -> Self {
        let mut map = Map::new();
        map.insert("msg".into(), Value::String(message.into()));
        Fail(map)
    }

    /// The module hands over to the one in Python before it changed anything: it does not do this, or not on this
    /// host. Without Python the reason is the failure's message.
    pub fn hand_over(reason: impl Into<String>) -> Self {
        Fail::msg(reason).with(HAND_OVER, true)
    }

    /// The same failure with one more field.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }

    /// The result.
    pub fn into_map(mut self) -> Map {
        self.0.insert("failed".into(), Value::Bool(true));
        self.0
    }
}

/// Fails with a message: `fail(format!(…))`.
#[allow(dead_code, reason = "for modules that have one line to say")]
pub fn fail<T>(message: impl Into<String>) -> Result<T, Fail> {
    Err(Fail::msg(message))
}

/// An object out of `key => value` pairs (a shorter `json!({…})` that gives the map).
#[macro_export]
#[doc(hidden)]
macro_rules! map {
    ($($key:expr => $value:expr),* $(,)?) => {{
        #[allow(unused_mut)]
        let mut map = $crate::Map::new();
        $(map.insert($key.into(), serde_json::json!($value));)*
        map
    }};
}

/// `[Errno 2] No such file or directory: 'path'`, as Python prints an `OSError`.
pub fn os_error(error: &std::io::Error, path: Option<&str>) -> String {
    let code = error.raw_os_error().unwrap_or(0);
    let text = strerror(error);
    match path {
        Some(path) => format!("[Errno {code}] {text}: {}", crate::py::repr_str(path)),
        None => format!("[Errno {code}] {text}"),
    }
}

/// The system's words for an error: `No such file or directory`.
pub fn strerror(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_string()
}
