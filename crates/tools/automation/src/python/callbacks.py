"""Callbacks in Python: the engine tells what happens, ansible-core's own manager calls whoever wants to hear of it.

Their process has the engine's standard output, so that what they print stands in its place among what the engine prints:
every event is answered before the next thing happens.
"""


class Callbacks:
    """The operations on callbacks."""

    def op_callbacks(self, request, blob):
        """Loads them. `stdout` names the one that prints; without it the engine prints, and the others only hear."""
        from ansible import constants
        from ansible.executor.task_queue_manager import TaskQueueManager
        from ansible.inventory.host import Host
        self.read_command_line(request)
        if constants.CALLBACKS_ENABLED:
            constants.CALLBACKS_ENABLED = [name for name in constants.CALLBACKS_ENABLED if name not in request['own']]
        manager = TaskQueueManager(
            inventory=None, variable_manager=None, loader=self.data_loader, passwords={},
            stdout_callback_name=request.get('stdout') or 'minimal', run_additional_callbacks=request['additional'])
        manager.load_callbacks()
        if not request.get('stdout'):
            del manager._callback_plugins[0]
        self.manager, self.host_class, self.hosts, self.tasks, self.play = manager, Host, {}, {}, None
        return {'value': [plugin._load_name for plugin in manager._callback_plugins]}, b''

    @staticmethod
    def read_command_line(request):
        """The options as ansible-core itself reads them: callbacks ask for them."""
        from ansible.cli.adhoc import AdHocCLI
        from ansible.cli.playbook import PlaybookCLI
        kind = PlaybookCLI if request['program'] == 'ansible-playbook' else AdHocCLI
        kind([request['program'], *request['argv']]).parse()

    def op_event(self, request, blob):
        """Something happened: `method` is told of `args`."""
        arguments = [getattr(self, 'arg_' + kind)(value) for kind, value in request['args']]
        self.manager.send_callback(request['method'], *arguments, **request.get('kwargs', {}))
        return {}, b''

    @staticmethod
    def arg_plain(value):
        return value

    def arg_host(self, name):
        if name not in self.hosts:
            self.hosts[name] = self.host_class(name)
        return self.hosts[name]

    def arg_playbook(self, value):
        from ansible.playbook import Playbook
        from ansible.playbook.play import Play
        playbook = Playbook(self.data_loader)
        playbook._file_name, playbook._basedir = value['path'], value['basedir']
        playbook._entries = [Play() for _unused in range(value['plays'])]
        return playbook

    def arg_play(self, value):
        from ansible.playbook.play import Play
        from ansible.playbook.play_context import PlayContext
        play = Play()
        play.name, play.hosts = value['name'], value['hosts']
        self.keywords(play, value['keywords'])
        play._origin = self.origin(value)
        self.play = play
        for plugin in self.manager._callback_plugins:
            plugin.set_play_context(PlayContext(play))
        return play

    def arg_task(self, value):
        """A task: whole where it is told for the first time, else its number."""
        if 'action' in value:
            self.tasks[value['id']] = self.make_task(value)
        return self.tasks[value['id']]

    def make_task(self, value):
        from ansible.playbook.block import Block
        from ansible.playbook.handler import Handler
        from ansible.playbook.task import Task
        kind = Handler if value['handler'] else Task
        role = self.role_of(self.play, value)
        task = named(kind)(block=Block(play=self.play, role=role), role=role)
        task.told_name = value['shown']
        task.action, task.args, task.name = value['action'], trust(value['args']), value['name']
        task._resolved_action = value['resolved']
        task.implicit = value['implicit']
        task._origin = self.origin(value)
        self.keywords(task, value['keywords'])
        return task

    @staticmethod
    def keywords(target, given):
        for key, value in trust(given).items():
            if key in target.fattributes:
                setattr(target, key, value)

    @staticmethod
    def origin(value):
        from ansible._internal._datatag._tags import Origin
        if not value.get('path'):
            return None
        return Origin(path=value['path'], line_num=value.get('line') or None, col_num=value.get('column') or None)

    def arg_result(self, value):
        from ansible.executor.task_result import _RawTaskResult
        returned = shaped(value['value'], value.get('error'))
        if value['no_log']:
            for one in [returned, *(item for item in returned.get('results') or () if isinstance(item, dict))]:
                one['_ansible_no_log'] = True
        return _RawTaskResult(self.arg_host(value['host']), self.arg_task(value['task']), returned, value['fields'])

    def arg_include(self, value):
        from ansible.playbook.included_file import IncludedFile
        variables = {'_ansible_item_label': value['label']} if 'label' in value else {}
        included = IncludedFile(value['what'], {}, variables, self.arg_task(value['task']), value['role'])
        for name in value['hosts']:
            included.add_host(self.arg_host(name))
        return included

    def arg_handler(self, value):
        from ansible.playbook.handler import Handler
        handler = named(Handler)()
        handler.name = handler.told_name = value
        return handler

    def arg_stats(self, value):
        stats = self.manager._stats
        for host, counts in value['hosts'].items():
            stats.processed[host] = 1
            for what, count in counts.items():
                if count:
                    getattr(stats, what)[host] = count
        for host, name, one in value['custom']:
            stats.custom.setdefault(host, {})[name] = one
        return stats


NAMED = {}


def named(kind):
    """The class of tasks, whose name is the one that the engine shows."""
    if kind not in NAMED:
        NAMED[kind] = type(kind.__name__, (kind,), {'get_name': lambda self, include_role_fqcn=True: self.told_name})
    return NAMED[kind]


def shaped(value, error):
    """A result as ansible-core has it: its warnings and its error as events."""
    from ansible.module_utils._internal import _messages

    def event(text):
        return _messages.Event(msg=str(text))

    for item in value.get('results') or ():
        if isinstance(item, dict):
            shaped(item, None)
    if isinstance(value.get('warnings'), list):
        value['warnings'] = [_messages.WarningSummary(event=event(text)) for text in value['warnings']]
    if isinstance(value.get('deprecations'), list):
        value['deprecations'] = [
            _messages.DeprecationSummary(event=event(one.get('msg')), version=one.get('version'), date=one.get('date'))
            for one in value['deprecations'] if isinstance(one, dict)]
    value.pop('exception', None)
    if error:
        place = error['place'] or None
        value['exception'] = _messages.ErrorSummary(event=_messages.Event(msg=error['message'], formatted_source_context=place))
    return value
