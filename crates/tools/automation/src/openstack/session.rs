//! A session with a cloud: a token of Keystone's (Identity API v3), the endpoints of its catalog, requests with JSON.
//!
//! Endpoints with TLS are handed over.

use pileus_modules::FetchRequest;
use pileus_modules::net::{http, wire};
use serde_json::{Map, Value, json};

use super::Stop;
use super::clouds::Cloud;

/// How long an answer may take, in seconds.
const PATIENCE_S: u64 = 60;

/// A session.
pub struct Session {
    token: String,
    catalog: Value,
    project: Value,
    cloud: Cloud,
}

/// An answer: its status and its JSON.
type Answer = (u16, Value);

/// One request; its status, the named header of its answer, and the body.
fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
    wanted: &str,
) -> Result<(u16, Option<String>, Value), Stop> {
    if !url.starts_with("http://") {
        return Err(Stop::HandOver);
    }
    let mut lines = vec![("Accept", "application/json"), ("User-Agent", "pileus")];
    if body.is_some() {
        lines.push(("Content-Type", "application/json"));
    }
    lines.extend_from_slice(headers);
    let request = FetchRequest {
        url: url.to_owned(),
        method: method.to_owned(),
        headers: lines.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: body.map(Value::to_string).unwrap_or_default().into_bytes(),
        timeout_s: PATIENCE_S,
        ..FetchRequest::default()
    };
    let reply = http::plain(&request).map_err(|e| format!("Unable to establish connection to {url}: {e}"))?;
    let value =
        serde_json::from_slice(&reply.body).unwrap_or_else(|_| String::from_utf8_lossy(&reply.body).into());
    let status = reply.status.try_into().unwrap_or_default();
    Ok((status, wire::header(&reply.headers, wanted).map(str::to_owned), value))
}

/// The body of a login (Identity API v3, "Authentication and token management").
fn login(auth: &Map<String, Value>) -> Value {
    let text = |name: &str| auth.get(name).and_then(Value::as_str);
    let domain = |prefix: &str| match text(&format!("{prefix}_domain_id")) {
        Some(id) => json!({"id": id}),
        None => json!({"name": text(&format!("{prefix}_domain_name")).unwrap_or("Default")}),
    };
    let user = match text("user_id") {
        Some(id) => json!({"id": id}),
        None => json!({"name": text("username"), "domain": domain("user")}),
    };
    if let Some(secret) = text("application_credential_secret") {
        let mut credential = json!({"secret": secret});
        match text("application_credential_id") {
            Some(id) => credential["id"] = id.into(),
            None => {
                credential["name"] = text("application_credential_name").into();
                credential["user"] = user;
            }
        }
        return json!({"auth": {"identity": {"methods": ["application_credential"], "application_credential": credential}}});
    }
    let identity = match text("token") {
        Some(token) => json!({"methods": ["token"], "token": {"id": token}}),
        None => {
            let mut user = user;
            user["password"] = text("password").into();
            json!({"methods": ["password"], "password": {"user": user}})
        }
    };
    let mut out = json!({"auth": {"identity": identity}});
    if let Some(id) = text("project_id") {
        out["auth"]["scope"] = json!({"project": {"id": id}});
    } else if let Some(name) = text("project_name") {
        out["auth"]["scope"] = json!({"project": {"name": name, "domain": domain("project")}});
    }
    out
}

impl Session {
    /// Logs in.
    pub fn open(cloud: Cloud) -> Result<Self, Stop> {
        let base = cloud.auth_url.trim_end_matches('/');
        let base = if base.ends_with("/v3") { base.to_owned() } else { format!("{base}/v3") };
        let url = format!("{base}/auth/tokens");
        let (status, token, body) = send("POST", &url, &[], Some(&login(&cloud.auth)), "X-Subject-Token")?;
        if status >= 400 {
            let said = body["error"]["message"].as_str().unwrap_or("the login failed");
            return Err(Stop::Failed(format!("{said} (HTTP {status})")));
        }
        Ok(Session {
            token: token.unwrap_or_default(),
            catalog: body["token"]["catalog"].clone(),
            project: body["token"]["project"].clone(),
            cloud,
        })
    }

    /// Where a service is.
    fn endpoint(&self, kind: &str) -> Result<String, Stop> {
        let endpoints = self.catalog.as_array().into_iter().flatten().filter(|s| s["type"] == kind);
        let fits = |e: &&Value| {
            let region = self.cloud.region.as_deref();
            e["interface"] == self.cloud.interface.as_str()
                && region.is_none_or(|r| e["region_id"] == r || e["region"] == r)
        };
        let found = endpoints.flat_map(|s| s["endpoints"].as_array().into_iter().flatten()).find(fits);
        let url = found.and_then(|e| e["url"].as_str()).map(|url| url.trim_end_matches('/').to_owned());
        let url = url.ok_or_else(|| {
            let region = self.cloud.region.as_deref().unwrap_or("any");
            format!("{} endpoint for {kind} service in {region} region not found", self.cloud.interface)
        })?;
        if url.starts_with("https:") {
            return Err(Stop::HandOver);
        }
        Ok(if kind == "network" && !url.ends_with("/v2.0") { format!("{url}/v2.0") } else { url })
    }

