"""Reads the files of the training data: the marker, and the Parquet files that it lists."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from contracts.training_data import SUCCESS_MARKER, SuccessMarker, read_marker
from training.errors import TrainingError
from training.folders import Folder

READERS = 16
"""The files that are read at once: a read from S3 is mostly waiting."""


def success_marker(root: Folder) -> SuccessMarker:
    """Reads the marker. Raises `TrainingError` where it is missing or wrong."""
    marker_text = root.read(SUCCESS_MARKER)
    if marker_text is None:
        raise TrainingError(
            f"{root}: expected training data with a {SUCCESS_MARKER} marker, found none: "
            "run the ETL job, or check --data and the dataset's output name"
        )
    try:
        return read_marker(marker_text.decode())
    except ValueError as error:
        raise TrainingError(f"{root}: {error}") from error


def read_files(root: Folder, paths: Sequence[str], wanted: Sequence[str], if_there: Sequence[str] = ()) -> pa.Table:
    """Reads columns of all files: the wanted ones, and of `if_there` those that a file has. Raises `TrainingError`."""
    with ThreadPoolExecutor(READERS) as pool:
        tables = list(pool.map(lambda path: _read_file(root, path, wanted, if_there), paths))
    if not tables:
        raise TrainingError(f"{root}: expected ratings, found none ({SUCCESS_MARKER} lists no file)")
    return pa.concat_tables(tables, promote_options="permissive")


def _read_file(root: Folder, path: str, wanted: Sequence[str], if_there: Sequence[str]) -> pa.Table:
    """Reads one file, and adds the partition's column, which Spark writes to the folder's name only."""
    content = root.read(path)
    if content is None:
        raise TrainingError(f"{root}/{path}: listed by {SUCCESS_MARKER}, but not there: run the ETL job again")
    try:
        table = pq.read_table(BytesIO(content), partitioning=None)
    except pa.ArrowException as error:
        raise TrainingError(f"{root}/{path}: not a Parquet file: {error}") from error
    for part in path.split("/")[:-1]:
        key, _, value = part.partition("=")
        if key in wanted and key not in table.column_names:
            table = table.append_column(key, pa.array([unquote(value)] * len(table), pa.string()))
    missing = [name for name in wanted if name not in table.column_names]
    if missing:
        raise TrainingError(
            f"{root}/{path}: expected the columns {', '.join(wanted)}; not found: {', '.join(missing)}: "
            "run the ETL job with the same dataset.toml"
        )
    return table.select([*wanted, *(name for name in if_there if name in table.column_names)])
