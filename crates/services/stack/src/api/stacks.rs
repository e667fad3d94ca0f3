//! Stacks: made, shown, changed, removed, tried out.

use pileus_base::{Error, Result, Scope};
use pileus_http::Reply;
use pileus_store::Stored;
use serde_json::{Map, json};

use super::Req;
use crate::{
    Stacks,
    engine::{begin, context},
    model::{Environment, Json, Template, constraints::Unchecked, names, params::StackIdentity},
    store::{
        resources::{self, Item},
        stacks::{Owner, Stack},
    },
    wire::{request::Body, views},
};

/// The stack that a body asks for.
fn asked(call: &Req, body: &Body) -> Result<begin::NewStack> {
    if !body.adopt_stack_data.is_null() {
        return Err(crate::wire::fault::unbuilt("Stack adopt"));
    }
    let project_id = super::project(call)?;
    Ok(begin::NewStack {
        name: body.name()?.to_owned(),
        source: body.source()?,
        owner: Owner::of(&call.ctx),
        disable_rollback: body.disable_rollback()?.unwrap_or(true),
        timeout_mins: body.timeout_mins()?,
        tags: body.tags()?.unwrap_or_default(),
        parent: None,
        base: views::root(&call.base, &project_id),
        project_id,
    })
}

/// `POST /stacks`
pub async fn create(mut call: Req) -> Result<Reply> {
    super::project(&call)?;
    let body: Body = call.json().await?;
    let (stacks, ctx) = (call.state.clone(), call.ctx.clone());
    let wanted = asked(&call, &body)?;
    let made = call.state.store.write(move |tx| begin::create(&stacks, tx, &ctx, wanted.clone())).await?;
    Ok(Reply::json(201, &json!({"stack": views::stack_ref(&call.base, &made)}))?
        .location(views::stack_url(&call.base, &made)))
}

/// `POST /stacks/preview`
pub async fn preview(mut call: Req) -> Result<Reply> {
    super::project(&call)?;
    let body: Body = call.json().await?;
    let wanted = asked(&call, &body)?;
    names::check_stack(&wanted.name)?;
    let (stacks, ctx, base) = (call.state.clone(), call.ctx.clone(), call.base.clone());
    // Nothing is written: a draft is looked at and dropped.
    let shown = call.state.store.write(move |tx| {
        let (stack, loaded) = begin::draft(&stacks, tx, &ctx, wanted.clone())?;
        let graph = begin::graph(&stacks, &loaded)?;
        let names = graph.order(|n| loaded.parsed.label(n))?;
        let items: Vec<Item> = names.iter().map(|n| begin::item(&stack, &loaded, &graph, n)).collect();
        let show = |i: &Item| {
            let around = views::Around { stack: &stack, items: &items, nested: None };
            let mut out = views::item(&base, i, &around);
            let definition = &i.definition["properties"];
            out.insert(
                "properties".into(),
                if definition.is_null() { json!({}) } else { definition.clone() },
            );
            out.insert("attributes".into(), json!({}));
            out.insert("metadata".into(), json!({}));
            out.insert("description".into(), "".into());
            Json::Object(out)
        };
        let mut out = views::stack_full(&base, &stack, loaded.parameters.shown(), None);
        out["resources"] = items.iter().map(show).collect();
        out["stack_status"] = Json::Null;
        Ok(out)
    });
    Reply::ok(&json!({"stack": shown.await?}))
}

/// `GET /stacks/{name}/{id}`
pub async fn show(call: Req) -> Result<Reply> {
    let found = super::stack(&call).await?;
    let outputs = call.query.flag("resolve_outputs") != Some(false);
    let (stacks, base) = (call.state.clone(), call.base.clone());
    let shown = call.state.store.read(move |rd| view(&stacks, rd, &base, &found, outputs)).await?;
    Reply::ok(&json!({"stack": shown}))
}

