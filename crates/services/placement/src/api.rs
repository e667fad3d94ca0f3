//! The API. Shapes are those of 1.39, to which the clients negotiate; older ones are refused.

use std::{collections::BTreeMap, sync::Arc};

use pileus_base::{
    Error, Kind, Result, Scope,
    ids::{ProjectId, ProviderId, UserId},
};
use pileus_http::{Family, Fault, Microversions, Reply, Routes, Service, Version, public_message, status_of};
use pileus_store::{Query, Resource, Stored, taken};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    Placement, allocations, candidates,
    model::{Allocation, Inventory, Provider},
    rules as r,
};

/// Placement's family.
pub static FAMILY: Family = Family {
    name: "placement",
    fault,
    denied: |rule| format!("Policy does not allow {rule} to be performed."),
    versions: Some(Microversions {
        service: "placement",
        min: Version(1, 0),
        max: Version(1, 39),
        legacy_header: None,
    }),
    request_id_header: None,
    body_max: 1 << 20,
};

fn fault(error: &Error) -> Fault {
    let status = status_of(error.kind());
    let title = http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Error");
    let code = match error.code_word() {
        Some("ConcurrentUpdate") => "placement.concurrent_update",
        Some("InventoryInUse") => "placement.inventory.inuse",
        _ => "placement.undefined_code",
    };
    let detail = format!("{}\n\n   ", public_message(error));
    Fault::json(
        status,
        &json!({"errors": [{"status": status, "title": title, "detail": detail, "code": code}]}),
    )
}

/// A request.
pub type Call = pileus_http::Call<Arc<Placement>>;

/// The table.
pub fn routes(placement: Arc<Placement>) -> Service {
    Routes::new(&FAMILY, placement)
        .get("/", r::VERSIONS, root)
        .get("/resource_providers", r::PROVIDERS_LIST, list)
        .post("/resource_providers", r::PROVIDERS_CREATE, create)
        .get("/resource_providers/{id}", r::PROVIDERS_SHOW, show)
        .put("/resource_providers/{id}", r::PROVIDERS_UPDATE, update)
        .delete("/resource_providers/{id}", r::PROVIDERS_DELETE, delete)
        .get("/resource_providers/{id}/inventories", r::INVENTORIES_LIST, inventories)
        .put("/resource_providers/{id}/inventories", r::INVENTORIES_UPDATE, set_inventories)
        .get("/resource_providers/{id}/usages", r::PROVIDER_USAGES, usages)
        .get("/resource_providers/{id}/traits", r::PROVIDER_TRAITS, traits)
        .put("/resource_providers/{id}/traits", r::PROVIDER_TRAITS_UPDATE, set_traits)
        .get("/resource_providers/{id}/aggregates", r::PROVIDER_AGGREGATES, aggregates)
        .get("/resource_providers/{id}/allocations", r::PROVIDER_ALLOCATIONS, provider_allocations)
        .get("/allocations/{consumer}", r::ALLOCATIONS_LIST, consumer)
        .put("/allocations/{consumer}", r::ALLOCATIONS_UPDATE, set_consumer)
        .delete("/allocations/{consumer}", r::ALLOCATIONS_DELETE, delete_consumer)
        .get("/allocation_candidates", r::CANDIDATES, candidates::list)
        .get("/usages", r::USAGES, project_usages)
        .get("/traits", r::TRAITS, all_traits)
        .get("/resource_classes", r::CLASSES, classes)
        .build()
}

async fn root(call: Call) -> Result<Reply> {
    Reply::ok(&json!({"versions": [{
        "id": "v1.0", "max_version": "1.39", "min_version": "1.0", "status": "CURRENT",
        "links": [{"rel": "self", "href": call.base.url("")}],
    }]}))
}

fn view(provider: &Provider, call: &Call) -> Value {
    let at = format!("{}/resource_providers/{}", call.base.prefix, provider.id);
    let rels = ["inventories", "usages", "aggregates", "traits", "allocations"];
    let mut links = vec![json!({"rel": "self", "href": at})];
    links.extend(rels.map(|r| json!({"rel": r, "href": format!("{at}/{r}")})));
    json!({
        "uuid": provider.id, "name": provider.name, "generation": provider.generation,
        "parent_provider_uuid": provider.parent, "root_provider_uuid": provider.parent.unwrap_or(provider.id),
        "links": links,
    })
}

async fn named(call: &Call) -> Result<Stored<Provider>> {
    let id: ProviderId = call.id("id", Provider::not_found)?;
    call.state.store.read(move |rd| rd.get(&Scope::All, id)).await
}

async fn list(call: Call) -> Result<Reply> {
    let all = call.state.store.read(|rd| rd.list::<Provider>(&Scope::All, &Query::all())).await?;
    let q = &call.query;
    let kept = all.iter().filter(|p| {
        q.get("name").is_none_or(|n| n == p.name) && q.get("uuid").is_none_or(|u| u == p.id.to_string())
    });
    let views: Vec<_> = kept.map(|p| view(p, &call)).collect();
    Reply::ok(&json!({"resource_providers": views}))
}

