"""The command line: `python -m local` runs the whole system on this machine; `graph` and `cost` are commands."""

import argparse
import sys
import tempfile
import traceback
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from emulator import requirements
from emulator.errors import LocalRunError


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0 only if every event came back, 1 if not, 2 where it cannot be run, 130 on Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["graph"]:
        from local.graph import command

        return command.main(arguments[1:])
    if arguments[:1] == ["cost"]:
        from local.cost import command as cost

        return cost.main(arguments[1:])
    options = _parser().parse_args(arguments)
    console = Console(highlight=False)
    if (options.sql_dump is None) != (options.ratings is None):
        return _refuse(console, "--sql-dump and --ratings go together: a dump of the shop, and the ratings beside it")
    if options.source and options.sql_dump:
        return _refuse(console, "--source reads a database that runs, --sql-dump fills one: give one of them")
    if options.dataset and not options.dataset.is_file():
        return _refuse(console, f"--dataset {options.dataset}: expected a file like dataset.toml, found none")
    if options.dataset and not (options.source or options.sql_dump):
        return _refuse(console, "--dataset says how your shop's tables are: give them with --source or --sql-dump")
    if missing := requirements.missing():
        return _refuse(console, missing)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="recommender-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return _run(options, folder, console)
    except KeyboardInterrupt:
        console.print(f"stopped; logs in {folder}")
        return 130
    except LocalRunError as error:
        console.print(f"[red]error[/] {escape(str(error))}\nlogs in {folder}", soft_wrap=True)
        return 1
    except Exception:
        (folder / "error.log").write_text(traceback.format_exc())
        last = escape(traceback.format_exc().strip().splitlines()[-1])
        where = f"its traceback is {folder / 'error.log'}, logs are beside it"
        console.print(f"[red]error[/] {last}\n{where}", soft_wrap=True)
        return 1


def _run(options: argparse.Namespace, folder: Path, console: Console) -> int:
    # Pulumi's AWS package takes seconds to import; what can be refused is refused before.
    from local.demo import Options, run
    from local.source import parse_url

    return run(
        Options(
            folder=folder.resolve(),
            stack=options.stack,
            sql_dump=options.sql_dump,
            ratings=options.ratings,
            source=parse_url(options.source) if options.source else None,
            dataset=options.dataset,
            events=options.events,
            n_events=options.n_events,
            seed=options.seed,
            keep_running=options.keep_running,
        ),
        console,
    )


def _refuse(console: Console, text: str) -> int:
    console.print(f"[red]error[/] {escape(text)}", soft_wrap=True)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__.partition(": ")[2])
    parser.add_argument("--stack", default="dev", help="which Pulumi.<stack>.yaml to run (default: dev)")
    parser.add_argument("--folder", type=Path, help="where the run keeps data, logs and results (default: a new one)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample shop, the training and the events")
    parser.add_argument("--keep-running", action="store_true", help="leave everything up at the end, until Ctrl-C")
    shop = parser.add_argument_group("the shop (default: a generated one)")
    shop.add_argument("--sql-dump", type=Path, metavar="FILE", help="a mysqldump of the shop's tables")
    shop.add_argument("--ratings", type=Path, metavar="FILE", help="the ratings that go with it, as csv")
    shop.add_argument("--source", metavar="mysql://user:password@host/db", help="a database that runs already")
    shop.add_argument(
        "--dataset", type=Path, metavar="FILE", help="how its tables are (default: the stack's dataset.toml)"
    )
    events = parser.add_argument_group("the events (default: made of the shop's customers and products)")
    events.add_argument("--events", type=Path, metavar="FILE", help="JSON: an event, a list, or one a line")
    events.add_argument("--n-events", type=int, default=200, metavar="N", help="how many to make (default: 200)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
