"""What is known while a whole network runs: that its clips and weights are numbers; who needs what a block takes."""

from __future__ import annotations

from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.nn.modules import module as of_torch
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from nlreid.inflation.backbone import Backbone3d

_NUMBERS: ContextVar[bool] = ContextVar("numbers", default=False)


def numbers_alone() -> bool:
    """Whether all that a layer computes with is known to be no NaN, which oneDNN's ReLU would turn into zero."""
    return _NUMBERS.get()


def doubt() -> None:
    """Say that a layer has weights that are no numbers: what comes behind it may be none."""
    _NUMBERS.set(False)


def is_seen(module: nn.Module) -> bool:
    """Whether a hook looks at a module, or at one inside it, now."""
    if of_torch._global_forward_hooks or of_torch._global_forward_pre_hooks:
        return True
    return any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


class FastBackbone(Backbone3d):
    """A backbone for inference, which looks at a clip before its layers compute.

    Args:
        backbone: The backbone, whose modules are taken, not copied.
    """

    def __init__(self, backbone: Backbone3d) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(backbone.__dict__)

    def forward(self, clip: Tensor) -> Tensor:
        """Features of a batch of clips, as of `Backbone3d`."""
        if (
            torch.compiler.is_compiling()
            or is_in_torch_dispatch_mode()
            or type(clip) is not Tensor
            or clip.device.type != "cpu"
        ):
            return super().forward(clip)
        token = _NUMBERS.set(bool(clip.detach().sum(dtype=torch.float32).isfinite()))
        try:
            return super().forward(clip)
        finally:
            _NUMBERS.reset(token)