async fn create(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let name = body["name"].as_str().filter(|n| !n.is_empty() && n.len() <= 200);
    let name =
        name.ok_or_else(|| Error::bad_request("JSON does not validate: 'name' is a required property"))?;
    let id = match body.get("uuid").and_then(Value::as_str) {
        None => ProviderId::new(),
        Some(text) => text.parse()?,
    };
    let provider = Provider::new(id, name);
    let made = provider.clone();
    let write = call.state.store.write(move |tx| {
        tx.insert(&made).map_err(|e| match taken(&e) {
            Some(t) => Error::conflict(format!("Conflicting resource provider {} already exists.", t.value)),
            None => e,
        })
    });
    write.await?;
    let location = call.base.url(&format!("/resource_providers/{id}"));
    Ok(Reply::json(200, &view(&provider, &call))?.location(location))
}

async fn show(call: Call) -> Result<Reply> {
    let provider = named(&call).await?;
    Reply::ok(&view(&provider, &call))
}

async fn update(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let name =
        body["name"].as_str().ok_or_else(|| Error::bad_request("'name' is a required property"))?.to_owned();
    let id = named(&call).await?.id;
    let write = call.state.store.write(move |tx| {
        tx.update::<Provider>(&Scope::All, id, |p| {
            p.name.clone_from(&name);
            Ok(())
        })
    });
    let provider = write.await?;
    Reply::ok(&view(&provider, &call))
}

async fn delete(call: Call) -> Result<Reply> {
    let id = named(&call).await?.id;
    let write = call.state.store.write(move |tx| {
        if tx.count::<Allocation>(&Scope::All, &Query::by("provider", id))? > 0 {
            return Err(Error::conflict(format!(
                "Unable to delete resource provider {id}: it has allocations."
            )));
        }
        tx.delete::<Provider>(id)
    });
    write.await.map(|_| Reply::no_content())
}

fn inventories_view(p: &Provider) -> Value {
    json!({"resource_provider_generation": p.generation, "inventories": p.inventories})
}

async fn inventories(call: Call) -> Result<Reply> {
    Reply::ok(&inventories_view(&*named(&call).await?))
}

fn stale() -> Error {
    Error::new(Kind::Conflict, "resource provider generation conflict").code("ConcurrentUpdate")
}

async fn set_inventories(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let wanted: BTreeMap<String, Inventory> = serde_json::from_value(body["inventories"].clone())
        .map_err(|e| Error::bad_request(format!("JSON does not validate: {e}")))?;
    let generation = body["resource_provider_generation"].as_u64();
    let id = named(&call).await?.id;
    let write = call.state.store.write(move |tx| {
        for class in tx.get::<Provider>(&Scope::All, id)?.inventories.keys() {
            if !wanted.contains_key(class) && allocations::used(tx, id, class)? > 0 {
                return Err(Error::conflict(format!(
                    "Inventory for '{class}' on resource provider '{id}' in use."
                ))
                .code("InventoryInUse"));
            }
        }
        tx.update::<Provider>(&Scope::All, id, |p| {
            if Some(p.generation) != generation {
                return Err(stale());
            }
            p.inventories.clone_from(&wanted);
            p.generation += 1;
            Ok(())
        })
    });
    let provider = write.await?;
    Reply::ok(&inventories_view(&provider))
}

async fn usages(call: Call) -> Result<Reply> {
    let provider = named(&call).await?.value;
    let (id, classes) = (provider.id, provider.inventories.keys().cloned().collect::<Vec<_>>());
    let read = call.state.store.read(move |rd| {
        classes
            .iter()
            .map(|c| Ok((c.clone(), allocations::used(rd, id, c)?)))
            .collect::<Result<BTreeMap<_, _>>>()
    });
    Reply::ok(&json!({"resource_provider_generation": provider.generation, "usages": read.await?}))
}

async fn traits(call: Call) -> Result<Reply> {
    let p = named(&call).await?;
    Reply::ok(&json!({"traits": p.traits, "resource_provider_generation": p.generation}))
}

async fn set_traits(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let wanted: std::collections::BTreeSet<String> = serde_json::from_value(body["traits"].clone())
        .map_err(|e| Error::bad_request(format!("JSON does not validate: {e}")))?;
    let generation = body["resource_provider_generation"].as_u64();
    let id = named(&call).await?.id;
    let write = call.state.store.write(move |tx| {
        tx.update::<Provider>(&Scope::All, id, |p| {
            if Some(p.generation) != generation {
                return Err(stale());
            }
            p.traits.clone_from(&wanted);
            p.generation += 1;
            Ok(())
        })
    });
    let p = write.await?;
    Reply::ok(&json!({"traits": p.traits, "resource_provider_generation": p.generation}))
}

async fn aggregates(call: Call) -> Result<Reply> {
    let p = named(&call).await?;
    Reply::ok(&json!({"aggregates": p.aggregates, "resource_provider_generation": p.generation}))
}

