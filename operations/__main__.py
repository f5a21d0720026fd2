"""The operator's commands, for a stack on AWS or a local run that is up: `python -m operations`."""

import sys
from collections.abc import Callable, Mapping, Sequence

from operations import api, events, replay, rules, versions

COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "replay": replay.main,
    "rules": rules.main,
    "events": events.main,
    **{name: api.command(name) for name in ("recommend", "similar", "popular")},
    **{name: versions.command(name) for name in versions.ACTIONS},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the command's exit status; 2 for an unknown command."""
    arguments = sys.argv[1:] if arguments is None else arguments
    usage = f"usage: python -m operations {{{','.join(COMMANDS)}}} …; --help behind a command lists its options"
    if arguments and arguments[0] in ("-h", "--help"):
        print(usage)
        return 0
    if not arguments or arguments[0] not in COMMANDS:
        print(usage, file=sys.stderr)
        return 2
    return COMMANDS[arguments[0]](arguments[1:])


if __name__ == "__main__":
    sys.exit(main())
