"""The plugin host: one Python process with the installed ansible-core, started when a third-party plugin is really used.

It reads frames on standard input and answers on what was standard output (see `pileus_modules::frame`):
| u32 BE head's length | u32 BE blob's length | head: JSON | blob |
"""

import json
import os
import struct
import sys
import traceback

# Callbacks print, and their process has a socket for both ways; other plugins' printing must not meet the answers.
OWN_OUTPUT = sys.argv[1:] == ['callbacks']
ANSWERS = os.fdopen(os.dup(0 if OWN_OUTPUT else 1), 'wb', buffering=0)
REQUESTS = os.fdopen(os.dup(0), 'rb')
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
if not OWN_OUTPUT:
    os.dup2(2, 1)


def read_exactly(count):
    data = REQUESTS.read(count)
    if len(data) < count:
        raise EOFError
    return data


def send(head, blob=b''):
    text = json.dumps(head, default=plain).encode('utf-8', 'surrogateescape')
    ANSWERS.write(struct.pack('>II', len(text), len(blob)) + text + blob)


def plain(value):
    """What JSON has no words for."""
    if isinstance(value, (set, frozenset, tuple)) or hasattr(value, '__iter__') and not isinstance(value, (str, bytes, dict)):
        return list(value)
    if isinstance(value, bytes):
        return value.decode('utf-8', 'surrogateescape')
    if hasattr(value, 'isoformat'):
        return value.isoformat()
    if hasattr(value, 'items'):
        return dict(value.items())
    return str(value)


