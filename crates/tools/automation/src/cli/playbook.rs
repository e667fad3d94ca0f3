//! `ansible-playbook`.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use pileus_jinja::Value;

use crate::callback::choose;
use crate::execute::strategy::Ended;
use crate::execute::{World, plays};
use crate::playbook::{Block, Files, K, Node, Play};
use crate::python::handover;
use crate::source::paths;
use crate::{Error, config, display};

use super::args::{Count, Given, Grammar};
use super::{common, flags, running};

/// The options, in the order of the usage line.
fn grammar() -> Grammar {
    let mut g = Grammar::new(
        "ansible-playbook",
        "Runs Ansible playbooks, executing the defined tasks on the targeted hosts.",
    )
    .arguments(Count::Some, "playbook", "Playbook(s)")
    .with(flags::base())
    .with(flags::connect())
    .with([flags::force_handlers()])
    .with(flags::runas())
    .with(flags::tags())
    .with(flags::check())
    .with(flags::inventory())
    .with([flags::extra_vars()])
    .with(flags::vaults())
    .with([flags::forks(), flags::module_path()])
    .with(flags::playbook());
    g.groups = vec![flags::CONNECTION_GROUP, flags::BECOME_GROUP];
    g
}

/// The whole program; the exit code.
pub fn main(args: &[OsString]) -> i32 {
    common::run(&grammar(), args, |given, config| run(given, config, args))
}

fn run(given: &Given, config: &'static config::Config, args: &[OsString]) -> Result<i32, Error> {
    for p in &given.args {
        if p.split('.').count() >= 3 && !p.contains('/') && !Path::new(p).exists() {
            continue;
        }
        if !Path::new(p).exists() {
            return Err(Error::new(format!("the playbook: {p} could not be found")));
        }
        let meta = std::fs::metadata(p).map_err(|e| Error::new(format!("{p}: {e}")))?;
        if meta.is_dir() {
            return Err(Error::new(format!("the playbook: {p} does not appear to be a file")));
        }
    }
    // plugins beside playbooks may be wanted by the inventory already
    for p in &given.args {
        crate::python::places::add(&crate::playbook::build::directory(&paths::unfrack(p)));
    }
    let name = config.text("DEFAULT_STDOUT_CALLBACK").unwrap_or("default").to_owned();
    let callbacks = choose::callbacks(&choose::Wanted {
        program: "ansible-playbook",
        argv: args,
        stdout: &name,
        additional: true,
        check: given.on("check"),
        tree: None,
        inventory: running::sources(given, config),
    })?;
    let world = running::world(given, config, callbacks, true)?;
    let mut code = Ended::OK;
    let listing =
        given.on("listhosts") || given.on("listtasks") || given.on("listtags") || given.on("syntax");
    for path in &given.args {
        let full = locate(&world.files, path);
        let dir = crate::playbook::build::directory(&full).to_string();
        world.files.set_base(&dir);
        if listing {
            list(&world, given, path, &full)?;
            continue;
        }
        let plays = plays::read(&world, &world.files, &full)?;
        plays::compile_all(&world, &plays)?;
        world.callbacks.playbook_start(path, plays.len());
        if plays.is_empty() {
            continue;
        }
        let mut ended = Ended::OK;
        for (index, play) in plays.iter().enumerate() {
            ended = ended.and(match handover::strategy(&world, play)? {
                None => plays::play(&world, play)?,
                Some(strategy) => {
                    let others: Vec<OsString> = args
                        .iter()
                        .filter(|a| !given.args.iter().any(|r| *a == r.as_str()))
                        .cloned()
                        .collect();
                    let args: Vec<OsString> = others.into_iter().chain([path.as_str().into()]).collect();
                    handover::ended(handover::run(&strategy, "ansible-playbook", &args, Some(index))?)
                }
            });
            if ended.has(Ended::BREAK) || ended.has(Ended::ERROR) {
                break;
            }
        }
        code = code.and(ended);
        if ended != Ended::OK && (ended.has(Ended::BREAK) || ended.has(Ended::ERROR)) {
            retry(config, &world, &full);
            break;
        }
        if ended != Ended::OK {
            retry(config, &world, &full);
        }
    }
    if !listing {
        let custom = world.custom_stats.lock().clone();
        world.callbacks.finish(&custom);
        world.connections.close();
    }
    Ok(exit_code(code))
}

/// The exit code of how it ended.
pub fn exit_code(e: Ended) -> i32 {
    // an unreachable host outweighs a failed one, as bits of one number in the reference
    let mut code = 0;
    if e.has(Ended::ERROR) {
        code |= 1;
    }
    if e.has(Ended::FAILED) {
        code |= 2;
    }
    if e.has(Ended::UNREACHABLE) {
        code |= 4;
    }
    if code == 0 && e.has(Ended::BREAK) {
        code = 2;
    }
    if code == 6 { 4 } else { code }
}

