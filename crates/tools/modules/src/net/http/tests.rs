use super::*;

/// A stream that gives an answer and keeps what is sent.
struct Wire(Vec<u8>, io::Cursor<Vec<u8>>);

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.read(buffer)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn request(method: &str, url: &str) -> FetchRequest {
    FetchRequest {
        url: url.into(),
        method: method.into(),
        follow_redirects: "safe".into(),
        ..FetchRequest::default()
    }
}

fn talk(request: &FetchRequest, answer: &str) -> (String, Result<FetchReply, String>) {
    let mut wire = Wire(Vec::new(), io::Cursor::new(answer.as_bytes().to_vec()));
    let url = Url::parse(&request.url).unwrap();
    let reply = exchange(&url, request, &mut wire);
    (String::from_utf8(wire.0).unwrap(), reply)
}

#[test]
fn a_request_and_bodies_in_their_forms() {
    let mut post = request("POST", "http://h:81/p?q");
    post.body = b"x=1".to_vec();
    let (sent, reply) = talk(
        &post,
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n",
    );
    assert!(sent.starts_with("POST /p?q HTTP/1.1\r\n") && sent.contains("\r\nHost: h:81\r\n"));
    assert!(sent.contains("\r\nContent-Length: 3\r\n") && sent.ends_with("\r\n\r\nx=1"));
    let reply = reply.unwrap();
    assert_eq!((reply.status, reply.reason.as_str(), reply.body.as_slice()), (200, "Fine", &b"abcde"[..]));
    let get = request("GET", "http://h/");
    assert_eq!(talk(&get, "HTTP/1.0 200 OK\r\n\r\nall").1.unwrap().body, b"all");
    assert!(talk(&get, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort").1.is_err());
    assert!(talk(&get, "").1.unwrap_err().contains("Remote end closed connection"));
    let mut bad = get.clone();
    bad.headers.push(("X".into(), "a\r\nY: b".into()));
    assert!(talk(&bad, "").1.unwrap_err().starts_with("Invalid header value"));
}

#[test]
fn redirects_cookies_and_passwords() {
    let reply = |status: i64, headers: &[(&str, &str)]| FetchReply {
        status,
        headers: headers.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())).collect(),
        ..FetchReply::default()
    };
    let mut seen = Vec::new();
    let mut server = |r: &FetchRequest| {
        seen.push((r.method.clone(), r.url.clone(), header(&r.headers, "cookie").map(str::to_string)));
        Ok(match r.url.as_str() {
            "http://h/a" => reply(302, &[("Location", "b"), ("Set-Cookie", "k=v; Path=/")]),
            "http://h/b" if header(&r.headers, "authorization").is_none() => {
                reply(401, &[("WWW-Authenticate", "Basic realm=x")])
            }
            _ => reply(200, &[]),
        })
    };
    let mut get = request("GET", "http://h/a");
    get.auth = Some(("u".into(), "p".into()));
    let done = follow(&get, &mut server).unwrap();
    assert_eq!((done.status, done.url.as_str()), (200, "http://h/b"));
    assert_eq!(done.cookies, [("k".to_string(), "v".to_string())]);
    assert_eq!(follow(&request("POST", "http://h/a"), &mut server).unwrap().status, 302);
    let mut all = request("POST", "http://h/a");
    all.follow_redirects = "all".into();
    assert_eq!(follow(&all, &mut server).unwrap().status, 401);
    assert_eq!(seen[1].2.as_deref(), Some("k=v"));
    assert_eq!(seen.last().unwrap().0, "GET");
}
