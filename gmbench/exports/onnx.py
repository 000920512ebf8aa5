"""The policy as an ONNX file: ``observation u8[batch, rows, cols, channels]`` to ``log_probs``.

Written from the same operations as the one in NumPy (:mod:`gmbench.core.graph`), each of which has
a counterpart in ONNX. The batch is free.
"""

from typing import Any

import numpy as np

from gmbench.core import checks, files, graph, registry
from gmbench.exports import Exporter, Request

OPSET, IR = 18, 9
"""Versions of 2023, so that readers need not be new."""
NAMES = {
    "abs": "Abs",
    "add": "Add",
    "and": "And",
    "div": "Div",
    "eq": "Equal",
    "exp": "Exp",
    "ge": "GreaterOrEqual",
    "gt": "Greater",
    "le": "LessOrEqual",
    "log": "Log",
    "logistic": "Sigmoid",
    "lt": "Less",
    "max": "Max",
    "min": "Min",
    "mul": "Mul",
    "neg": "Neg",
    "not": "Not",
    "or": "Or",
    "pow": "Pow",
    "sign": "Sign",
    "sqrt": "Sqrt",
    "sub": "Sub",
    "tanh": "Tanh",
    "where": "Where",
}
"""Operations without settings, by their names there."""
SIZED = {"broadcast": "Expand", "reshape": "Reshape"}
REDUCED = {"reduce_max": "ReduceMax", "reduce_min": "ReduceMin", "reduce_sum": "ReduceSum"}


def write(request: Request) -> None:
    """Write the file.

    Raises:
        Refused: for a policy with memory, or with anything in it that cannot be exported.
    """
    program, held = graph.of_policy(request.agent.env, request.agent.policy)
    model = model_of(program, held, request.agent.env.num_actions)
    files.write(request.out, model.SerializeToString())


def model_of(program: dict[str, Any], held: dict[str, np.ndarray], actions: int) -> Any:
    """Return a program as an ``onnx.ModelProto``, checked."""
    onnx = checks.need("onnx", "onnx", "export")
    writer = _Writer(onnx, program["input"])
    for name, array in held.items():
        writer.constant(array, name)
    for operation in program["operations"]:
        writer.add(*operation)
    writer.node("Identity", [program["output"]], "log_probs")
    kinds, describe = onnx.TensorProto, onnx.helper.make_tensor_value_info
    drawn = onnx.helper.make_graph(
        writer.nodes,
        "policy",
        [describe("observation", kinds.UINT8, ["batch", *program["shape"]])],
        [describe("log_probs", kinds.FLOAT, ["batch", actions])],
        writer.constants,
    )
    versions = [onnx.helper.make_opsetid("", OPSET)]
    model = onnx.helper.make_model(drawn, opset_imports=versions, ir_version=IR)
    onnx.checker.check_model(model, full_check=True)
    return model


class _Writer:
    """Nodes and constants so far."""

    def __init__(self, onnx: Any, given: str) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.node("Identity", ["observation"], given)
        self.node("Shape", ["observation"], "batch", start=0, end=1)

    def constant(self, array: Any, name: str = "") -> str:
        name = name or f"c{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, kind: str, operands: list[str], result: str = "", **settings: Any) -> str:
        result = result or f"n{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, operands, [result], **settings))
        return result

    def sizes(self, given: list[int]) -> str:
        """Return sizes as a value: those of the batch are worked out when it is known."""
        sizes = np.array(given, np.int64)
        still = self.constant(np.maximum(sizes, 0))
        if (sizes >= 0).all():
            return still
        times = self.constant(np.maximum(-sizes, 0))
        return self.node("Add", [still, self.node("Mul", ["batch", times])])

    def add(self, name: str, given: list[str], result: str, settings: dict[str, Any]) -> None:
        """Add one operation of a program."""
        if name in NAMES:
            self.node(NAMES[name], given, result)
        elif name in SIZED:
            self.node(SIZED[name], [*given, self.sizes(settings["shape"])], result)
        elif name in REDUCED:
            axes = self.constant(np.array(settings["axes"], np.int64))
            self.node(REDUCED[name], [*given, axes], result, keepdims=0)
        elif name == "ne":
            self.node("Not", [self.node("Equal", given)], result)
        elif name == "is_finite":
            odd = self.node("Or", [self.node("IsNaN", given), self.node("IsInf", given)])
            self.node("Not", [odd], result)
        elif name == "cast":
            kind = self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(settings["dtype"]))
            self.node("Cast", given, result, to=kind)
        elif name == "concatenate":
            self.node("Concat", given, result, axis=settings["axis"])
        elif name == "einsum":
            self.node("Einsum", given, result, equation=settings["equation"])
        elif name == "pad":
            low, high = np.array(settings["widths"], np.int64).T
            widths = self.constant(np.concatenate([low, high]))
            self.node("Pad", [given[0], widths, given[1]], result)
        elif name == "slice":
            count = np.arange(len(settings["start"]), dtype=np.int64)
            step = self.constant(np.array(settings["step"], np.int64))
            bounds = [self.sizes(settings[bound]) for bound in ("start", "stop")]
            self.node("Slice", [given[0], *bounds, self.constant(count), step], result)
        elif name == "transpose":
            self.node("Transpose", given, result, perm=settings["axes"])
        else:
            raise checks.Refused(f"policy: {name} is not exported to ONNX")


registry.exporter("onnx")(Exporter(write, (".onnx",), {".onnx": ("onnx", "onnx")}))