async fn provider_allocations(call: Call) -> Result<Reply> {
    let p = named(&call).await?;
    let id = p.id;
    let read =
        call.state.store.read(move |rd| rd.list::<Allocation>(&Scope::All, &Query::by("provider", id)));
    let all: Map<String, Value> = read
        .await?
        .iter()
        .map(|a| {
            (
                a.consumer.to_string(),
                json!({"resources": a.resources.get(&id), "consumer_generation": a.generation}),
            )
        })
        .collect();
    Reply::ok(&json!({"allocations": all, "resource_provider_generation": p.generation}))
}

fn consumer_id(call: &Call) -> Result<Uuid> {
    pileus_base::ids::parse_uuid(call.param("consumer"))
}

async fn consumer(call: Call) -> Result<Reply> {
    let id = consumer_id(&call)?;
    let found = call.state.store.read(move |rd| rd.find::<Allocation>(&Scope::All, id)).await?;
    let Some(a) = found else { return Reply::ok(&json!({"allocations": {}})) };
    let all: Map<String, Value> =
        a.resources.iter().map(|(p, r)| (p.to_string(), json!({"resources": r, "generation": 0}))).collect();
    Reply::ok(&json!({
        "allocations": all, "project_id": a.project_id, "user_id": a.user_id,
        "consumer_generation": a.generation, "consumer_type": "INSTANCE",
    }))
}

async fn set_consumer(mut call: Call) -> Result<Reply> {
    let id = consumer_id(&call)?;
    let body = call.value().await?;
    let mut resources = BTreeMap::new();
    let asked = body["allocations"]
        .as_object()
        .ok_or_else(|| Error::bad_request("JSON does not validate: 'allocations' is a required property"))?;
    for (provider, wanted) in asked {
        let amounts: BTreeMap<String, u64> = serde_json::from_value(wanted["resources"].clone())
            .map_err(|e| Error::bad_request(format!("JSON does not validate: {e}")))?;
        if amounts.is_empty() || amounts.values().any(|n| *n == 0) {
            return Err(Error::bad_request(
                "JSON does not validate: resources must be at least 1 of something",
            ));
        }
        resources.insert(provider.parse()?, amounts);
    }
    let text = |key: &str| body[key].as_str().map(str::to_owned);
    let project: ProjectId =
        text("project_id").ok_or_else(|| Error::bad_request("'project_id' is a required property"))?.into();
    let user: Option<UserId> = text("user_id").map(Into::into);
    let generation = body["consumer_generation"].as_u64();
    let write = call.state.store.write(move |tx| {
        let known = tx.find::<Allocation>(&Scope::All, id)?.map(|a| a.generation);
        if known != generation {
            return Err(Error::conflict("consumer generation conflict").code("ConcurrentUpdate"));
        }
        allocations::set(tx, id, &project, user.as_ref(), resources.clone())
    });
    write.await.map(|()| Reply::no_content())
}

async fn delete_consumer(call: Call) -> Result<Reply> {
    let id = consumer_id(&call)?;
    let write = call.state.store.write(move |tx| {
        if tx.find::<Allocation>(&Scope::All, id)?.is_none() {
            return Err(Error::not_found(format!("No allocations for consumer '{id}'")));
        }
        allocations::release(tx, id)
    });
    write.await.map(|()| Reply::no_content())
}

async fn project_usages(call: Call) -> Result<Reply> {
    let asked = call
        .query
        .get("project_id")
        .ok_or_else(|| Error::bad_request("'project_id' is a required property"))?;
    let project: ProjectId = asked.into();
    if !call.scope.covers(Some(&project)) {
        return Err(call.denied());
    }
    let read = call
        .state
        .store
        .read(move |rd| rd.list::<Allocation>(&Scope::Project(project.clone()), &Query::all()));
    let mut usages: BTreeMap<String, u64> = BTreeMap::new();
    let all = read.await?;
    for (class, amount) in all.iter().flat_map(|a| a.resources.values()).flatten() {
        *usages.entry(class.clone()).or_default() += amount;
    }
    Reply::ok(&json!({"usages": {"all": {"consumer_count": all.len(), "usages": usages}}}))
}

async fn all_traits(call: Call) -> Result<Reply> {
    let all = call.state.store.read(|rd| rd.list::<Provider>(&Scope::All, &Query::all())).await?;
    let traits: std::collections::BTreeSet<_> = all.iter().flat_map(|p| p.traits.clone()).collect();
    Reply::ok(&json!({"traits": traits}))
}

async fn classes(call: Call) -> Result<Reply> {
    let at = format!("{}/resource_classes", call.base.prefix);
    let class = |n: &str| json!({"name": n, "links": [{"rel": "self", "href": format!("{at}/{n}")}]});
    let classes = ["VCPU", "MEMORY_MB", "DISK_GB"].map(class);
    Reply::ok(&json!({"resource_classes": classes}))
}
