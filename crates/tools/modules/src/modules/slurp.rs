//! `slurp`: a file's content in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::cx::Cx;
use crate::map;
use crate::result::{Fail, Reply};

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let source = cx.string("src");
    match std::fs::read(&source) {
        Ok(bytes) => {
            Ok(map! {"content" => STANDARD.encode(bytes), "source" => source, "encoding" => "base64"})
        }
        Err(e) => Err(Fail::msg(match e.raw_os_error() {
            Some(libc::ENOENT) => format!("File not found: {source}"),
            Some(libc::EACCES) => format!("File is not readable: {source}"),
            Some(libc::EISDIR) => format!("Source is a directory and must be a file: {source}"),
            _ => format!("Unable to slurp file: {}", crate::result::strerror(&e)),
        })),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Call, Map, run};

    #[test]
    fn content_or_why_not() {
        let call = |path: &str| {
            let serde_json::Value::Object(args) = serde_json::json!({"src": path}) else { return Map::new() };
            run(Call::new("ansible.builtin.slurp", args))
        };
        assert_eq!(call("/dev/null")["content"], "");
        assert_eq!(call("/no/such")["msg"], "File not found: /no/such");
        assert_eq!(call("/etc")["msg"], "Source is a directory and must be a file: /etc");
    }
}
