"""Exports the user tower with its preprocessing: raw strings, numbers and vectors in, the user's vector out."""

import io
import warnings
from collections.abc import Sequence

import onnx
import torch
from onnx import TensorProto, compose, helper
from torch import Tensor, nn

from contracts.artifacts import RECENT_ITEMS_INPUT, RECENT_ITEMS_MASK_INPUT, USER_VECTOR_OUTPUT
from contracts.dataset import Kind
from training.features import Encoding, index_of
from training.model import UserTower

OPSET, ML_OPSET, IR_VERSION = 17, 3, 8


def user_tower(tower: UserTower, encodings: tuple[Encoding, ...], dim: int) -> bytes:
    """A file with the inputs and the output that `contracts.artifacts` describes."""
    core = _core(tower.eval(), encodings, dim)
    lookups = _lookups([encoding for encoding in encodings if not encoding.column.kind.is_number])
    if lookups is not None:
        links = [(output.name, output.name) for output in lookups.graph.output]
        core = compose.merge_models(lookups, core, io_map=links)
    onnx.checker.check_model(core, full_check=True)
    content: bytes = core.SerializeToString()
    return content


class _Flat(nn.Module):
    """The tower with its inputs side by side, as a graph has them."""

    def __init__(self, tower: UserTower) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, recent: Tensor, mask: Tensor, *features: Tensor) -> Tensor:
        vector: Tensor = self.tower(features, recent, mask)
        return vector


def _core(tower: UserTower, encodings: Sequence[Encoding], dim: int) -> onnx.ModelProto:
    """The tower as traced from torch; text columns come in as indices."""
    names = [RECENT_ITEMS_INPUT, RECENT_ITEMS_MASK_INPUT, *map(_core_input, encodings)]
    example = (torch.zeros(2, 3, dim), torch.ones(2, 3), *map(_example, encodings))
    axes = {name: {0: "batch"} for name in (*names, USER_VECTOR_OUTPUT)}
    axes[RECENT_ITEMS_INPUT][1] = axes[RECENT_ITEMS_MASK_INPUT][1] = "n_recent"
    for encoding in encodings:
        if encoding.column.kind is Kind.TAGS:
            axes[_core_input(encoding)][1] = f"n_{encoding.column.name}"
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter that torch prefers needs one more package; the tower is all plain operators.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Flat(tower).eval(),
            example,
            buffer,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=OPSET,
            input_names=names,
            output_names=[USER_VECTOR_OUTPUT],
            dynamic_axes=axes,
        )
    core = onnx.load_from_string(buffer.getvalue())
    core.ir_version = IR_VERSION
    return core


def _core_input(encoding: Encoding) -> str:
    return encoding.column.name if encoding.column.kind.is_number else f"{encoding.column.name}:index"


def _example(encoding: Encoding) -> Tensor:
    if encoding.column.kind.is_number:
        return torch.zeros(2)
    return torch.zeros((2, 2) if encoding.column.kind is Kind.TAGS else (2,), dtype=torch.int64)


def _lookups(encodings: Sequence[Encoding]) -> onnx.ModelProto | None:
    """Text → index, 0 for what the training has not seen."""
    if not encodings:
        return None
    nodes, inputs, outputs = [], [], []
    for encoding in encodings:
        name = encoding.column.name
        shape = ["batch", f"n_{name}"] if encoding.column.kind is Kind.TAGS else ["batch"]
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
