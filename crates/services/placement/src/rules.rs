//! Placement's rules, under its own names.

use pileus_policy::Rule;

macro_rules! rules {
    ($($name:ident = $check:ident $text:literal;)*) => { $(#[doc = $text] pub const $name: Rule = Rule::$check($text);)* };
}

rules! {
    VERSIONS = anyone "placement:versions";
    PROVIDERS_LIST = admin "placement:resource_providers:list";
    PROVIDERS_CREATE = admin "placement:resource_providers:create";
    PROVIDERS_SHOW = admin "placement:resource_providers:show";
    PROVIDERS_UPDATE = admin "placement:resource_providers:update";
    PROVIDERS_DELETE = admin "placement:resource_providers:delete";
    INVENTORIES_LIST = admin "placement:resource_providers:inventories:list";
    INVENTORIES_UPDATE = admin "placement:resource_providers:inventories:update";
    PROVIDER_USAGES = admin "placement:resource_providers:usages";
    PROVIDER_TRAITS = admin "placement:resource_providers:traits:list";
    PROVIDER_TRAITS_UPDATE = admin "placement:resource_providers:traits:update";
    PROVIDER_AGGREGATES = admin "placement:resource_providers:aggregates:list";
    PROVIDER_ALLOCATIONS = admin "placement:resource_providers:allocations:list";
    ALLOCATIONS_LIST = admin "placement:allocations:list";
    ALLOCATIONS_UPDATE = admin "placement:allocations:update";
    ALLOCATIONS_DELETE = admin "placement:allocations:delete";
    CANDIDATES = admin "placement:allocation_candidates:list";
    USAGES = reader "placement:usages";
    TRAITS = admin "placement:traits:list";
    CLASSES = admin "placement:resource_classes:list";
}