fn locate(files: &Files, path: &str) -> String {
    let full = paths::unfrack(path);
    if Path::new(&full).exists() { full } else { files.playbook(path, &paths::unfrack(".")) }
}

/// Writes the hosts that failed to `NAME.retry`.
fn retry(config: &config::Config, world: &World, playbook: &str) {
    if !config.bool("RETRY_FILES_ENABLED") {
        return;
    }
    let mut lost: Vec<String> = world.lost.lock().keys().map(ToString::to_string).collect();
    if lost.is_empty() {
        return;
    }
    lost.sort();
    let stem = Path::new(playbook).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let dir = config
        .text("RETRY_FILES_SAVE_PATH")
        .map(paths::unfrack)
        .unwrap_or_else(|| crate::playbook::build::directory(playbook).to_string());
    let file = format!("{dir}/{stem}.retry");
    match std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(&file, lost.join("\n") + "\n")) {
        Ok(()) => display::out(&format!("\tto retry, use: --limit @{file}")),
        Err(e) => display::warning(&format!("Could not create retry file '{file}'.\n\t{e}")),
    }
}

/// `--list-hosts`, `--list-tasks`, `--list-tags`, `--syntax-check`.
fn list(world: &Arc<World>, given: &Given, path: &str, full: &str) -> Result<(), Error> {
    let plays = plays::read(world, &world.files, full)?;
    for play in &plays {
        plays::compile(world, play)?;
    }
    display::out(&format!("\nplaybook: {path}"));
    let (hosts, tasks, tags) = (given.on("listhosts"), given.on("listtasks"), given.on("listtags"));
    for (i, play) in plays.iter().enumerate() {
        if !hosts && !tasks && !tags {
            continue;
        }
        list_play(world, play, i + 1, hosts, tasks, tags)?;
    }
    if given.on("syntax") && !hosts && !tasks && !tags {
        return Ok(());
    }
    Ok(())
}

fn list_play(
    world: &Arc<World>,
    play: &Play,
    number: usize,
    hosts: bool,
    tasks: bool,
    tags: bool,
) -> Result<(), Error> {
    let own: Vec<String> = play
        .keywords
        .get(K::Tags)
        .map(crate::playbook::keyword::items)
        .unwrap_or_default()
        .iter()
        .filter_map(|t| t.to_text().ok())
        .collect();
    let pattern = plays::pattern(world, play)?;
    let name = plays::name(world, play);
    let mut text = format!(
        "\n  play #{number} ({pattern}): {}",
        if play.keywords.get(K::Name).is_some() { name } else { pattern.clone() }
    );
    text.push_str(&format!("\tTAGS: [{}]", own.join(",")));
    if hosts {
        let found = plays::hosts(world, play)?;
        let shown: Vec<Value> = pattern.split(',').map(Value::from).collect();
        text.push_str(&format!("\n    pattern: {}\n    hosts ({}):", Value::list(shown).repr(), found.len()));
        for h in &found {
            text.push_str(&format!("\n      {h}"));
        }
    }
    display::out(&text);
    if !tasks && !tags {
        return Ok(());
    }
    let mut all: Vec<String> = Vec::new();
    let mut lines = String::new();
    if tasks {
        lines.push_str("    tasks:\n");
    }
    for b in play.blocks.read().iter() {
        let Some(b) = plays::tagged(world, play, b) else { continue };
        block(world, play, &b, tasks, &mut lines, &mut all);
    }
    if tags {
        all.sort();
        lines.push_str(&format!("      TASK TAGS: [{}]\n", all.join(", ")));
    }
    display::out(&lines);
    Ok(())
}

fn block(world: &Arc<World>, play: &Play, b: &Block, show: bool, lines: &mut String, all: &mut Vec<String>) {
    for node in &b.block {
        match node {
            Node::Block(b) => block(world, play, b, show, lines, all),
            Node::Task(t) => {
                if t.implicit {
                    continue;
                }
                let mut tags = plays::tags_of(world, play, t);
                tags.sort();
                for tag in &tags {
                    if !all.contains(tag) {
                        all.push(tag.clone());
                    }
                }
                if show {
                    let own = t
                        .name()
                        .and_then(|n| n.to_text().ok())
                        .filter(|n| !n.is_empty())
                        .unwrap_or_else(|| t.written.to_string());
                    let name = match &t.frame.role {
                        // what reads a role has a name of its own
                        Some(_) if &*t.action == "include_role" => own,
                        Some(r) => {
                            format!("{} : {own}", if r.collection.is_some() { &r.full_name } else { &r.name })
                        }
                        None => own,
                    };
                    lines.push_str(&format!("      {name}\tTAGS: [{}]\n", tags.join(", ")));
                }
            }
        }
    }
}
