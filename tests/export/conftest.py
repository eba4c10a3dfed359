"""A model and the ONNX file of it. Exporting needs torch from 2.7."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from nlreid.export import to_onnx

sys.path.insert(0, str(Path(__file__).parent))  # models and clips are shared by the test files here

from trained import new_model


def pytest_collection_modifyitems(items):
    if hasattr(torch.compiler, "is_exporting"):
        return
    for item in items:
        if "tests/export" in item.path.as_posix() and "too_old" not in item.name:
            item.add_marker(pytest.mark.skip(reason=f"torch {torch.__version__} cannot export for any number of frames"))


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A model with a classifier, the ONNX file of it, and what `to_onnx` said."""
    model = new_model(num_classes=5)
    path = tmp_path_factory.mktemp("onnx") / "people.onnx"
    said = to_onnx(model, path)
    return SimpleNamespace(model=model, path=path, said=said, was_training=model.training)
