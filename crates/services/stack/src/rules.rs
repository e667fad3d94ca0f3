//! Rules by Heat's names: who may call what.

use pileus_policy::Rule;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $check:ident($text:literal);)*) => {$(
        $(#[$doc])*
        pub const $name: Rule = Rule::$check($text);
    )*};
}

rules! {
    VERSIONS = anyone("versions");
    STACKS_INDEX = reader("stacks:index");
    STACKS_DETAIL = reader("stacks:detail");
    STACKS_LOOKUP = reader("stacks:lookup");
    STACKS_SHOW = reader("stacks:show");
    STACKS_CREATE = member("stacks:create");
    STACKS_PREVIEW = member("stacks:preview");
    STACKS_UPDATE = member("stacks:update");
    STACKS_UPDATE_PATCH = member("stacks:update_patch");
    STACKS_PREVIEW_UPDATE = member("stacks:preview_update");
    STACKS_DELETE = member("stacks:delete");
    STACKS_ABANDON = member("stacks:abandon");
    STACKS_EXPORT = member("stacks:export");
    STACKS_TEMPLATE = reader("stacks:template");
    STACKS_ENVIRONMENT = reader("stacks:environment");
    STACKS_FILES = reader("stacks:files");
    STACKS_VALIDATE = member("stacks:validate_template");
    STACKS_OUTPUTS = reader("stacks:list_outputs");
    STACKS_OUTPUT = reader("stacks:show_output");
    STACKS_SNAPSHOTS = member("stacks:list_snapshots");
    ACTIONS = member("actions:action");
    TYPES_INDEX = reader("stacks:list_resource_types");
    TYPES_SHOW = reader("stacks:resource_schema");
    TYPES_TEMPLATE = reader("stacks:generate_template");
    TEMPLATE_VERSIONS = reader("stacks:list_template_versions");
    TEMPLATE_FUNCTIONS = reader("stacks:list_template_functions");
    RESOURCES_INDEX = reader("resource:index");
    RESOURCES_SHOW = reader("resource:show");
    RESOURCES_METADATA = reader("resource:metadata");
    RESOURCES_SIGNAL = member("resource:signal");
    RESOURCES_UNHEALTHY = member("resource:mark_unhealthy");
    EVENTS_INDEX = reader("events:index");
    EVENTS_SHOW = reader("events:show");
    CONFIGS_INDEX = reader("software_configs:index");
    CONFIGS_CREATE = member("software_configs:create");
    CONFIGS_SHOW = reader("software_configs:show");
    CONFIGS_DELETE = member("software_configs:delete");
    DEPLOYMENTS = member("software_deployments:index");
    BUILD_INFO = reader("build_info:build_info");
    SERVICES = admin("service:index");
}
