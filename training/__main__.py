"""The command line: `python -m training train | evaluate | publish`."""

import argparse
import csv
import sys
from pathlib import Path

from contracts import dataset_file
from contracts.artifacts import MANIFEST, SIMILARITIES
from contracts.dataset_file import DatasetError
from training import pipeline
from training.errors import TrainingError
from training.fit import Settings
from training.progress import print_metrics, progress_bars
from training.publish import publish, write_manifest

DATASET = "which tables and columns are users, items and ratings (default: %(default)s)"
SIMILARITY = "how vectors are compared (default: %(default)s)"


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 refused by the gate, 2 cannot be done."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except pipeline.GateError as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    except (TrainingError, DatasetError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    train = commands.add_parser("train", help="train a model on the data lake's training data and publish it")
    train.set_defaults(command=_train)
    train.add_argument("--data", required=True, help="a path or s3://bucket; holds <dataset name>/_SUCCESS")
    train.add_argument("--dataset", type=Path, default=Path("dataset.toml"), help=DATASET)
    train.add_argument("--output", required=True, help="a path or s3://bucket; the version's folder is made in it")
    train.add_argument("--work", type=Path, default=pipeline.DEFAULT_WORK, help="checkpoints, to go on after a kill")
    train.add_argument(
        "--force", action="store_true", help="publish even what the gate refuses; recorded in the manifest"
    )
    train.add_argument("--seed", type=int, default=Settings.seed, help="what chance starts from (default: %(default)s)")
    train.add_argument(
        "--dim", type=int, default=Settings.dim, help="numbers of the towers' part of a vector (default: %(default)s)"
    )
    train.add_argument("--epochs", type=int, default=Settings.epochs, help="passes at most (default: %(default)s)")
    train.add_argument("--similarity", choices=SIMILARITIES, default=Settings.similarity, help=SIMILARITY)
    train.add_argument("--names", type=Path, metavar="FILE", help="csv of id,name: what the report calls items")
    train.add_argument("--active", help="the served version's folder, a path or s3://bucket/version, to keep up with")
    measure = commands.add_parser("evaluate", help="measure a published version on training data, beside baselines")
    measure.set_defaults(command=_evaluate)
    measure.add_argument("--data", required=True, help="a path or s3://bucket; holds <dataset name>/_SUCCESS")
    measure.add_argument("--dataset", type=Path, default=Path("dataset.toml"), help=DATASET)
    measure.add_argument("--artifacts", required=True, help="the version's folder: a path or s3://bucket/version")
    measure.add_argument("--seed", type=int, default=Settings.seed, help="of the split where there is no time column")
    send = commands.add_parser(
        "publish", help="upload a version's files, the manifest last; writes one where there is none"
    )
    send.set_defaults(command=_publish)
    send.add_argument("--artifacts", type=Path, required=True, help="a folder with embeddings/, and what else there is")
    send.add_argument("--output", required=True, help="a path or s3://bucket")
    send.add_argument("--similarity", choices=SIMILARITIES, default=Settings.similarity, help=SIMILARITY)
    send.add_argument("--dataset", type=Path, help="the dataset specification to put into a new manifest")
    return parser


def _train(options: argparse.Namespace) -> None:
    settings = Settings(seed=options.seed, dim=options.dim, epochs=options.epochs, similarity=options.similarity)
    with progress_bars() as progress:
        result = pipeline.run(
            options.data,
            dataset_file.load(options.dataset),
            options.output,
            settings,
            active=options.active,
            force=options.force,
            names=_read_names(options.names) if options.names else None,
            work=options.work,
            progress=progress,
            note=lambda line: print(f"training: {line}", file=sys.stderr),
        )
    print_metrics(result.metrics)
    print(f"{result.version} published to {options.output}: {result.verdict.reason}")


def _read_names(path: Path) -> dict[str, str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return {row[0]: row[1] for row in csv.reader(file) if len(row) == 2}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TrainingError(f"--names {path}: expected csv of id,name: {error}") from error


def _evaluate(options: argparse.Namespace) -> None:
    dataset = dataset_file.load(options.dataset)
    print_metrics(pipeline.evaluate_version(options.data, dataset, options.artifacts, options.seed))


def _publish(options: argparse.Namespace) -> None:
    if not (options.artifacts / MANIFEST).exists():
        dataset = dataset_file.load(options.dataset).to_dict() if options.dataset else None
        write_manifest(options.artifacts, options.similarity, dataset)
    print(f"{publish(options.artifacts, options.output)} published to {options.output}")


if __name__ == "__main__":
    sys.exit(main())
