"""Exporting needs torch from 2.7 and the extra [onnx] where ONNX is meant; packages a C++ compiler."""

from __future__ import annotations

import pytest
import torch

CAN = hasattr(torch.compiler, "is_exporting")


def pytest_collection_modifyitems(items):
    if CAN:
        return
    for item in items:
        if "tests/export" in item.path.as_posix() and "too_old" not in item.name:
            item.add_marker(pytest.mark.skip(reason=f"torch {torch.__version__} cannot export for any number of frames"))
