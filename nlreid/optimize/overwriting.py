"""When a block may write its result over its input: while the whole network runs and nobody looks at what lies between."""

from __future__ import annotations

from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.nn.modules import module as of_torch

from nlreid.inflation.backbone import Backbone3d

_ALLOWED: ContextVar[bool] = ContextVar("overwriting", default=False)


def may_overwrite() -> bool:
    """Whether what a block takes is needed by nobody else: not where it is called by itself, or in a graph."""
    return not torch.compiler.is_compiling() and _ALLOWED.get()


class FastBackbone(Backbone3d):
    """A backbone for inference, whose blocks write over what they read where no hook sees it.

    Args:
        backbone: The backbone, whose modules are taken, not copied.
    """

    def __init__(self, backbone: Backbone3d) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(backbone.__dict__)
        # the dictionaries that torch adds hooks to, so that a look at all of them costs next to nothing
        self._hooks = [hooks for part in self.modules() for hooks in (part._forward_hooks, part._forward_pre_hooks)]

    def forward(self, clip: Tensor) -> Tensor:
        """Features of a batch of clips, as of `Backbone3d`."""
        if torch.compiler.is_compiling():
            return super().forward(clip)
        token = _ALLOWED.set(not (any(self._hooks) or of_torch._global_forward_hooks or of_torch._global_forward_pre_hooks))
        try:
            return super().forward(clip)
        finally:
            _ALLOWED.reset(token)
