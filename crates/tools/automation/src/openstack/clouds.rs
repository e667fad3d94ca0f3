//! Which cloud a task means: `cloud`, `auth`, the environment, `clouds.yaml` (openstacksdk's "Configuring OpenStack SDK
//! Applications").

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::Stop;

/// How to log in, and where.
#[derive(Debug, Default, PartialEq)]
pub struct Cloud {
    /// Its name in `clouds.yaml`; `defaults` or `envvars` where it has none.
    pub name: String,
    /// Keystone's URL.
    pub auth_url: String,
    /// `auth`, with the environment's words.
    pub auth: Map<String, Value>,
    /// The region of its endpoints.
    pub region: Option<String>,
    /// `public`, `internal` or `admin`.
    pub interface: String,
}

/// Settings of `auth` and the variables they have.
const AUTH: &[&str] = &[
    "auth_url",
    "username",
    "user_id",
    "password",
    "project_name",
    "project_id",
    "user_domain_name",
    "user_domain_id",
    "project_domain_name",
    "project_domain_id",
    "domain_name",
    "domain_id",
    "token",
    "application_credential_id",
    "application_credential_name",
    "application_credential_secret",
];

/// Finds the cloud of a task.
pub fn find(params: &Map<String, Value>, environment: &[(String, String)]) -> Result<Cloud, Stop> {
    let env = |name: &str| {
        let set = environment.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        set.or_else(|| std::env::var(name).ok()).filter(|v| !v.is_empty())
    };
    let given = |name: &str| params.get(name).filter(|v| !v.is_null());
    if ["ca_cert", "client_cert", "client_key"].into_iter().any(|name| given(name).is_some()) {
        return Err(Stop::HandOver);
    }
    let mut name = String::from("defaults");
    let mut config = Map::new();
    match given("cloud") {
        Some(Value::Object(whole)) => config = whole.clone(),
        cloud => {
            let wanted = cloud.and_then(Value::as_str).map(str::to_owned).or_else(|| env("OS_CLOUD"));
            let files = file(&env)?;
            let all = files["clouds"].as_object();
            let named = match &wanted {
                Some(wanted) => {
                    let found = all.and_then(|all| all.get(wanted));
                    Some(
                        found
                            .map(|found| (wanted, found))
                            .ok_or_else(|| Stop::Failed(format!("Cloud {wanted} was not found.")))?,
                    )
                }
                None if env("OS_AUTH_URL").is_none() && given("auth").is_none() => {
                    all.filter(|all| all.len() == 1).and_then(|all| all.iter().next())
                }
                None => None,
            };
            if let Some((found, settings)) = named {
                name.clone_from(found);
                config = settings.as_object().cloned().unwrap_or_default();
            }
        }
    }
    if ["profile", "cacert", "cert", "key"].into_iter().any(|name| config.contains_key(name)) {
        return Err(Stop::HandOver);
    }
    let kind =
        given("auth_type").or_else(|| config.get("auth_type")).and_then(Value::as_str).map(str::to_owned);
    let kind = kind.or_else(|| env("OS_AUTH_TYPE"));
    const KINDS: &[&str] = &["password", "v3password", "token", "v3token", "v3applicationcredential"];
    if kind.is_some_and(|kind| !KINDS.contains(&kind.as_str())) {
        return Err(Stop::HandOver);
    }
    let mut auth = Map::new();
    if name == "defaults" {
        for field in AUTH {
            if let Some(value) = env(&format!("OS_{}", field.to_uppercase())) {
                auth.insert((*field).into(), value.into());
            }
        }
    }
    for source in [config.get("auth"), given("auth")] {
        auth.extend(source.and_then(Value::as_object).cloned().unwrap_or_default());
    }
    let auth_url = auth.get("auth_url").and_then(Value::as_str).unwrap_or_default().to_owned();
    if auth_url.is_empty() {
        return Err(Stop::Failed("Missing value auth_url required for auth plugin password".into()));
    }
    let text = |name: &str| config.get(name).and_then(Value::as_str).map(str::to_owned);
    let region = given("region_name").and_then(Value::as_str).map(str::to_owned);
    Ok(Cloud {
        name,
        auth_url,
        auth,
        region: region.or_else(|| text("region_name")).or_else(|| env("OS_REGION_NAME")),
        interface: given("interface").and_then(Value::as_str).unwrap_or("public").to_owned(),
    })
}

/// The first `clouds.yaml` there is; secrets in a file beside it are Python's to join.
fn file(env: &dyn Fn(&str) -> Option<String>) -> Result<Value, Stop> {
    let mut places: Vec<PathBuf> = env("OS_CLIENT_CONFIG_FILE").map(PathBuf::from).into_iter().collect();
    let home = env("HOME").map(|home| format!("{home}/.config/openstack"));
    for dir in [Some(".".to_owned()), home, Some("/etc/openstack".into())].into_iter().flatten() {
        places.extend(["yaml", "yml"].map(|end| PathBuf::from(format!("{dir}/clouds.{end}"))));
    }
    let Some(path) = places.into_iter().find(|p| p.is_file()) else { return Ok(Value::Null) };
    if path.with_file_name("secure.yaml").exists() {
        return Err(Stop::HandOver);
    }
    let shown: Arc<str> = path.display().to_string().into();
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{shown}: {e}"))?;
    let value = crate::source::yaml::parse(&text, &shown, false).map_err(|e| e.brief())?;
    Ok(value.to_json())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cloud_in_the_task() {
        let params = json!({"cloud": {"auth": {"auth_url": "http://k/v3", "username": "u"}, "region_name": "R"}, "auth": {"username": "v"}});
        let Ok(cloud) = find(params.as_object().expect("an object"), &[]) else { panic!("a cloud") };
        assert_eq!((cloud.auth_url.as_str(), cloud.region.as_deref()), ("http://k/v3", Some("R")));
        assert_eq!(cloud.auth["username"], "v");
        let tls = json!({"cloud": {"auth": {"auth_url": "https://k"}, "cacert": "/x"}});
        assert!(matches!(find(tls.as_object().expect("an object"), &[]), Err(Stop::HandOver)));
    }
}
