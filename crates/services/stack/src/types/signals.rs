//! Wait conditions: a stack waits until something outside says that it may go on.

use std::time::Duration;

use pileus_base::{Error, Result, Time};
use pileus_store::Read;
use serde_json::{Map, json};

use super::{At, Kind, Registry, View};
use crate::{
    model::{
        Constraint, Json, Property,
        schema::{Schema, schema},
    },
    store::resources::{self, Item},
};

/// Adds them.
pub fn register(registry: &mut Registry) {
    registry.add(Handle);
    registry.add(Condition);
}

struct Handle;

fn endpoint(view: &View<'_>) -> String {
    let stack = view.stack;
    format!("{}/stacks/{}/{}/resources/{}/signal", stack.base, stack.name, stack.id, view.item.name)
}

impl Kind for Handle {
    fn name(&self) -> &'static str {
        "OS::Heat::WaitConditionHandle"
    }
    fn about(&self) -> &'static str {
        "Resource for managing instance signals."
    }
    fn schema(&self) -> Schema {
        let transports = ["TOKEN_SIGNAL", "HEAT_SIGNAL", "CFN_SIGNAL", "TEMP_URL_SIGNAL", "ZAQAR_SIGNAL"];
        schema([(
            "signal_transport",
            Property::string().default("TOKEN_SIGNAL").constraint(Constraint::one_of(&transports)),
        )])
    }
    fn attributes(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("endpoint", "Endpoint/url which can be used for signalling handle."),
            (
                "curl_cli",
                "Convenience attribute, provides curl CLI command prefix, which can be used for signalling handle completion or failure.",
            ),
        ]
    }
    fn create(&self, at: &mut At<'_, '_>) -> Result<()> {
        at.item.physical_id = Some(at.physical_name(255));
        Ok(())
    }
    fn attribute(&self, _: &mut Read<'_>, view: &View<'_>, name: &str) -> Result<Option<Json>> {
        Ok(match name {
            "endpoint" => Some(endpoint(view).into()),
            "curl_cli" => Some(
                format!(
                    "curl -i -X POST -H 'X-Auth-Token: $OS_TOKEN' -H 'Content-Type: application/json' -H 'Accept: application/json' {}",
                    endpoint(view)
                )
                .into(),
            ),
            _ => None,
        })
    }
    fn signal(&self, at: &mut At<'_, '_>, details: &Json) -> Result<String> {
        let text = |key: &str| details[key].as_str().map(str::to_owned);
        let status = text("status").unwrap_or_else(|| "SUCCESS".into());
        if !["SUCCESS", "FAILURE"].contains(&status.as_str()) {
            return Err(Error::bad_request(format!("Invalid signal status {status}")).code("ValueError"));
        }
        let mut signals = super::heat::object(at.item.data.get("signals").unwrap_or(&Json::Null));
        let id = details.get("id").map(|i| i.as_str().map_or_else(|| i.to_string(), str::to_owned));
        let id = id.unwrap_or_else(|| (signals.len() + 1).to_string());
        let reason = text("reason").unwrap_or_else(|| format!("Signal {id} received"));
        let data = details.get("data").cloned().unwrap_or(Json::Null);
        signals.insert(id, json!({"data": data, "reason": reason, "status": status}));
        at.item.data.insert("signals".into(), Json::Object(signals));
        // Whoever waits looks again.
        for other in resources::current(at.tx, at.item.stack)? {
            if other.engine == "OS::Heat::WaitCondition" {
                pileus_jobs::wake(at.tx, Item::subject(other.id))?;
            }
        }
        Ok(format!("status:{status} reason:{reason}"))
    }
}

struct Condition;

impl Condition {
    /// The signals of the handle that a condition names.
    fn signals(rd: &mut Read<'_>, item: &Item) -> Result<Map<String, Json>> {
        let handle = item.properties.get("handle").and_then(Json::as_str).unwrap_or_default();
        let found = resources::current(rd, item.stack)?;
        let found = found.into_iter().find(|i| i.physical_id.as_deref() == Some(handle));
        Ok(super::heat::object(found.as_ref().and_then(|i| i.data.get("signals")).unwrap_or(&Json::Null)))
    }
}

impl Kind for Condition {
    fn name(&self) -> &'static str {
        "OS::Heat::WaitCondition"
    }
    fn about(&self) -> &'static str {
        "Resource for handling signals received by WaitConditionHandle."
    }
    fn schema(&self) -> Schema {
        schema([
            ("handle", Property::string().required()),
            ("timeout", Property::number().required().constraint(Constraint::range(Some(1), Some(43_200)))),
            (
                "count",
                Property::integer().default(1).updatable().constraint(Constraint::range(Some(1), None)),
            ),
        ])
    }
    fn attributes(&self) -> &'static [(&'static str, &'static str)] {
        &[("data", "JSON string containing data associated with wait condition signals sent to the handle.")]
    }
    fn create(&self, at: &mut At<'_, '_>) -> Result<()> {
        at.item.physical_id = Some(at.physical_name(255));
        Ok(())
    }
    fn created(&self, at: &mut At<'_, '_>) -> Result<bool> {
        let signals = Self::signals(at.tx, at.item)?;
        let failed: Vec<&str> = signals
            .values()
            .filter(|s| s["status"] == "FAILURE")
            .filter_map(|s| s["reason"].as_str())
            .collect();
        if !failed.is_empty() {
            return Err(Error::bad_request(failed.join(";")).code("WaitConditionFailure"));
        }
        let count = at.property("count").as_u64().unwrap_or(1) as usize;
        if signals.len() >= count {
            return Ok(true);
        }
        let secs = at.property("timeout").as_f64().unwrap_or(1.0);
        if Time::now() >= at.item.updated_at.plus_millis((secs * 1000.0) as i64) {
            let message = format!("{} of {count} received", signals.len());
            return Err(Error::bad_request(message).code("WaitConditionTimeout"));
        }
        Ok(false)
    }
    fn attribute(&self, rd: &mut Read<'_>, view: &View<'_>, name: &str) -> Result<Option<Json>> {
        if name != "data" {
            return Ok(None);
        }
        let signals = Self::signals(rd, view.item)?;
        let data: Map<String, Json> = signals.into_iter().map(|(id, s)| (id, s["data"].clone())).collect();
        Ok(Some(Json::Object(data).to_string().into()))
    }
    fn pace(&self) -> Duration {
        Duration::from_secs(1)
    }
}
