//! `template`: a file rendered here and copied there.

use std::sync::Arc;

use pileus_jinja::{Dict, Loader, Render, Scope, Str, Syntax, Value};

use crate::execute::World;
use crate::{Error, lookup};

use super::{Cx, Failure, Outcome, copy};

/// How a template file is read.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Settings {
    pub variable_start: Option<String>,
    pub variable_end: Option<String>,
    pub block_start: Option<String>,
    pub block_end: Option<String>,
    pub comment_start: Option<String>,
    pub comment_end: Option<String>,
    pub trim_blocks: Option<bool>,
    pub lstrip_blocks: Option<bool>,
    pub newline: Option<String>,
    /// Keep the newline at the end.
    pub keep_newline: bool,
}

thread_local! {
    /// Where the templates that are being rendered look for others.
    static PLACES: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Templates beside the one that is rendered on this thread.
pub struct Beside;

impl Loader for Beside {
    fn load(&self, name: &str) -> Result<Option<String>, pileus_jinja::Error> {
        let places = PLACES.with(|p| p.borrow().clone());
        let Some(path) = lookup::find_in(&places, "templates", name) else { return Ok(None) };
        std::fs::read_to_string(&path)
            .map(Some)
            .map_err(|e| pileus_jinja::Error::runtime(format!("{path}: {e}")))
    }
}

struct Over<'a> {
    names: &'a Dict,
    below: &'a dyn Scope,
}

impl Scope for Over<'_> {
    fn get(&self, name: &str) -> Option<Value> {
        self.names.get(name).or_else(|| self.below.get(name))
    }
}

/// The text that the template in the file `path` gives.
///
/// # Errors
/// Where it cannot be read or rendered.
pub fn render(
    world: &Arc<World>,
    path: &str,
    s: &Settings,
    scope: &dyn Scope,
    extra: &Dict,
) -> Result<String, Error> {
    Ok(match value(world, path, s, scope, extra)? {
        Value::Str(s) => s.to_string(),
        Value::None => String::new(),
        other => other.to_text()?,
    })
}

/// What the template in the file `path` gives: an object where it is one expression.
///
/// # Errors
/// Where it cannot be read or rendered.
pub fn value(
    world: &Arc<World>,
    path: &str,
    s: &Settings,
    scope: &dyn Scope,
    extra: &Dict,
) -> Result<Value, Error> {
    let text = world.files.loader().text(path)?.text;
    let mut syntax = Syntax { escape_backslashes: false, ..Syntax::default() };
    let mut body = text.as_str();
    // `#jinja2: trim_blocks: False` on the first line
    let mut header = Settings::default();
    if let Some(rest) = body.strip_prefix("#jinja2:") {
        let (line, tail) = rest.split_once('\n').unwrap_or((rest, ""));
        body = tail;
        for pair in line.split(',') {
            let Some((k, v)) = pair.split_once(':') else { continue };
            let v = v.trim();
            let plain = crate::playbook::split::unquote(v).to_owned();
            let truth = matches!(plain.to_lowercase().as_str(), "true" | "yes" | "1");
            match k.trim() {
                "variable_start_string" => header.variable_start = Some(plain),
                "variable_end_string" => header.variable_end = Some(plain),
                "block_start_string" => header.block_start = Some(plain),
                "block_end_string" => header.block_end = Some(plain),
                "comment_start_string" => header.comment_start = Some(plain),
                "comment_end_string" => header.comment_end = Some(plain),
                "trim_blocks" => header.trim_blocks = Some(truth),
                "lstrip_blocks" => header.lstrip_blocks = Some(truth),
                "newline_sequence" => header.newline = Some(plain.replace("\\n", "\n").replace("\\r", "\r")),
                other => return Err(Error::new(format!("Invalid template override key '{other}'."))),
            }
        }
    }
    let text_of = |a: &Option<String>, b: &Option<String>, to: &mut String| {
        if let Some(v) = a.as_ref().or(b.as_ref()) {
            to.clone_from(v);
        }
    };
    text_of(&header.variable_start, &s.variable_start, &mut syntax.variable_start);
    text_of(&header.variable_end, &s.variable_end, &mut syntax.variable_end);
    text_of(&header.block_start, &s.block_start, &mut syntax.block_start);
    text_of(&header.block_end, &s.block_end, &mut syntax.block_end);
    text_of(&header.comment_start, &s.comment_start, &mut syntax.comment_start);
    text_of(&header.comment_end, &s.comment_end, &mut syntax.comment_end);
    text_of(&header.newline, &s.newline, &mut syntax.newline_sequence);
    syntax.trim_blocks = header.trim_blocks.or(s.trim_blocks).unwrap_or(true);
    syntax.lstrip_blocks = header.lstrip_blocks.or(s.lstrip_blocks).unwrap_or(false);
    let names = extra.copy();
    described(&names, path);
    if scope.get("ansible_managed").is_some() {
        names.remove("ansible_managed");
    }
    let dir = crate::playbook::build::directory(path).to_string();
    let mut places = vec![dir];
    if let Some(v) = scope.get("ansible_search_path") {
        places
            .extend(crate::playbook::keyword::items(&v).iter().filter_map(|v| v.as_str().map(str::to_owned)));
    }
    let origin = Arc::new(pileus_jinja::Origin { file: path.into(), line: 1, column: 1, sealed: None });
    let text = Str::new(body).trust().at(Some(origin));
    let how = Render { syntax: Arc::new(syntax), preserve_trailing_newlines: s.keep_newline };
    let over = Over { names: &names, below: scope };
    Ok(with_loader(places, || world.engine().render_with(&text, &over, &how))?)
}

