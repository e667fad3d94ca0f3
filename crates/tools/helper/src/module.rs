//! Running a native module for a request.

use std::io;
use std::sync::Arc;

use pileus_modules::frame::Frame;
use pileus_modules::{Call, FetchReply, FetchRequest, Map};
use serde_json::{Value, json};

use crate::output::Output;

/// Runs the module and sends its result.
pub fn run(frame: &Frame, output: &Arc<Output>) -> io::Result<()> {
    let id = frame.id();
    let mut stream = |bytes: &[u8]| {
        // The result says what failed; a lost line of live output doesn't.
        let _ = output.send(&Frame::new(id).with("stream", true).blob(bytes));
    };
    let mut fetch = |request: &FetchRequest| fetch(id, request, output);
    let mut call = call(frame)?;
    call.stream = frame.flag("stream").then_some(&mut stream as &mut dyn FnMut(&[u8]));
    call.fetch = Some(&mut fetch);
    let result = pileus_modules::run(call);
    output.send(&Frame::new(id).with("result", result))
}

/// The call that a request describes, without its hooks.
pub fn call(frame: &Frame) -> io::Result<Call<'_>> {
    let name = frame.text("name").ok_or_else(|| io::Error::other("a module without a name"))?;
    let args = frame.head.get("args").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut call = Call::new(name, args);
    call.check = frame.flag("check");
    call.diff = frame.flag("diff");
    call.environment = environment(&frame.head);
    call.cwd = frame.text("cwd").map(Into::into);
    call.tmpdir = frame.text("tmpdir").map(Into::into);
    Ok(call)
}

/// `env`: an object of texts.
pub fn environment(head: &Map) -> Vec<(String, String)> {
    let variables = head.get("env").and_then(Value::as_object);
    variables
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_string())))
        .collect()
}

/// Asks the controller for a URL: TLS and its certificates are there.
fn fetch(id: u64, request: &FetchRequest, output: &Output) -> Result<FetchReply, String> {
    let question = json!({
        "url": request.url, "method": request.method, "headers": request.headers, "timeout_s": request.timeout_s,
        "validate_certs": request.validate_certs, "follow_redirects": request.follow_redirects, "auth": request.auth,
        "force_basic_auth": request.force_basic_auth, "use_proxy": request.use_proxy, "unix_socket": request.unix_socket,
        "client_cert": request.client_cert, "client_key": request.client_key, "ca_path": request.ca_path,
        "proxy": request.proxy,
    });
    let frame = Frame::new(id).with("fetch", question).blob(request.body.clone());
    let answers = output.ask(&frame).map_err(|e| e.to_string())?;
    let answer = answers.recv().map_err(|_| "the controller went away".to_string())?;
    if let Some(error) = answer.text("error") {
        return Err(error.to_string());
    }
    let pair = |v: &Value| Some((v.get(0)?.as_str()?.to_string(), v.get(1)?.as_str()?.to_string()));
    let headers =
        answer.head.get("headers").and_then(Value::as_array).into_iter().flatten().filter_map(pair).collect();
    Ok(FetchReply {
        status: answer.head.get("status").and_then(Value::as_i64).unwrap_or(-1),
        reason: answer.text("reason").unwrap_or_default().to_string(),
        url: answer.text("url").unwrap_or_default().to_string(),
        headers,
        body: answer.blob,
        cookies: Vec::new(),
    })
}
