//! Nova's rules, under its own names, with the default roles of the consistent-RBAC series.

use pileus_policy::Rule;

macro_rules! rules {
    ($($name:ident = $check:ident $text:literal;)*) => { $(#[doc = $text] pub const $name: Rule = Rule::$check($text);)* };
}

rules! {
    VERSIONS = anyone "os_compute_api:versions";
    SERVERS_INDEX = reader "os_compute_api:servers:index";
    SERVERS_DETAIL = reader "os_compute_api:servers:detail";
    SERVERS_SHOW = reader "os_compute_api:servers:show";
    SERVERS_CREATE = member "os_compute_api:servers:create";
    SERVERS_UPDATE = member "os_compute_api:servers:update";
    SERVERS_DELETE = member "os_compute_api:servers:delete";
    SERVERS_ACTION = member "os_compute_api:servers:action";
    IPS_INDEX = reader "os_compute_api:ips:index";
    IPS_SHOW = reader "os_compute_api:ips:show";
    METADATA_INDEX = reader "os_compute_api:server-metadata:index";
    METADATA_SHOW = reader "os_compute_api:server-metadata:show";
    METADATA_CREATE = member "os_compute_api:server-metadata:create";
    METADATA_UPDATE = member "os_compute_api:server-metadata:update";
    METADATA_UPDATE_ALL = member "os_compute_api:server-metadata:update_all";
    METADATA_DELETE = member "os_compute_api:server-metadata:delete";
    TAGS_INDEX = reader "os_compute_api:os-server-tags:index";
    TAGS_SHOW = reader "os_compute_api:os-server-tags:show";
    TAGS_UPDATE = member "os_compute_api:os-server-tags:update";
    TAGS_UPDATE_ALL = member "os_compute_api:os-server-tags:update_all";
    TAGS_DELETE = member "os_compute_api:os-server-tags:delete";
    TAGS_DELETE_ALL = member "os_compute_api:os-server-tags:delete_all";
    ACTIONS_LIST = reader "os_compute_api:os-instance-actions:list";
    ACTIONS_SHOW = reader "os_compute_api:os-instance-actions:show";
    REMOTE_CONSOLES = member "os_compute_api:os-remote-consoles";
    CONSOLE_ATTACH = anyone "os_compute_api:os-console-auth-tokens";
    INTERFACES_LIST = reader "os_compute_api:os-attach-interfaces:list";
    INTERFACES_SHOW = reader "os_compute_api:os-attach-interfaces:show";
    VOLUMES_ATTACHED = reader "os_compute_api:os-volumes-attachments:index";
    SERVER_GROUPS_OF = reader "os_compute_api:os-security-groups:list";
    PASSWORD_SHOW = reader "os_compute_api:os-server-password:show";
    PASSWORD_CLEAR = member "os_compute_api:os-server-password:clear";
    DIAGNOSTICS = admin "os_compute_api:os-server-diagnostics";
    FLAVORS_INDEX = authenticated "os_compute_api:flavors";
    FLAVORS_CREATE = admin "os_compute_api:os-flavor-manage:create";
    FLAVORS_UPDATE = admin "os_compute_api:os-flavor-manage:update";
    FLAVORS_DELETE = admin "os_compute_api:os-flavor-manage:delete";
    FLAVOR_ACCESS = admin "os_compute_api:os-flavor-access";
    FLAVOR_ACCESS_ADD = admin "os_compute_api:os-flavor-access:add_tenant_access";
    EXTRA_SPECS_INDEX = reader "os_compute_api:os-flavor-extra-specs:index";
    EXTRA_SPECS_SHOW = reader "os_compute_api:os-flavor-extra-specs:show";
    EXTRA_SPECS_CREATE = admin "os_compute_api:os-flavor-extra-specs:create";
    EXTRA_SPECS_UPDATE = admin "os_compute_api:os-flavor-extra-specs:update";
    EXTRA_SPECS_DELETE = admin "os_compute_api:os-flavor-extra-specs:delete";
    KEYPAIRS_INDEX = authenticated "os_compute_api:os-keypairs:index";
    KEYPAIRS_SHOW = authenticated "os_compute_api:os-keypairs:show";
    KEYPAIRS_CREATE = authenticated "os_compute_api:os-keypairs:create";
    KEYPAIRS_DELETE = authenticated "os_compute_api:os-keypairs:delete";
    HYPERVISORS = admin "os_compute_api:os-hypervisors:list";
    SERVICES = admin "os_compute_api:os-services:list";
    SERVICES_UPDATE = admin "os_compute_api:os-services:update";
    ZONES = authenticated "os_compute_api:os-availability-zone:list";
    ZONES_DETAIL = admin "os_compute_api:os-availability-zone:detail";
    QUOTAS_SHOW = authenticated "os_compute_api:os-quota-sets:show";
    QUOTAS_UPDATE = admin "os_compute_api:os-quota-sets:update";
    QUOTAS_DELETE = admin "os_compute_api:os-quota-sets:delete";
    QUOTAS_DETAIL = admin "os_compute_api:os-quota-sets:detail";
    QUOTA_CLASSES = admin "os_compute_api:os-quota-class-sets:update";
    LIMITS = authenticated "os_compute_api:limits";
    EXTENSIONS = authenticated "os_compute_api:extensions";

}
