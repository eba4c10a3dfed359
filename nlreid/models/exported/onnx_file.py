"""A network in an ONNX file, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlreid.errors import DataError, import_extra, shorten
from nlreid.models.exported.about import METADATA_KEY, About
from nlreid.models.exported.network import ExportedModel, contents_of

_ERRORS_ONLY = 3  # of onnxruntime's severities


def load_onnx(path: str | Path) -> ExportedModel:
    """Open what `nlreid.export.to_onnx` wrote, to embed with it: `nlreid.embed(load_onnx(path), tracklets)`.

    It runs on as many threads as torch does.

    Args:
        path: The file.

    Raises:
        InputError: If it is no path.
        DataError: If the file is missing, is no ONNX file, does not say which clips it wants, or takes others than it says.
        MissingExtraError: If onnxruntime is not installed.
    """
    import_extra("onnxruntime", "onnx")
    path, content, digest = contents_of(path, "an ONNX file")
    return onnx_model(content, path, digest)


def onnx_model(content: bytes, path: Path, digest: str = "") -> ExportedModel:
    """The network in the bytes of an ONNX file.

    Args:
        content: The bytes.
        path: The file, for messages and for what is embedded.
        digest: Its SHA-256.

    Raises:
        DataError: If it is none, does not say which clips it wants, or takes others than it says.
    """
    session = _session(content, path)
    about = About.from_json(session.get_modelmeta().custom_metadata_map.get(METADATA_KEY), path)
    _check_shapes(session, about, path)
    (clip,) = session.get_inputs()

    def run(batch: Tensor) -> Sequence[Tensor]:
        try:
            answers = session.run(None, {clip.name: batch.numpy()})
        except Exception as error:  # as when it is opened
            said = f"onnxruntime cannot run it on clips {tuple(batch.shape)}"
            raise DataError(f"{path}: {said} ({shorten(str(error), 300)})") from error
        return [torch.from_numpy(values) for values in answers]

    return ExportedModel(run, about, path, digest)


def _check_shapes(session: Any, about: About, path: Path) -> None:
    """Refuse a file whose graph is of other clips or answers than its metadata: one of the two was changed afterwards."""
    any_number = None
    wanted: list[tuple[int | None, ...]] = [(any_number, 3, any_number, *about.clip.size), (any_number, about.embedding_dim)]
    wanted += [(any_number, about.num_classes)] if about.num_classes else []
    ends = [*session.get_inputs(), *session.get_outputs()]
    if len(session.get_inputs()) != 1 or len(ends) != len(wanted) or not all(map(_fits, ends, wanted)):
        shapes = ", ".join(f"{end.name} {end.type} {shorten(str(end.shape))}" for end in ends)
        said = ", ".join(str(list(shape)).replace("None", "any") for shape in wanted)
        raise DataError(f"{path}: its graph does not fit its metadata {METADATA_KEY!r}: {shapes}; wanted {said}, in float32")


def _fits(end: Any, wanted: Sequence[int | None]) -> bool:
    """Whether what goes in or comes out has this shape, as far as the file says; what may be any number must not be fixed."""
    if end.type != "tensor(float)" or len(end.shape) != len(wanted):
        return False
    return all(not isinstance(size, int) or size == asked for size, asked in zip(end.shape, wanted, strict=True))


def _session(content: bytes, path: Path) -> Any:
    runtime = import_extra("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # each kind of damage has a class of its own there, none with a base but this
        raise DataError(f"{path}: onnxruntime cannot open it as an ONNX file ({shorten(str(error), 300)})") from error