/// A stack whole.
pub fn view(
    stacks: &Stacks,
    rd: &mut pileus_store::Read<'_>,
    base: &pileus_http::Base,
    stack: &Stack,
    outputs: bool,
) -> Result<Json> {
    let parameters = stack.load()?.parameters;
    let shown = parameters.shown();
    let outputs = outputs.then(|| context::described_outputs(stacks, rd, stack)).transpose()?;
    Ok(views::stack_full(base, stack, shown, outputs))
}

async fn change(mut call: Req, patch: bool) -> Result<Reply> {
    let found = super::stack(&call).await?;
    let body: Body = call.json().await?;
    let (stacks, ctx) = (call.state.clone(), call.ctx.clone());
    let scope = super::scope(&call)?;
    alive(&found)?;
    let (rollback, timeout, tags) = (body.disable_rollback()?, body.timeout_mins()?, body.tags()?);
    let tags = if patch { tags } else { Some(tags.unwrap_or_default()) };
    let done = call.state.store.write(move |tx| {
        let stack: Stored<Stack> = tx.get(&scope, found.id)?;
        let source = if patch { body.patched(&stack.source)? } else { body.source()? };
        let change =
            begin::Change { source, disable_rollback: rollback, timeout_mins: timeout, tags: tags.clone() };
        begin::update(&stacks, tx, &ctx, stack, change).map(drop)
    });
    done.await?;
    Ok(Reply::empty(202))
}

fn alive(stack: &Stack) -> Result<()> {
    match stack.deleted_at {
        Some(_) => Err(crate::store::stacks::not_found(&stack.name)),
        None => Ok(()),
    }
}

/// `PUT /stacks/{name}/{id}`
pub async fn update(call: Req) -> Result<Reply> {
    change(call, false).await
}

/// `PATCH /stacks/{name}/{id}`
pub async fn update_patch(call: Req) -> Result<Reply> {
    change(call, true).await
}

/// `PUT /stacks/{name}/{id}/preview`
pub async fn preview_update(mut call: Req) -> Result<Reply> {
    let found = super::stack(&call).await?;
    let patch = call.method == pileus_http::Method::PATCH;
    let body: Body = call.json().await?;
    let source = if patch { body.patched(&found.source)? } else { body.source()? };
    let loaded = source.load(&found.identity())?;
    let (stacks, base) = (call.state.clone(), call.base.clone());
    let shown = call.state.store.read(move |rd| {
        let items: Vec<Item> = resources::current(rd, found.id)?.into_iter().map(|i| i.value).collect();
        let around = views::Around { stack: &found, items: &items, nested: None };
        let show = |i: &Item| Json::Object(views::item(&base, i, &around));
        let graph = begin::graph(&stacks, &loaded)?;
        let mut out = Map::new();
        let mut sort = |key: &str, wanted: &dyn Fn(&Item) -> bool| {
            out.insert(key.into(), items.iter().filter(|i| wanted(i)).map(show).collect());
        };
        let same =
            |i: &Item| loaded.parsed.resources.get(&i.name).is_some_and(|d| d.to_json() == i.definition);
        let kept = |i: &Item| loaded.parsed.resources.contains_key(&i.name);
        let kind = |i: &Item| loaded.parsed.resources.get(&i.name).is_some_and(|d| d.kind == i.kind);
        sort("unchanged", &|i| same(i));
        sort("updated", &|i| kept(i) && !same(i) && kind(i));
        sort("replaced", &|i| kept(i) && !kind(i));
        sort("deleted", &|i| !kept(i));
        let added = graph.names().filter(|n| !items.iter().any(|i| i.name == **n));
        let added: Vec<Json> = added.map(|n| show(&begin::item(&found, &loaded, &graph, n))).collect();
        out.insert("added".into(), added.into());
        Ok(Json::Object(out))
    });
    Reply::ok(&json!({"resource_changes": shown.await?}))
}