class Engine(Tasks, Callbacks):
    """The installed ansible-core, set up once."""

    def __init__(self, request):
        from ansible import context
        from ansible.module_utils.common.collections import ImmutableDict
        context.CLIARGS = ImmutableDict(verbosity=request.get('verbosity', 0), tags={}, **request.get('cli', {}))
        from ansible.plugins import loader
        from ansible.parsing.dataloader import DataLoader
        from ansible.template import Templar
        from ansible.utils.display import Display
        loader.init_plugin_loader(request.get('collections_paths'))
        self.loader = loader
        self.data_loader = DataLoader()
        self.data_loader.set_basedir(request.get('basedir') or os.getcwd())
        self.templar = Templar
        self.warnings = []
        display = Display()
        display.verbosity = request.get('verbosity', 0)
        if not OWN_OUTPUT:
            display.warning = self.warn
        self.seen = set()

    def warn(self, msg, *unused, **also_unused):
        self.warnings.append(str(msg))

    def directories(self, request):
        """Plugin directories beside playbooks and in roles."""
        from ansible.utils.collection_loader import AnsibleCollectionConfig
        if request.get('basedir'):
            self.data_loader.set_basedir(request['basedir'])
        for path in request.get('paths', ()):
            if path not in self.seen:
                self.seen.add(path)
                self.loader.add_all_plugin_dirs(path)
                if os.path.isdir(os.path.join(path, 'collections')):
                    known = [p for p in AnsibleCollectionConfig.playbook_paths if not p.startswith(path)]
                    AnsibleCollectionConfig.playbook_paths = [path, *known]

    def make_templar(self, variables):
        return self.templar(loader=self.data_loader, variables=variables or {})

    def op_module(self, request, blob):
        """Builds what runs on the target: the bundle for new-style modules, the file itself for others."""
        from ansible.executor.module_common import modify_module
        name, variables = request['name'], request.get('vars') or {}
        variables.setdefault('ansible_playbook_python', sys.executable)
        path = request.get('path')
        if not path:
            found = self.loader.module_loader.find_plugin_with_context(name, '', collection_list=request.get('collections'))
            if not found.resolved:
                return {'missing': f"The module {name} was not found in configured module paths"}, b''
            path, name = found.plugin_resolved_path, found.resolved_fqcn or name
        built = modify_module(
            module_name=name, module_path=path, module_args=moments(request['args'], False), templar=self.make_templar(variables),
            task_vars=variables, environment=request.get('env') or {})
        head = {'style': built.module_style, 'shebang': built.shebang, 'profile': built.serialization_profile, 'path': path, 'name': name}
        if built.module_style == 'old':
            import shlex
            head['args'] = ''.join(f'{k}={shlex.quote(str(v))} ' for k, v in request['args'].items())
        elif built.module_style in ('non_native_want_json', 'binary'):
            from ansible.module_utils.common.json import Direction, get_module_encoder
            encoder = get_module_encoder(built.serialization_profile, Direction.CONTROLLER_TO_MODULE)
            head['args'] = json.dumps(request['args'], cls=encoder)
        return head, built.b_module_data

    def op_parse(self, request, blob):
        """A module's output as the result it means."""
        from ansible.module_utils.common.json import Direction, get_module_decoder
        from ansible.module_utils.json_utils import _filter_non_json_lines
        text, warnings = _filter_non_json_lines(blob.decode('utf-8', 'surrogateescape'), objects_only=True)
        decoder = get_module_decoder(request.get('profile') or 'legacy', Direction.MODULE_TO_CONTROLLER)
        value = json.loads(text, cls=decoder)
        raised = value.get('exception') if isinstance(value, dict) else None
        if hasattr(raised, 'event'):
            value['exception'] = {'event': causes(raised.event)}
        for key, text in (('warnings', summary), ('deprecations', deprecation)):
            if isinstance(value, dict) and isinstance(value.get(key), list):
                value[key] = [text(told) if hasattr(told, 'event') else told for told in value[key]]
        if request.get('profile') not in (None, 'legacy'):
            value = moments(value, True)
        return {'value': value, 'warnings': list(warnings)}, b''

    def op_filter(self, request, blob):
        return self.call(self.loader.filter_loader, request)

    def op_test(self, request, blob):
        return self.call(self.loader.test_loader, request)

    def call(self, where, request):
        plugin = where.get(request['name'])
        if plugin is None:
            raise LookupError(f"No plugin named {request['name']!r} was found.")
        function = plugin.j2_function
        wants = getattr(getattr(function, 'jinja_pass_arg', None), 'name', None)
        first = ()
        if wants:
            if wants == 'context' and request.get('vars') is None:
                return {'wants': 'vars'}, b''
            environment = self.make_templar(trust(request.get('vars'))).environment
            first = (environment.new_context(trust(request.get('vars') or {})) if wants == 'context' else environment,)
            if wants == 'eval_context':
                first = (environment.new_context({}).eval_ctx,)
        value = function(*first, *trust(request.get('args', [])), **trust(request.get('kwargs', {})))
        if hasattr(value, '__next__'):
            value = list(value)
        return {'value': mark(bool(value) if request['op'] == 'test' else value)}, b''

    def op_lookup(self, request, blob):
        variables = trust(request.get('vars') or {})
        templar = self.make_templar(variables)
        plugin = self.loader.lookup_loader.get(request['name'], loader=self.data_loader, templar=templar, collection_list=request.get('collections'))
        if plugin is None:
            raise LookupError(f"lookup plugin ({request['name']}) not found")
        terms, options = trust(request['terms']), trust(request.get('kwargs', {}))
        if not getattr(plugin, 'accept_args_markers', False):
            from ansible._internal._templating._jinja_common import Marker
            undefined = next((value for value in [*terms, *options.values()] if isinstance(value, Marker)), None)
            if undefined is not None:
                return {'value': [mark(undefined)]}, b''
        return {'value': mark(plugin.run(terms, variables=variables, **options))}, b''

    def op_group(self, request, blob):
        """The actions of a group of module_defaults."""
        from ansible.playbook.play import Play
        _name, actions = Play()._resolve_group(request['name'])
        return {'value': list(actions or ())}, b''

    def op_action(self, request, blob):
        """Where an action or module of that name is, redirects followed, and what it is called there."""
        for kind, where in (('action', self.loader.action_loader), ('module', self.loader.module_loader)):
            found = where.find_plugin_with_context(request['name'], collection_list=request.get('collections'))
            if found.resolved:
                return {'value': {'kind': kind, 'name': found.resolved_fqcn, 'path': found.plugin_resolved_path}}, b''
        return {'value': None}, b''

    def op_exists(self, request, blob):
        """Whether there is a plugin of that kind and name, and where."""
        where = getattr(self.loader, request['kind'] + '_loader')
        if request['kind'] in ('filter', 'test'):
            return {'value': where.get(request['name']) is not None}, b''
        found = where.find_plugin_with_context(request['name'], collection_list=request.get('collections'))
        return {'value': found.plugin_resolved_path if found.resolved else None}, b''

    def op_inventory(self, request, blob):
        """What an inventory plugin makes of a source: groups, hosts and variables."""
        from ansible.inventory.data import InventoryData
        data = InventoryData()
        plugin = self.loader.inventory_loader.get(request['name'])
        if plugin is None:
            return {'value': None, 'missing': True}, b''
        source = request['source']
        if not plugin.verify_file(source):
            return {'value': None}, b''
        data.current_source = source
        plugin.parse(data, self.data_loader, source, cache=request.get('cache', True))
        if hasattr(plugin, 'update_cache_if_changed'):
            plugin.update_cache_if_changed()
        groups = {
            name: {'hosts': [h.name for h in group.hosts], 'children': [g.name for g in group.child_groups],
                   'vars': group.get_vars(), 'priority': group.priority}
            for name, group in data.groups.items()}
        hosts = {name: dict(host.vars) for name, host in data.hosts.items()}
        return {'value': mark({'groups': groups, 'hosts': hosts})}, b''

    def op_vars(self, request, blob):
        """What vars plugins other than host_group_vars add for hosts and groups, of a directory."""
        from ansible import constants
        from ansible.inventory.group import Group
        from ansible.inventory.host import Host
        entities = [Host(e['name']) if e['kind'] == 'host' else Group(e['name']) for e in request['entities']]
        merged = {}
        for plugin in self.loader.vars_loader.all():
            names = {plugin._load_name, getattr(plugin, 'ansible_name', None)}
            if 'host_group_vars' in names or not self.enabled(plugin, names & set(constants.VARIABLE_PLUGINS_ENABLED)):
                continue
            merged.update(self.vars_of(plugin, request['path'], entities))
        for name in constants.VARIABLE_PLUGINS_ENABLED:
            if name.count('.') > 1 and not name.startswith('ansible.'):
                plugin = self.loader.vars_loader.get(name)
                if plugin is not None:
                    merged.update(self.vars_of(plugin, request['path'], entities))
        return {'value': mark(merged)}, b''

    @staticmethod
    def enabled(plugin, listed):
        required = getattr(plugin, 'REQUIRES_ENABLED', getattr(plugin, 'REQUIRES_WHITELIST', False))
        return bool(listed) if required else True

    def vars_of(self, plugin, path, entities):
        if hasattr(plugin, 'get_vars'):
            return plugin.get_vars(self.data_loader, path, entities) or {}
        from ansible.inventory.host import Host
        self.warn(f"The vars plugin {plugin._load_name} from {plugin._original_path} is relying on the deprecated entrypoints "
                  '`get_host_vars` and `get_group_vars`.')
        merged = {}
        for entity in entities:
            old = plugin.get_host_vars if isinstance(entity, Host) else plugin.get_group_vars
            merged.update(old(entity.name) or {})
        return merged

    def op_cached(self, request, blob):
        """Facts that a cache plugin keeps: of a host, or to keep."""
        cache = self.loader.cache_loader.get(request['name'])
        if cache is None:
            raise LookupError(f"Unable to load the cache plugin ({request['name']}).")
        try:
            # what plugins of today are given is wrapped, so that marks survive
            from ansible._internal._plugins._cache import PluginInterposer
            cache = PluginInterposer(cache)
        except ImportError:
            pass
        if 'facts' in request:
            cache.set(request['host'], trust(request['facts']))
            return {'value': None}, b''
        if request.get('forget'):
            cache.delete(request['host'])
            return {'value': None}, b''
        return {'value': mark(cache.get(request['host']), True) if cache.contains(request['host']) else None}, b''


