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
        DataError: If the file is missing, is no ONNX file, or does not say which clips it wants.
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
        DataError: If it is none, or does not say which clips it wants.
    """
    session = _session(content, path)
    about = About.from_json(session.get_modelmeta().custom_metadata_map.get(METADATA_KEY), path)
    (clip,) = session.get_inputs()

    def run(batch: Tensor) -> Sequence[Tensor]:
        return [torch.from_numpy(values) for values in session.run(None, {clip.name: batch.numpy()})]

    return ExportedModel(run, about, path, digest)


def _session(content: bytes, path: Path) -> Any:
    runtime = import_extra("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # each kind of damage has a class of its own there, none with a base but this
        raise DataError(f"{path}: onnxruntime cannot open it as an ONNX file ({shorten(str(error), 300)})") from error
