"""Exports the towers with their preprocessing: raw strings, numbers and recent items' vectors in, a vector out."""

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx
import torch
from onnx import TensorProto, compose, helper
from torch import Tensor, nn

from contracts.artifacts import (
    ITEM_VECTOR_OUTPUT,
    RECENT_ITEMS_INPUT,
    RECENT_ITEMS_MASK_INPUT,
    USER_VECTOR_OUTPUT,
)
from training.features import Encoding, index_of
from training.joined import JoinedItems, JoinedUsers
from training.model import ItemTower, UserTower

OPSET, ML_OPSET, IR_VERSION = 17, 3, 8


@dataclass(frozen=True)
class _Input:
    """An example value, and the names of the axes that may have any length."""

    example: Tensor
    axes: Mapping[int, str]


def user_tower(tower: UserTower | JoinedUsers, encodings: tuple[Encoding, ...], dim: int) -> bytes:
    """A file with the inputs and the output that `contracts.artifacts` describes."""
    axes = {0: "batch", 1: "n_recent"}
    history = {
        RECENT_ITEMS_INPUT: _Input(torch.zeros(2, 3, dim), axes),
        RECENT_ITEMS_MASK_INPUT: _Input(torch.ones(2, 3), axes),
    }
    return _graph(_OfUsers(tower), history, encodings, USER_VECTOR_OUTPUT)


def item_tower(tower: ItemTower | JoinedItems, encodings: tuple[Encoding, ...]) -> bytes:
    """Exports the item tower without its ids, to embed items that were not in training. It needs a feature."""
    return _graph(_OfItems(tower), {}, encodings, ITEM_VECTOR_OUTPUT)


class _OfUsers(nn.Module):
    """The user tower with one argument for each input of the graph."""

    def __init__(self, tower: UserTower | JoinedUsers) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, recent: Tensor, mask: Tensor, *features: Tensor) -> Tensor:
        vector: Tensor = self.tower(features, recent, mask)
        return vector


class _OfItems(nn.Module):
    """The item tower without ids, with one argument for each input of the graph."""

    def __init__(self, tower: ItemTower | JoinedItems) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, *features: Tensor) -> Tensor:
        return self.tower.unseen(features)


def _graph(module: nn.Module, history: Mapping[str, _Input], encodings: Sequence[Encoding], output: str) -> bytes:
    inputs = {**history, **{_core_input(encoding): _input(encoding) for encoding in encodings}}
    core = _core(module.eval(), inputs, output)
    lookups = _lookups([encoding for encoding in encodings if not encoding.column.kind.is_number])
    if lookups is not None:
        links = [(index.name, index.name) for index in lookups.graph.output]
        core = compose.merge_models(lookups, core, io_map=links)
    onnx.checker.check_model(core, full_check=True)
    content: bytes = core.SerializeToString()
    return content


def _core(module: nn.Module, inputs: Mapping[str, _Input], output: str) -> onnx.ModelProto:
    """Returns the tower as torch traces it; text columns come in as indices."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # torch's newer exporter needs one more package, and the towers have plain operators only.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            tuple(given.example for given in inputs.values()),
            buffer,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=[output],
            dynamic_axes={name: dict(given.axes) for name, given in inputs.items()} | {output: {0: "batch"}},
        )
    core = onnx.load_from_string(buffer.getvalue())
    core.ir_version = IR_VERSION
    return core


def _core_input(encoding: Encoding) -> str:
    return encoding.column.name if encoding.column.kind.is_number else f"{encoding.column.name}:index"


def _input(encoding: Encoding) -> _Input:
    if encoding.column.kind.is_number:
        return _Input(torch.zeros(2), {0: "batch"})
    if encoding.column.kind.is_list:
        return _Input(torch.zeros((2, 2), dtype=torch.int64), {0: "batch", 1: f"n_{encoding.column.name}"})
    return _Input(torch.zeros(2, dtype=torch.int64), {0: "batch"})


def _lookups(encodings: Sequence[Encoding]) -> onnx.ModelProto | None:
    """Returns a graph that maps each text to its index, 0 for a value that was not in training; None without text
    columns."""
    if not encodings:
        return None
    nodes, inputs, outputs = [], [], []
    for encoding in encodings:
        name = encoding.column.name
        shape = ["batch", f"n_{name}"] if encoding.column.kind.is_list else ["batch"]
        index = {"": 0, **index_of(encoding)}
        nodes.append(
            helper.make_node(
                "LabelEncoder",
                [name],
                [f"{name}:index"],
                domain="ai.onnx.ml",
                keys_strings=list(index),
                values_int64s=list(index.values()),
                default_int64=0,
            )
        )
        inputs.append(helper.make_tensor_value_info(name, TensorProto.STRING, shape))
        outputs.append(helper.make_tensor_value_info(f"{name}:index", TensorProto.INT64, shape))
    graph = helper.make_graph(nodes, "lookups", inputs, outputs)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
