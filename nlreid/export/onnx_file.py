"""`to_onnx`: a model as an ONNX file that is enough to embed with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from nlreid.data.disk import as_path
from nlreid.data.whole_file import check_writable, write_whole
from nlreid.errors import ExportError, import_extra
from nlreid.export.parity import TOLERANCE, Exported, check_parity, checked_tolerance
from nlreid.export.program import plain_copy, program_of
from nlreid.export.reports import quiet, reason
from nlreid.models.exported.about import METADATA_KEY, About
from nlreid.models.exported.onnx_file import onnx_model
from nlreid.models.network import VideoReID

NAMES = ("embedding", "logits")


def to_onnx(model: VideoReID, path: str | Path, *, tolerance: float = TOLERANCE, verbose: bool = False) -> Exported:
    """Export a model to ONNX, for any number of clips and of frames from `model.min_frames`.

    What is written has answered, in onnxruntime, as the model does: one clip of the length that the model wants, and two of
    another. A file that does not is not written, and neither is half of one.

    Args:
        model: The model, on any device and in any mode; it is left as it is. What `nlreid.optimize_for_inference` gives in
            float32 will do, too.
        path: The file, `*.onnx`; one of that name is replaced.
        tolerance: How far the file's answers may be from the model's, as a share of their largest value.
        verbose: Whether torch's exporter may print and log what it does.

    Returns:
        The path, and the largest difference that was seen.

        The file's input is `clip`, float32 `(batch, 3, frames, height, width)` of the model's own height and width; its outputs
        are `embedding` `(batch, embedding_dim)`, not normalised, and `logits` where the model has a classifier. Its metadata
        under `"nlreid"` is JSON: the model's name, where its weights came from, and the clips that it wants
        (`nlreid.models.exported.About`).

    Raises:
        InputError: If `model` is none of the library, is compiled or wrapped, computes in another type than float32 or has no
            values; if `path` is none or `tolerance` no number.
        DataError: If the file cannot be written.
        ExportError: If torch cannot export the model, or the file answers otherwise; it says by how much.
        MissingExtraError: If onnx, onnxscript or onnxruntime is not installed.
    """
    tolerance = checked_tolerance(tolerance)
    path = as_path("path", path)
    check_writable(path)
    check_extra()
    plain = plain_copy(model)
    with quiet(verbose):
        content = _content(program_of(plain), About.of(plain), verbose)
    difference = check_parity(plain, onnx_model(content, path), path, tolerance)
    write_whole(path, content)
    return Exported(path, difference)


def check_extra() -> None:
    """See that everything is there that writes and runs ONNX files.

    Raises:
        MissingExtraError: If onnx, onnxscript or onnxruntime is not installed.
    """
    for module in ("onnx", "onnxscript", "onnxruntime"):
        import_extra(module, "onnx")


def _content(program: ExportedProgram, about: About, verbose: bool) -> bytes:
    """The bytes of the file."""
    names = NAMES if about.num_classes else NAMES[:1]
    shapes = ({0: "batch", 2: "frames"},)
    try:
        exported = torch.onnx.export(
            program, (), input_names=["clip"], output_names=names, dynamic_shapes=shapes, dynamo=True, verbose=verbose
        )
        assert exported is not None
        file = exported.model_proto
        _forget_origins(file.graph)
        for function in file.functions:
            _forget_origins(function)
        del file.metadata_props[:]
        entry = file.metadata_props.add()
        entry.key, entry.value = METADATA_KEY, about.to_json()
        content: bytes = file.SerializeToString(deterministic=True)
    except Exception as error:  # each step of the exporter has its own
        raise ExportError(f"torch.onnx cannot export {about.name!r} ({reason(error)})") from error
    return content


def _forget_origins(graph: Any) -> None:
    """Leave out where in the code each part comes from, which names folders of the machine."""
    for kind in ("node", "value_info", "input", "output", "initializer"):  # a function has only some of them
        for part in getattr(graph, kind, ()):
            if hasattr(part, "metadata_props"):  # the inputs of a function are names
                del part.metadata_props[:]
                part.doc_string = ""
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        if attribute.HasField("g"):
            _forget_origins(attribute.g)
    del graph.metadata_props[:]