def causes(event):
    """An exception's message, with that of what caused it."""
    chain = getattr(event, 'chain', None)
    return {'msg': event.msg, **({'chain': {'event': causes(chain.event)}} if chain is not None else {})}


def failure(error):
    """The message as the reference puts it, and where it came from for whoever wants to know."""
    message = getattr(error, 'message', None) or str(error) or type(error).__name__
    return {'error': str(message), 'type': type(error).__name__, 'traceback': traceback.format_exc()}


def main():
    engine = None
    while True:
        try:
            head_bytes, blob_bytes = struct.unpack('>II', read_exactly(8))
            request = json.loads(read_exactly(head_bytes))
            blob = read_exactly(blob_bytes)
        except EOFError:
            return
        answer, bytes_back = {}, b''
        try:
            if request['op'] == 'start':
                engine = Engine(request)
                from ansible.release import __version__
                answer = {'value': __version__}
            else:
                engine.directories(request)
                answer, bytes_back = getattr(engine, 'op_' + request['op'])(request, blob)
        except Exception as error:
            answer = failure(error)
        if engine and engine.warnings:
            answer.setdefault('warnings', []).extend(engine.warnings)
            engine.warnings.clear()
        answer['id'] = request.get('id', 0)
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            send(answer, bytes_back)
        except (TypeError, ValueError) as error:
            send({'id': request.get('id', 0), **failure(error)})


if __name__ == '__main__':
    main()