/// `DELETE /stacks/{name}/{id}`
pub async fn delete(call: Req) -> Result<Reply> {
    let found = super::stack(&call).await?;
    if found.parent.is_some() && !call.ctx.is_admin() {
        // As Heat: a nested stack goes with its parent.
        let message = "Nested stacks are deleted with their parents.";
        return Err(Error::bad_request(message).code("NotSupported"));
    }
    let stacks = call.state.clone();
    let done = call.state.store.write(move |tx| {
        let stack: Stored<Stack> = tx.get(&Scope::All, found.id)?;
        begin::delete(&stacks, tx, stack).map(drop)
    });
    done.await?;
    Ok(Reply::no_content())
}

/// All that a stack is, for a life elsewhere.
fn exported(stack: &Stack, items: &[Stored<Item>]) -> Json {
    let one = |i: &Stored<Item>| {
        let shown = json!({
            "name": i.name,
            "resource_id": i.physical_id,
            "type": i.kind,
            "action": i.action.word(),
            "status": i.status.word(),
            "metadata": i.metadata,
            "resource_data": i.data,
            "external_id": null,
        });
        (i.name.clone(), shown)
    };
    json!({
        "name": stack.name,
        "id": stack.id,
        "action": stack.action.word(),
        "status": stack.status.word(),
        "environment": stack.source.environment,
        "files": stack.source.files,
        "template": stack.source.template,
        "project_id": stack.project_id,
        "stack_user_project_id": stack.user_project_id,
        "tags": stack.tags,
        "resources": items.iter().map(one).collect::<Map<_, _>>(),
    })
}

/// `GET /stacks/{name}/{id}/export`
pub async fn export(call: Req) -> Result<Reply> {
    let found = super::stack(&call).await?;
    let shown = call.state.store.read(move |rd| Ok(exported(&found, &resources::current(rd, found.id)?)));
    Reply::ok(&shown.await?)
}

/// `DELETE /stacks/{name}/{id}/abandon`
pub async fn abandon(call: Req) -> Result<Reply> {
    let found = super::stack(&call).await?;
    let stacks = call.state.clone();
    let shown = call.state.store.write(move |tx| {
        let stack: Stored<Stack> = tx.get(&Scope::All, found.id)?;
        begin::idle(&stack)?;
        let shown = exported(&stack, &resources::current(tx, stack.id)?);
        for mut item in resources::all(tx, stack.id)? {
            item.retain = true;
            tx.put(&item)?;
        }
        begin::delete(&stacks, tx, stack)?;
        Ok(shown)
    });
    Reply::ok(&shown.await?)
}

/// `GET /stacks/{name}/{id}/template`
pub async fn template(call: Req) -> Result<Reply> {
    Reply::ok(&super::stack(&call).await?.source.template)
}

/// `GET /stacks/{name}/{id}/environment`
pub async fn environment(call: Req) -> Result<Reply> {
    Reply::ok(&super::stack(&call).await?.source.environment)
}

/// `GET /stacks/{name}/{id}/files`
pub async fn files(call: Req) -> Result<Reply> {
    Reply::ok(&super::stack(&call).await?.source.files)
}

/// `POST /validate`
pub async fn validate(mut call: Req) -> Result<Reply> {
    let project = super::project(&call)?;
    let body: Body = call.json().await?;
    let source = body.source()?;
    let template = Template::from_json(source.template.clone())?;
    let environment: Environment = source.environment()?;
    let identity = StackIdentity { project_id: project.to_string(), ..StackIdentity::default() };
    let parameters = template.parameters(&identity, &environment)?;
    let known = crate::engine::custom::KnownTypes { stacks: &call.state, files: &source.files };
    template.validate(&parameters, &source.files, &environment, &known, &Unchecked, false)?;
    let described = parameters.iter().filter(|(_, p)| !p.pseudo).map(|(n, p)| (n.to_owned(), p.to_json(n)));
    let mut out = json!({
        "Description": template.description(),
        "Parameters": described.collect::<Map<_, _>>(),
        "Environment": environment.to_json(),
    });
    if let Some(groups) = template.raw.get("parameter_groups").filter(|g| !g.is_null()) {
        out["ParameterGroups"] = groups.clone();
    }
    Reply::ok(&out)
}
