"""Whole tasks by ansible-core: actions in Python, and connections and ways to become another user that are plugins.

The engine has judged the conditions and rendered the arguments; what runs here is one attempt on one host.
"""

TEMPLATE = '__pileus_template'
MOMENT = '__pileus_moment'
UNDEFINED = '__pileus_undefined'
ORIGIN = '__pileus_origin'


def moment(text):
    """A date, a time or both."""
    import datetime
    if ':' not in text:
        return datetime.date.fromisoformat(text)
    if '-' not in text[:5]:
        return datetime.time.fromisoformat(text)
    return datetime.datetime.fromisoformat(text)


def tagged(value):
    """A text with its marks: where it was written, and whether it is a template."""
    from ansible._internal._datatag._tags import Origin, TrustedAsTemplate
    file, line, column = value[ORIGIN]
    place = {'path': file} if file.startswith('/') else {'description': file}
    text = Origin(line_num=line or None, col_num=column or None, **place).tag(value['text'])
    return TrustedAsTemplate().tag(text) if value.get('trusted') else text


def trust(value):
    """What the engine sent, with its templates marked as such."""
    from ansible._internal._datatag._tags import TrustedAsTemplate
    from ansible._internal._templating._jinja_common import UndefinedMarker
    if isinstance(value, dict):
        if isinstance(value.get(ORIGIN), list):
            return tagged(value)
        if len(value) == 1:
            (key, text), = value.items()
            if isinstance(text, str):
                if key == TEMPLATE:
                    return TrustedAsTemplate().tag(text)
                if key == MOMENT:
                    return moment(text)
                if key == UNDEFINED:
                    return UndefinedMarker(text, _no_template_source=True)
        return {key: trust(item) for key, item in value.items()}
    if isinstance(value, list):
        return [trust(item) for item in value]
    return value


def moments(value, there):
    """Dates and times as the engine writes them (`there`), or the other way."""
    if isinstance(value, dict):
        if not there and len(value) == 1 and isinstance(value.get(MOMENT), str):
            return moment(value[MOMENT])
        return {key: moments(item, there) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [moments(item, there) for item in value]
    return {MOMENT: value.isoformat()} if there and hasattr(value, 'isoformat') else value


def mark(value, origins=False):
    """The other way: templates that a plugin gives stay templates."""
    from ansible._internal._datatag._tags import Origin, TrustedAsTemplate
    from ansible._internal._templating._jinja_common import Marker
    if isinstance(value, Marker):
        return {UNDEFINED: str(value._undefined_message)}
    if isinstance(value, str):
        trusted = TrustedAsTemplate.is_tagged_on(value) and '{' in value
        origin = Origin.get_tag(value) if origins else None
        if origin is not None:
            place = [origin.path or origin.description or '', origin.line_num or 0, origin.col_num or 0]
            return {ORIGIN: place, 'text': str(value), 'trusted': trusted}
        return {TEMPLATE: str(value)} if trusted else value
    if hasattr(value, 'isoformat'):
        return {MOMENT: value.isoformat()}
    if hasattr(value, 'items') and not isinstance(value, type):
        return {str(key): mark(item, origins) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [mark(item, origins) for item in value]
    return value


def summary(value):
    """A warning, deprecation or error of 2.19 as text."""
    from ansible.module_utils._internal._event_utils import format_event_brief_message
    event = getattr(value, 'event', None)
    return format_event_brief_message(event) if event is not None else str(value)


def deprecation(value):
    told = {'msg': summary(value), 'collection_name': getattr(getattr(value, 'deprecator', None), 'resolved_name', None)}
    key = 'date' if getattr(value, 'date', None) else 'version'
    return {**told, key: getattr(value, key, None)}


class Nobody:
    """Whoever would hear of retries and polls."""

    def __getattr__(self, name):
        return lambda *unused, **also_unused: None


class Delegated:
    """The variables of the host that the task is delegated to, as the engine knows them."""

    def __init__(self, variables):
        self.variables = variables

    def get_delegated_vars_and_hostname(self, templar, task, variables):
        if not task.delegate_to:
            return {}, None
        return {'ansible_delegated_vars': {task.delegate_to: self.variables}}, task.delegate_to


class Tasks:
    """The operations on tasks."""

    def op_task(self, request, blob):
        from ansible import context
        from ansible.executor.task_executor import TaskExecutor
        from ansible.inventory.host import Host
        from ansible.module_utils.common.collections import ImmutableDict
        from ansible.playbook.block import Block
        from ansible.playbook.play import Play
        from ansible.playbook.play_context import PlayContext
        from ansible.playbook.task import Task
        context.CLIARGS = ImmutableDict({**context.CLIARGS, **request.get('cli', {})})
        variables = trust(request['vars'])
        host = Host(request['host'])
        play = Play.load({'name': 'task', 'hosts': 'all', 'gather_facts': False}, loader=self.data_loader, vars={})
        fields = {'action': request['action'], 'args': request['args'], **request['fields']}
        task = Task.load(fields, block=Block(play=play), role=self.role_of(play, request), loader=self.data_loader)
        executor = TaskExecutor(
            host, task, variables, PlayContext(play=play, passwords=request.get('passwords') or {}), self.data_loader, self.loader,
            Nobody(), Delegated(trust(request.get('delegated') or {})))
        with_warnings = {}
        try:
            result = self.attempt(executor, variables, with_warnings)
        finally:
            if executor._connection is not None:
                executor._connection.close()
        result.update(with_warnings)
        return {'value': self.plain_result(result)}, b''

    def attempt(self, executor, variables, told):
        from ansible._internal._errors import _error_utils
        from ansible._internal._display_utils import DeferredWarningContext
        with DeferredWarningContext(variables=variables) as warned:
            try:
                result = executor._execute_internal(executor._task_templar, variables)
                executor._apply_task_result_compat(result, warned)
            except Exception as error:
                result = _error_utils.result_dict_from_exception(error, accept_result_contribution=True)
                result.setdefault('changed', False)
                result['_pileus_raised'] = True
        result.pop('warnings', None)
        result.pop('deprecations', None)
        if warned.get_warnings():
            told['warnings'] = [summary(w) for w in warned.get_warnings()]
        if warned.get_deprecation_warnings():
            told['deprecations'] = [deprecation(d) for d in warned.get_deprecation_warnings()]
        return result

    @staticmethod
    def plain_result(result):
        result.pop('_ansible_delegated_vars', None)
        exception = result.pop('exception', None)
        if isinstance(exception, str):
            result['exception'] = exception
        return mark(result)

    @staticmethod
    def role_of(play, request):
        """Enough of a role for whoever asks the task where its files are."""
        if not request.get('role'):
            return None
        from ansible.playbook.role import Role
        role = Role(play=play)
        role._role_path, role._role_name = request['role']['path'], request['role']['name']
        role._role_collection = request['role'].get('collection')
        return role
