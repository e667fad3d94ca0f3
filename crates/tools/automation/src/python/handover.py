"""One play by the installed ansible-core: what a strategy plugin needs.

    handover.py INDEX COMMAND ARGUMENT…     (INDEX: which play of the playbook; -1: all)
"""

import sys


def main():
    index, command = int(sys.argv[1]), sys.argv[2]
    sys.argv = sys.argv[2:]
    from importlib import import_module
    from ansible.playbook import Playbook
    every_play = Playbook.get_plays

    def one_play(self):
        plays = every_play(self)
        return [plays[index]] if 0 <= index < len(plays) else plays

    Playbook.get_plays = one_play
    module = import_module('ansible.cli.' + {'ansible-playbook': 'playbook'}.get(command, 'adhoc'))
    module.main(sys.argv)


main()
