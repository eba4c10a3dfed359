"""The inflated network: timm's children under timm's names, run one after the other on clips."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nlreid.errors import InputError
from nlreid.inflation.checkpointing import Recompute, recomputed
from nlreid.inflation.plans import TemporalPlan


class Backbone3d(nn.Sequential):
    """A 3D network `(b, 3, t, h, w) -> (b, num_features, t', h', w')` with the state-dict keys of its 2D source.

    Made by `nlreid.inflate`.

    Args:
        children: What runs, in order.
        plan: The temporal plan that it was inflated by.
        num_features: Channels of the result.
        stage_names: Dotted names of the residual stages.
        block_holders: Dotted names of the modules whose children are the stages' blocks.
        dropped: Names of the 2D network's children that are left out: pooling and classifier.
        in_channels: Channels of a clip.
        stride: How many pixels of a frame become one position of the result.

    Attributes:
        grad_checkpointing: Whether training recomputes activations instead of keeping them.
        recompute: Which: `"all"` of each block, or only what is `"cheap"`, see `nlreid.inflation.checkpointing`.
    """

    def __init__(
        self,
        children: Mapping[str, nn.Module],
        plan: TemporalPlan,
        *,
        num_features: int,
        stage_names: list[str],
        block_holders: list[str],
        dropped: tuple[str, ...],
        in_channels: int = 3,
        stride: int = 32,
    ) -> None:
        super().__init__(OrderedDict(children))
        self.plan = plan
        self.num_features = num_features
        self.stage_names = stage_names
        self.block_holders = block_holders
        self.dropped = dropped
        self.in_channels = in_channels
        self.stride = stride
        self.grad_checkpointing = False
        self.recompute: Recompute = "all"

    @property
    def min_frames(self) -> int:
        """The shortest clip that the temporal plan can reduce."""
        return self.plan.min_frames

    if TYPE_CHECKING:  # torch does not say what calling a module gives

        def __call__(self, clip: Tensor) -> Tensor:
            """What `forward` gives."""

    def forward(self, clip: Tensor) -> Tensor:
        """Features of a batch of clips.

        Args:
            clip: `(b, 3, t, h, w)`, float, normalised; t at least `min_frames`, h and w at least `stride`.

        Returns:
            `(b, num_features, t', h', w')`.

        Raises:
            InputError: If the clip has another rank, channel count or type, or is too small.
        """
        self.check(clip)
        x = clip.contiguous(memory_format=torch.channels_last_3d)  # which all layers keep: see nlreid.layers.conv3d
        if not (self.grad_checkpointing and self.training):
            features: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
            return features
        for modules, saving in self._parts():
            x = recomputed(modules, x, keep_products=self.recompute == "cheap") if saving else modules[0](x)
        return x

    def check(self, clip: Tensor) -> None:
        """Refuse what is no clip for this network, saying what came and what is wanted."""
        if not isinstance(clip, Tensor):
            raise InputError(f"a clip is a torch.Tensor; got {type(clip).__qualname__}; torch.as_tensor(…) makes one")
        if clip.ndim != 5 or clip.shape[1] != self.in_channels:
            raise InputError(f"a clip is (batch, {self.in_channels}, frames, height, width); got {tuple(clip.shape)}")
        if not clip.is_floating_point():
            raise InputError(
                f"a clip is floating point, normalised with the model's mean and std (clip_spec.transform()); got {clip.dtype}"
            )
        wanted = self.dtype
        if clip.dtype != wanted and not torch.is_autocast_enabled(clip.device.type):
            raise InputError(f"the network computes in {wanted}, the clip is {clip.dtype}; clip.to({wanted}) makes them agree")
        frames, height, width = clip.shape[2:]
        if frames < self.min_frames:
            raise InputError(
                f"plan {self.plan.name!r} needs clips of at least {self.min_frames} frames; got {frames}; "
                "repeat frames to reach it"
            )
        if height < self.stride or width < self.stride:
            raise InputError(
                f"the network needs frames of at least {self.stride} x {self.stride} pixels; got {height} x {width}"
            )

    @property
    def dtype(self) -> torch.dtype:
        """The type that it computes in outside autocast."""
        # from a layer, not from parameters(): the replicas of DataParallel have none
        return next(module.weight.dtype for module in self.modules() if isinstance(module, nn.Conv3d))

    def _parts(self) -> Iterator[tuple[list[nn.Module], bool]]:
        """What runs, in order and in parts, and whether the backward pass computes a part again: the stem, and each block.

        Blocks, not stages: the first stage alone has half of the activations.
        """
        steps = list(self._steps())
        first = next(place for place, (name, _) in enumerate(steps) if name in self.stage_names)
        yield [step for _, step in steps[:first]], True
        for name, step in steps[first:]:
            hooked = step._forward_hooks or step._forward_pre_hooks
            inside = list(step.children()) if type(step) is nn.Sequential and not hooked else [step]
            yield from (([part], name in self.stage_names) for part in inside)

    def _steps(self) -> Iterator[tuple[str, nn.Module]]:
        for name, child in self.named_children():
            if any(stage.startswith(f"{name}.") for stage in self.stage_names):
                yield from ((f"{name}.{inner}", step) for inner, step in child.named_children())
            else:
                yield name, child


def insert_after(root: nn.Module, name: str, new_name: str, module: nn.Module) -> None:
    """Put a module behind another in the same parent, without renaming anything.

    Args:
        root: The network.
        name: Dotted name of the module to stand behind; its parent must run its children in order.
        new_name: Name of the new module beside it, without dots.
        module: The new module.
    """
    parent_name, _, child_name = name.rpartition(".")
    parent = root.get_submodule(parent_name)
    children = list(parent.named_children())
    for child, _ in children:
        delattr(parent, child)
    for child, submodule in children:
        parent.add_module(child, submodule)
        if child == child_name:
            parent.add_module(new_name, module)
