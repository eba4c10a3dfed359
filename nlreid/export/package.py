"""`to_package`: a model as machine code, compiled ahead of time by AOTInductor."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch.export import ExportedProgram

from nlreid.data.disk import as_path
from nlreid.data.whole_file import check_writable, write_whole
from nlreid.errors import ExportError
from nlreid.export.parity import TOLERANCE, Exported, check_parity, checked_tolerance
from nlreid.export.program import plain_copy, program_of
from nlreid.export.reports import quiet, reason
from nlreid.models.exported.about import METADATA_KEY, About
from nlreid.models.exported.package_file import package_model
from nlreid.models.network import VideoReID


def to_package(model: VideoReID, path: str | Path, *, tolerance: float = TOLERANCE, verbose: bool = False) -> Exported:
    """Compile a model for this machine's CPU, for any number of clips and of frames from `model.min_frames`.

    The package runs with `torch._inductor.aoti_load_package`, or from C++, without the library and without compiling anything.
    It holds machine code: for processors like this one and torch of this version. What is written has answered as the model
    does, see `to_onnx`.

    Args:
        model: As for `to_onnx`.
        path: The file, `*.pt2`; one of that name is replaced.
        tolerance: As for `to_onnx`.
        verbose: Whether torch's compiler may log what it does.

    Returns:
        The path, and the largest difference that was seen. The package takes a clip and gives a tuple, as `to_program` does.

    Raises:
        InputError: As `to_onnx`.
        DataError: If the file cannot be written.
        ExportError: If there is no C++ compiler, torch cannot compile the model, or the package answers otherwise.
    """
    tolerance = checked_tolerance(tolerance)
    path = as_path("path", path)
    check_writable(path)
    _check_compiler()
    plain = plain_copy(model)
    with quiet(verbose):
        content = _content(program_of(plain), About.of(plain))
        difference = check_parity(plain, package_model(content, path), path, tolerance)
    write_whole(path, content)
    return Exported(path, difference)


def _check_compiler() -> None:
    """Refuse to begin where nothing can be compiled."""
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise ExportError(
            "no C++ compiler was found, and a package is compiled; install g++ or clang++, or name one in the environment "
            "variable CXX"
        ) from error


def _content(program: ExportedProgram, about: About) -> bytes:
    """The bytes of the file."""
    file = io.BytesIO()
    settings = {"aot_inductor.metadata": {METADATA_KEY: about.to_json()}}
    try:
        torch._inductor.aoti_compile_and_package(program, package_path=file, inductor_configs=settings)
    except Exception as error:  # the compiler of torch, or the one that it calls
        raise ExportError(f"torch cannot compile {about.name!r} ({reason(error)})") from error
    return file.getvalue()
