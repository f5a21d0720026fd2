"""Changes of an ONNX graph that make its tower wrong in one way each."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from contracts.artifacts import USER_VECTOR_OUTPUT
from tests.functions.worlds import DIM


def edited(content: bytes, edit: Callable[[Any], Any]) -> bytes:
    model = onnx.load_from_string(content)
    edit(model.graph)
    changed: bytes = model.SerializeToString()
    return changed


def last(graph: Any, operator: str, constant: Any = None, **attributes: Any) -> None:
    """One more operation at the graph's end."""
    told = graph.output[0].name
    for node in graph.node:
        node.output[:] = ["before" if name == told else name for name in node.output]
    inputs = ["before"]
    if constant is not None:
        graph.initializer.append(numpy_helper.from_array(constant, "constant"))
        inputs.append("constant")
    graph.node.append(helper.make_node(operator, inputs, [told], **attributes))


def times(graph: Any, factor: float) -> None:
    last(graph, "Mul", np.array(factor, np.float32))


def output(graph: Any, element: int, shape: list[Any]) -> None:
    graph.output[0].CopyFrom(helper.make_tensor_value_info(USER_VECTOR_OUTPUT, element, shape))


def double(graph: Any) -> None:
    last(graph, "Cast", to=TensorProto.DOUBLE)
    output(graph, TensorProto.DOUBLE, ["batch", DIM])


def another_rank(graph: Any) -> None:
    last(graph, "Unsqueeze", np.array([2], np.int64))
    output(graph, TensorProto.FLOAT, ["batch", DIM, 1])


def same_for_all(graph: Any) -> None:
    times(graph, 0.0)
    graph.node[-1].output[0] = "zeros"
    graph.node.append(helper.make_node("Add", ["zeros", "one"], [USER_VECTOR_OUTPUT]))


def mixes_rows(graph: Any) -> None:
    told = graph.output[0].name
    for node in graph.node:
        node.output[:] = ["before" if name == told else name for name in node.output]
    graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), "axis_0"))
    graph.node.append(helper.make_node("ReduceSum", ["before", "axis_0"], ["all"], keepdims=1))
    graph.node.append(helper.make_node("Add", ["before", "all"], [told]))


def slow(graph: Any) -> None:
    """Multiplies by one, 200,000 times in each run."""
    number: tuple[int, list[Any]] = (TensorProto.INT64, [])
    truth: tuple[int, list[Any]] = (TensorProto.BOOL, [])
    vectors: tuple[int, list[Any]] = (TensorProto.FLOAT, ["batch", DIM])
    given = {"n": number, "again": truth, "vectors": vectors}
    told = {"once_more": truth, "same": vectors}
    inputs, outputs = ([helper.make_tensor_value_info(name, *of) for name, of in x.items()] for x in (given, told))
    nodes = [
        helper.make_node("Identity", ["again"], ["once_more"]),
        helper.make_node("Mul", ["vectors", "1"], ["same"]),
    ]
    body = helper.make_graph(nodes, "body", inputs, outputs, [numpy_helper.from_array(np.array(1, np.float32), "1")])
    graph.initializer.append(numpy_helper.from_array(np.array(200_000, np.int64), "times"))
    graph.initializer.append(numpy_helper.from_array(np.array(True), "true"))
    last(graph, "Identity")
    graph.node[-1].CopyFrom(helper.make_node("Loop", ["times", "true", "before"], [USER_VECTOR_OUTPUT], body=body))


def rename(graph: Any, old: str, new: str) -> None:
    for given in graph.input:
        given.name = new if given.name == old else given.name
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]


def rename_output(graph: Any) -> None:
    for node in graph.node:
        node.output[:] = ["vector" if name == graph.output[0].name else name for name in node.output]
    graph.output[0].name = "vector"


def one_more_input(graph: Any) -> None:
    graph.input.append(helper.make_tensor_value_info("horoscope", TensorProto.STRING, ["batch"]))


def drop_input(graph: Any) -> None:
    graph.input.remove(next(given for given in graph.input if given.name == "country"))


def text_as_number(graph: Any) -> None:
    given = next(given for given in graph.input if given.name == "country")
    given.CopyFrom(helper.make_tensor_value_info("country", TensorProto.FLOAT, ["batch"]))


def fixed(graph: Any, axis: int, size: int) -> None:
    for given in graph.input:
        if len(given.type.tensor_type.shape.dim) > axis:
            given.type.tensor_type.shape.dim[axis].dim_value = size


def no_care_for_missing(graph: Any) -> None:
    """A missing number is NaN, and so is all that is computed with it."""
    where = next(node for node in graph.node if node.op_type == "Where")
    where.input[1] = where.input[2]


def no_care_for_no_history(graph: Any) -> None:
    """No items, divided by their number."""
    next(node for node in graph.node if node.op_type == "Div").input[1] = "count"


def identity() -> bytes:
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch"])
    told = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch"])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [given], [told])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    content: bytes = model.SerializeToString()
    return content
