"""Whether a network is being exported, to be run by something else."""

from __future__ import annotations

import torch

_ask = getattr(torch.compiler, "is_exporting", None)  # torch 2.6 does not say


def exporting() -> bool:
    """Whether `torch.export` is tracing, for itself or for ONNX.

    Layers then call torch's own operator for what they compute. On views, as they compute otherwise, the graph would be full
    of reshapes, and valid only for the length of clip that it was traced with.

    >>> exporting()
    False
    """
    # torch 2.11 says so of all that Dynamo traces, too, and what is compiled to be run here is to be fast
    return _ask is not None and bool(_ask()) and not torch.compiler.is_dynamo_compiling()