    /// A request to a service; refusals are errors but those of the status `but`.
    fn request(
        &self,
        method: &str,
        kind: &str,
        path: &str,
        body: Option<&Value>,
        but: u16,
    ) -> Result<Answer, Stop> {
        let url = format!("{}{path}", self.endpoint(kind)?);
        let mut headers = vec![("X-Auth-Token", self.token.as_str())];
        if kind == "compute" {
            // Flavors inside of servers came with 2.47, typed keypairs with 2.2.
            headers.push(("OpenStack-API-Version", "compute 2.79"));
        }
        let (status, _, value) = send(method, &url, &headers, body, "")?;
        if status < 400 || status == but {
            return Ok((status, value));
        }
        // openstacksdk's words: the class of the status, whose fault, the service's message.
        let class = match status {
            400 => "BadRequestException",
            403 => "ForbiddenException",
            404 => "NotFoundException",
            409 => "ConflictException",
            _ => "HttpException",
        };
        let whose = if status >= 500 { "Server" } else { "Client" };
        let said = message(&value);
        Err(Stop::Failed(format!("{class}: {status}: {whose} Error for url: {url}, {said}")))
    }

    /// `GET`; null where there is nothing.
    pub fn get(&self, kind: &str, path: &str) -> Result<Value, Stop> {
        let (status, value) = self.request("GET", kind, path, None, 404)?;
        Ok(if status == 404 { Value::Null } else { value })
    }

    /// `POST`.
    pub fn post(&self, kind: &str, path: &str, body: &Value) -> Result<Value, Stop> {
        self.request("POST", kind, path, Some(body), 0).map(|(_, value)| value)
    }

    /// `PUT`.
    pub fn put(&self, kind: &str, path: &str, body: &Value) -> Result<Value, Stop> {
        self.request("PUT", kind, path, Some(body), 0).map(|(_, value)| value)
    }

    /// `DELETE`; what is gone already is no error.
    pub fn delete(&self, kind: &str, path: &str) -> Result<(), Stop> {
        self.request("DELETE", kind, path, None, 404).map(drop)
    }

    /// One thing by name or id: `list` names the collection, and the field it has in answers.
    pub fn find(&self, kind: &str, path: &str, list: &str, name: &str) -> Result<Option<Value>, Stop> {
        let encoded = encode(name);
        let query = if path.contains('?') { '&' } else { '?' };
        let found = self.get(kind, &format!("{path}{query}name={encoded}"))?;
        let same: Vec<&Value> =
            found[list].as_array().into_iter().flatten().filter(|v| v["name"] == name).collect();
        match same[..] {
            [one] => return Ok(Some(one.clone())),
            [] => {}
            _ => {
                let what = list.trim_end_matches('s');
                let what = format!("{}{}", what[..1].to_uppercase(), &what[1..]);
                return Err(Stop::Failed(format!(
                    "DuplicateResource: More than one {what} exists with the name '{name}'."
                )));
            }
        }
        let base = path.split('?').next().unwrap_or(path).trim_end_matches("/detail");
        let found = self.request("GET", kind, &format!("{base}/{encoded}"), None, 404);
        match found {
            // An id that is none is a bad request to some services.
            Ok((404, _)) | Err(Stop::Failed(_)) => Ok(None),
            Ok((_, value)) => {
                let one = value.as_object().and_then(|o| if o.len() == 1 { o.values().next() } else { None });
                Ok(Some(one.cloned().unwrap_or(value)))
            }
            Err(e) => Err(e),
        }
    }

    /// The cloud and its region, as messages name them.
    pub fn place(&self) -> String {
        format!("{}:{}", self.cloud.name, self.cloud.region.as_deref().unwrap_or_default())
    }

    /// What openstacksdk calls a resource's location.
    pub fn location(&self) -> Value {
        let domain = self.cloud.auth.get("project_domain_name").cloned().unwrap_or(Value::Null);
        json!({
            "cloud": self.cloud.name, "region_name": self.cloud.region, "zone": null,
            "project": {"id": self.project["id"], "name": self.project["name"], "domain_id": null, "domain_name": domain},
        })
    }
}

/// What a service said: each wraps its message in an object of another name.
fn message(value: &Value) -> String {
    let inner = value.as_object().and_then(|o| o.values().next()).unwrap_or(value);
    let said = inner.get("message").or_else(|| value.get("message")).unwrap_or(inner);
    said.as_str().map_or_else(|| said.to_string(), str::to_owned)
}

/// Percent-encodes what is no unreserved character (RFC 3986, 2.3).
pub fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins() {
        let auth = json!({"username": "u", "password": "p", "project_name": "d", "user_domain_name": "D"});
        let body = login(auth.as_object().expect("an object"));
        assert_eq!(body["auth"]["identity"]["password"]["user"]["domain"]["name"], "D");
        assert_eq!(body["auth"]["scope"]["project"], json!({"name": "d", "domain": {"name": "Default"}}));
        let auth = json!({"application_credential_id": "i", "application_credential_secret": "s"});
        let body = login(auth.as_object().expect("an object"));
        assert_eq!(body["auth"]["identity"]["application_credential"], json!({"id": "i", "secret": "s"}));
        assert!(body["auth"].get("scope").is_none());
    }

    #[test]
    fn urls_and_messages() {
        assert!(matches!(send("GET", "https://h", &[], None, ""), Err(Stop::HandOver)));
        assert_eq!(message(&json!({"conflictingRequest": {"code": 409, "message": "no"}})), "no");
        assert_eq!(message(&json!("text")), "text");
    }
}
