//! Attach and logs.

use pileus_base::{Error, Result};
use pileus_host::{Stream, Wanted};
use pileus_http::{Body, Reply};
use tokio::io::AsyncWriteExt;

use super::{hijack, socket};
use crate::{
    Container,
    api::{Call, Flags},
    engine::{
        logs::{Asked, Chunks},
        streams::{Over, Way, close, join},
    },
    model::detach,
    store::Status,
};

/// What is wanted of an attach.
struct Wish {
    container: Container,
    way: Way,
    past: Option<Chunks>,
    stream: Option<Box<dyn Stream>>,
}

/// Looks at what is asked for; attached is whoever asks from here on, before the answer's head is sent.
async fn wish(call: &Call, name: &str) -> Result<Wish> {
    let keys = match call.text("detachKeys") {
        text if text.is_empty() => detach::DEFAULT.to_vec(),
        text => detach::keys(&text)?,
    };
    let container = call.state.container(name).await?.value;
    let refused = |how: &str| Err(Error::conflict(format!("container {name} is {how} attach")));
    match container.state.status {
        Status::Paused => return refused("paused, unpause the container before"),
        Status::Restarting => return refused("restarting, wait until the container is running before"),
        _ => {}
    }
    let (stdout, stderr) = (call.flag("stdout"), call.flag("stderr"));
    let stdin = call.flag("stdin") && container.config["OpenStdin"] == true;
    let stream = match call.flag("stream") {
        true => {
            let wanted = Wanted { stdin, stdout, stderr };
            Some(call.state.host.attach_container(&container.id, wanted).await?)
        }
        false => None,
    };
    let past = match call.flag("logs") {
        true => {
            let asked = Asked { stdout, stderr, ..Asked::default() };
            Some(call.state.logs(&container, asked).await?)
        }
        false => None,
    };
    let tty = container.tty();
    let keys = if tty { keys } else { Vec::new() };
    call.state.container_event(&container, "attach", &[]);
    Ok(Wish { way: Way { tty, framed: !tty, stdin, keys }, container, past, stream })
}

/// Serves an attached client: what was, then what comes.
async fn serve(docker: &crate::Docker, mut client: Box<dyn Stream>, wish: Wish) {
    let Wish { container, way, past, stream } = wish;
    if let Some(mut past) = past {
        let mut frames = crate::engine::streams::Frames::default();
        while let Some(Ok(chunk)) = past.recv().await {
            let sent = match way.tty || way.framed {
                true => client.write_all(&chunk).await,
                false => client.write_all(&frames.texts(&chunk)).await,
            };
            if sent.is_err() {
                return;
            }
        }
    }
    if let Some(mut stream) = stream
        && join(&mut client, &mut stream, way).await == Over::Detached
    {
        docker.container_event(&container, "detach", &[]);
    }
    close(&mut client).await;
}

pub async fn attach(mut call: Call) -> Result<Reply> {
    let name = call.param("id").to_owned();
    let wish = wish(&call, &name).await?;
    let docker = call.state.clone();
    let (reply, client) = hijack::take_over(&mut call, wish.container.tty())?;
    tokio::spawn(async move {
        if let Some(client) = client.await {
            serve(&docker, client, wish).await;
        }
    });
    Ok(reply)
}

/// Over a WebSocket what the container says comes as it is, without frames.
pub async fn attach_ws(mut call: Call) -> Result<Reply> {
    let name = call.param("id").to_owned();
    let accept = socket::accept(&call)?;
    let mut wish = wish(&call, &name).await?;
    wish.way.framed = false;
    let docker = call.state.clone();
    let (reply, client) = socket::take_over(&mut call, accept)?;
    tokio::spawn(async move {
        if let Some(client) = client.await {
            serve(&docker, client, wish).await;
        }
    });
    Ok(reply)
}

pub async fn logs(call: Call) -> Result<Reply> {
    let (stdout, stderr) = (call.flag("stdout"), call.flag("stderr"));
    if !stdout && !stderr {
        return Err(Error::bad_request("Bad parameters: you must choose at least one stream"));
    }
    let c = call.state.container(call.param("id")).await?.value;
    let moment = |name: &str| {
        let found = crate::api::system::moment(&call.text(name));
        let told = |_| Error::bad_request(format!("invalid value for \"{name}\": {}", call.text(name)));
        found.map(Option::unwrap_or_default).map_err(told)
    };
    let asked = Asked {
        stdout,
        stderr,
        since: moment("since")?,
        until: moment("until")?,
        timestamps: call.flag("timestamps"),
        details: call.flag("details"),
        tail: call.text("tail").parse().ok(),
        follow: call.flag("follow"),
    };
    let media = hijack::media(&call, c.tty());
    let lines = futures_util::stream::unfold(call.state.logs(&c, asked).await?, |mut rx| async move {
        rx.recv().await.map(|chunk| (chunk, rx))
    });
    Ok(Reply::stream(200, media, Body::stream(lines, None)))
}