fn with_loader<T>(places: Vec<String>, run: impl FnOnce() -> T) -> T {
    let before = PLACES.with(|p| p.replace(places));
    let out = run();
    PLACES.with(|p| p.replace(before));
    out
}

/// The variables about the template itself.
fn described(names: &Dict, path: &str) {
    use std::os::unix::fs::MetadataExt;
    let managed =
        crate::config::current().text("DEFAULT_MANAGED_STR").unwrap_or("Ansible managed").to_owned();
    names.insert("ansible_managed", managed);
    names.insert("template_path", path);
    names.insert("template_fullpath", path);
    names.insert("template_host", rustix::system::uname().nodename().to_string_lossy().into_owned());
    if let Ok(meta) = std::fs::metadata(path) {
        names.insert("template_uid", super::files::user_name(meta.uid()));
        let when = jiff::Timestamp::from_second(meta.mtime()).unwrap_or_default();
        names.insert("template_mtime", when.to_string());
    }
    names.insert("template_run_date", jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S.%6f").to_string());
}

/// The action.
pub fn template(cx: &mut Cx<'_>) -> Outcome {
    for key in [
        "src",
        "dest",
        "state",
        "newline_sequence",
        "variable_start_string",
        "variable_end_string",
        "block_start_string",
        "block_end_string",
        "comment_start_string",
        "comment_end_string",
    ] {
        if let Some(v) = cx.args.get(key)
            && !matches!(v, Value::Str(_) | Value::None)
        {
            return Err(Failure::msg(format!(
                "Expected a string for {key}, but got {} instead",
                crate::playbook::checked::class(&v)
            )));
        }
    }
    if cx.args.contains("state") {
        return Err(Failure::msg("'state' cannot be specified on a template"));
    }
    let (Some(src), Some(dest)) = (cx.text("src"), cx.text("dest")) else {
        return Err(Failure::msg("src and dest are required"));
    };
    let newline = cx.text("newline_sequence").map(|n| n.replace("\\n", "\n").replace("\\r", "\r"));
    if newline.as_ref().is_some_and(|n| !matches!(n.as_str(), "\n" | "\r" | "\r\n")) {
        return Err(Failure::msg("newline_sequence needs to be one of: \n, \r or \r\n"));
    }
    let settings = Settings {
        variable_start: cx.text("variable_start_string"),
        variable_end: cx.text("variable_end_string"),
        block_start: cx.text("block_start_string"),
        block_end: cx.text("block_end_string"),
        comment_start: cx.text("comment_start_string"),
        comment_end: cx.text("comment_end_string"),
        trim_blocks: Some(cx.flag("trim_blocks", true)?),
        lstrip_blocks: Some(cx.flag("lstrip_blocks", false)?),
        newline,
        keep_newline: true,
    };
    let path = cx.find("templates", &src)?;
    let extra = Dict::new();
    extra.insert("template_destpath", dest.as_str());
    let text = render(cx.world, &path, &settings, cx.vars, &extra)?;
    let encoding = cx.text("output_encoding").unwrap_or_default();
    let bytes = crate::source::encode::encode(&text, &encoding)?;
    for key in [
        "newline_sequence",
        "block_start_string",
        "block_end_string",
        "variable_start_string",
        "variable_end_string",
        "comment_start_string",
        "comment_end_string",
        "trim_blocks",
        "lstrip_blocks",
        "output_encoding",
    ] {
        cx.args.remove(key);
    }
    let name = path.rsplit('/').next().unwrap_or("template").to_owned();
    copy::bytes(cx, &bytes, &name, Some(&path))
}
