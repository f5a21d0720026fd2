"""Writes training data to the data lake: new files beside the old ones, then one marker that switches readers to them.

It uses only Hadoop's file system API, which serves `s3://` and `file://` alike.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession

from contracts.training_data import SUCCESS_MARKER, SuccessMarker, items_folder, read_marker

PARALLEL_DELETES = 16
ITEM_FILES = 8
"""The most files of the items: a reader opens all of them."""
MAX_FILE_BYTES = 250 * 1000 * 1000
"""The most bytes of a file, uncompressed, so that it stays below 256 MB whatever it contains."""


class Folder:
    """A folder under a URI; paths are relative to it, with `/` between names."""

    def __init__(self, spark: SparkSession, uri: str) -> None:
        self.uri = uri.rstrip("/")
        jvm: Any = spark._jvm
        self.spark = spark
        self._path = jvm.org.apache.hadoop.fs.Path
        self._io = jvm.org.apache.commons.io.IOUtils
        self._files = self._path(self.uri).getFileSystem(spark._jsc.hadoopConfiguration())

    @property
    def name(self) -> str:
        return self.uri.rsplit("/", 1)[-1]

    def sibling(self, name: str) -> "Folder":
        """Returns a folder beside this one."""
        return Folder(self.spark, f"{self.uri.rsplit('/', 1)[0]}/{name}")

    def read(self, name: str) -> str | None:
        """Reads a file's text; None if there is no such file."""
        # Not asked first whether it exists: that needs leave to list the bucket, which the code's bucket does not give.
        try:
            stream = self._files.open(self._path(f"{self.uri}/{name}"))
            try:
                return str(self._io.toString(stream, "UTF-8"))
            finally:
                stream.close()
        except Py4JJavaError as error:
            if error.java_exception.getClass().getName() == "java.io.FileNotFoundException":
                return None
            raise

    def write(self, name: str, text: str) -> None:
        """Replaces the file; on S3 that is one PutObject, which is atomic for readers."""
        stream = self._files.create(self._path(f"{self.uri}/{name}"), True)
        try:
            stream.write(bytearray(text.encode()))
        finally:
            stream.close()

    def files(self) -> set[str]:
        """Returns all files below the folder, except hidden ones (`_…`, `.…`)."""
        root = self._path(self.uri)
        if not self._files.exists(root):
            return set()
        base = self._files.getFileStatus(root).getPath().toString().rstrip("/") + "/"
        found, entries = set(), self._files.listFiles(root, True)
        while entries.hasNext():
            name = entries.next().getPath().toString().removeprefix(base)
            if not any(part.startswith(("_", ".")) for part in name.split("/")):
                found.add(name)
        return found

    def delete(self, names: Iterable[str]) -> None:
        with ThreadPoolExecutor(PARALLEL_DELETES) as pool:
            list(pool.map(lambda name: self._files.delete(self._path(f"{self.uri}/{name}"), False), names))


def read_success(folder: Folder) -> SuccessMarker | None:
    """Reads the last run's marker; None if there is none."""
    text = folder.read(SUCCESS_MARKER)
    return None if text is None else read_marker(text)


def replace(
    folder: Folder,
    data: DataFrame,
    items: DataFrame,
    partition: str,
    run: str,
    rows: int,
    row_bytes: int,
    kept: frozenset[str],
) -> SuccessMarker:
    """Writes the data and the items, switches readers to them and to the `kept` files, and then deletes the others.

    The data are partitioned by folder, so each folder gets one file; more only if rows of `row_bytes` make it too
    large. `rows` counts the kept ones too.

    If it is stopped before the switch, the old data stay readable, and the next run deletes the files that no marker
    names. If it is stopped after the switch, the new data are readable.
    """
    catalogue = folder.sibling(items_folder(folder.name))
    before, items_before = folder.files(), catalogue.files()
    (
        data.write.mode("append")
        .partitionBy(partition)
        .option("compression", "snappy")
        .option("maxRecordsPerFile", max(MAX_FILE_BYTES // row_bytes, 1))
        .parquet(folder.uri)
    )
    items.coalesce(ITEM_FILES).write.mode("append").option("compression", "snappy").parquet(catalogue.uri)
    items_now = tuple(sorted(catalogue.files() - items_before))
    marker = SuccessMarker(run, rows, tuple(sorted((folder.files() - before) | kept)), items_now)
    folder.write(SUCCESS_MARKER, marker.to_json())
    folder.delete(before - kept)
    catalogue.delete(items_before)
    return marker
