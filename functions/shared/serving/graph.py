"""A tower's ONNX graph as ONNX Runtime runs it: its inputs are checked, and raw features become tensors."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime

from contracts.columns import Column
from functions.shared.vectors import Vectors

NUMBERS, TEXTS = "tensor(float)", "tensor(string)"
"""ONNX Runtime's names of the types of inputs."""

FeatureValue = float | str | tuple[str, ...]
"""A value of `contracts.features.value`."""


class ModelError(ValueError):
    """A model that does not fit its manifest."""


class Graph:
    """A graph with an input for each of the `columns`, and some of the `others`, which are numbers.

    `name` is what errors call it. Raises `ModelError` where its inputs or its output are not these.
    """

    def __init__(
        self, name: str, model: bytes, columns: Sequence[Column], output: str, others: Sequence[str] = ()
    ) -> None:
        self._name, self._columns, self._output = name, columns, output
        options = onnxruntime.SessionOptions()
        # A function has about one CPU: more threads would only wait for each other.
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        # Each batch has a shape of its own, and ONNX Runtime would keep a plan of the memory for each of them.
        options.enable_mem_pattern = False
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has a class for each reason, and no common one
            raise ModelError(f"{name}: ONNX Runtime cannot load it: {error}") from error
        inputs = {given.name: given for given in self._session.get_inputs()}
        self.others = frozenset(others).intersection(inputs)
        self._check({given.name: given.type for given in inputs.values()})
        self._tag_counts = {name: given.shape[1] for name, given in inputs.items() if len(given.shape) == 2}

    def run(self, rows: Sequence[Sequence[FeatureValue]], others: Mapping[str, Any], dim: int) -> Vectors:
        """(len(rows), dim). A row has a value for each of the columns, in their order.

        Raises `ModelError` where the graph gives something else, or cannot run.
        """
        inputs: dict[str, Any] = {name: value for name, value in others.items() if name in self.others}
        for place, column in enumerate(self._columns):
            inputs[column.name] = tensor(column, [row[place] for row in rows], self._tag_counts.get(column.name))
        try:
            output: Vectors = self._session.run([self._output], inputs)[0]
        except Exception as error:  # ONNX Runtime has a class for each reason, and no common one
            raise ModelError(f"{self._name}: it cannot be run: {error}") from error
        expected = (len(rows), dim)
        if output.shape != expected or output.dtype != np.float32:
            raise ModelError(f"{self._name}: expected float32 vectors {expected}, found {output.dtype} {output.shape}")
        return output

    def _check(self, found: Mapping[str, str]) -> None:
        expected = {column.name: NUMBERS if column.kind.is_number else TEXTS for column in self._columns}
        expected |= dict.fromkeys(self.others, NUMBERS)
        if found != expected:
            raise ModelError(f"{self._name}: expected the inputs {expected}, found {found}")
        outputs = [given.name for given in self._session.get_outputs()]
        if self._output not in outputs:
            raise ModelError(f"{self._name}: expected the output {self._output}, found {outputs}")


def tensor(column: Column, values: Sequence[FeatureValue], tag_count: int | str | None = None) -> Any:
    """(len(values),) of a column, or (len(values), tag_count) of tags; the longest counts where the graph leaves it."""
    if column.kind.is_list:
        return _pad_tags([value for value in values if isinstance(value, tuple)], tag_count)
    return np.array(values, dtype=np.float32 if column.kind.is_number else object)


def is_missing(value: FeatureValue) -> bool:
    return math.isnan(value) if isinstance(value, float) else not value


def _pad_tags(tags: Sequence[Sequence[str]], width: int | str | None) -> Any:
    """(len(tags), width) of text; the model says the width, or leaves it open."""
    columns = width if isinstance(width, int) else max(1, max(map(len, tags)))
    padded = np.full((len(tags), columns), "", dtype=object)
    for row, values in enumerate(tags):
        padded[row, : min(len(values), columns)] = values[:columns]
    return padded
