"""Where stem, stages and blocks stand in each family of 2D networks, and how many frames a plan gives each of their layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from timm.models.byobnet import ByobNet
from timm.models.regnet import RegNet
from timm.models.resnet import ResNet
from timm.models.resnetv2 import ResNetV2
from timm.models.senet import SENet
from torch import nn

from nlreid.errors import InflationError
from nlreid.inflation.plans import Form, TemporalPlan

SHORTCUTS = ("downsample", "shortcut")


@dataclass(frozen=True)
class Layout:
    """The children of a 2D network, in the order in which its `forward_features` runs them.

    Args:
        before: The children in front of the stages; the first convolution in them is the stem's.
        stages: The stages themselves, or the one child that holds them.
        after: The children behind the stages.
        head: The children that inflation drops: pooling and classifier.
        stem_pool: Dotted name of the stem's pooling.
        blocks: Dotted name, inside a stage, of what holds its blocks; empty when the stage itself does.
    """

    before: tuple[str, ...]
    stages: tuple[str, ...] | str
    after: tuple[str, ...]
    head: tuple[str, ...]
    stem_pool: str = ""
    blocks: str = ""

    def children(self) -> tuple[str, ...]:
        """Names of the children that stay, in order."""
        stages = (self.stages,) if isinstance(self.stages, str) else self.stages
        return (*self.before, *stages, *self.after)

    def stage_names(self, model: nn.Module) -> list[str]:
        """Dotted names of the stages, in order."""
        if isinstance(self.stages, str):
            return [f"{self.stages}.{name}" for name, _ in model.get_submodule(self.stages).named_children()]
        return list(self.stages)

    def block_holders(self, model: nn.Module) -> list[str]:
        """Dotted names of the modules whose children are the blocks, a stage each."""
        return [f"{stage}.{self.blocks}" if self.blocks else stage for stage in self.stage_names(model)]


_FOUR_LAYERS = ("layer1", "layer2", "layer3", "layer4")

LAYOUTS: dict[type[nn.Module], Layout] = {
    ResNet: Layout(("conv1", "bn1", "act1", "maxpool"), _FOUR_LAYERS, (), ("global_pool", "fc"), stem_pool="maxpool"),
    SENet: Layout(("layer0", "pool0"), _FOUR_LAYERS, (), ("global_pool", "last_linear"), stem_pool="pool0"),
    ResNetV2: Layout(("stem",), "stages", ("norm",), ("head",), stem_pool="stem.pool", blocks="blocks"),
    RegNet: Layout(("stem",), ("s1", "s2", "s3", "s4"), ("final_conv",), ("head",)),
    ByobNet: Layout(("stem",), "stages", ("final_conv",), ("head",), stem_pool="stem.pool"),
}


def layout_of(model: nn.Module) -> Layout:
    """The layout of a 2D network, by its exact class.

    Raises:
        InflationError: If the class is unknown, or the network has children that its layout does not name.
    """
    layout = LAYOUTS.get(type(model))
    if layout is None:
        known = ", ".join(sorted(family.__name__ for family in LAYOUTS))
        raise InflationError(
            f"no layout for {type(model).__module__}.{type(model).__qualname__}; known are timm's {known}; "
            "add yours to nlreid.inflation.layouts.LAYOUTS"
        )
    present = {name for name, _ in model.named_children()}
    strangers, missing = present - {*layout.children(), *layout.head}, set(layout.children()) - present
    if strangers or missing:
        raise InflationError(
            f"{type(model).__qualname__} is not laid out as known: unknown children {sorted(strangers)}, "
            f"missing children {sorted(missing)}"
        )
    return layout


class Frames(NamedTuple):
    """What a plan gives one layer: its temporal kernel and stride, and how the kernel is built."""

    kernel: int = 1
    stride: int = 1
    form: Form = "plain"
    hidden: int | None = None


def assign_frames(model: nn.Module, layout: Layout, plan: TemporalPlan) -> dict[str, Frames]:
    """How many frames each layer of a 2D network gets; layers that are not named get one.

    Raises:
        InflationError: If the plan strides in time where the network has nothing that strides in space.
    """
    frames = {}
    stem = next(name for child in layout.before for name, _ in _convolutions(model, child))
    frames[stem] = Frames(plan.stem, plan.stem_stride, plan.form if plan.stem > 1 else "plain", plan.stem_hidden)
    if plan.stem_pool_stride > 1 or plan.stem_pool_kernel > 1:
        pooled = _strided(model, layout.stem_pool, plan.stem_pool_stride)
        frames |= {name: taken._replace(kernel=plan.stem_pool_kernel) for name, taken in pooled.items()}
    for stage, holder in enumerate(layout.block_holders(model)):
        for index, (name, _) in enumerate(model.get_submodule(holder).named_children()):
            block = f"{holder}.{name}"
            stride = plan.stride(stage) if index == 0 else 1
            strided = _strided(model, block, stride) if stride > 1 else {}
            kernels = _block_kernels(model, block, plan.first_kernel(stage, index), plan.spatial_kernel(stage), plan.form)
            frames |= strided | {
                conv: taken._replace(stride=strided.get(conv, taken).stride) for conv, taken in kernels.items()
            }
    return frames


def _convolutions(model: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Conv2d]]:
    for name, module in model.get_submodule(prefix).named_modules(prefix=prefix):
        if isinstance(module, nn.Conv2d):
            yield name, module


def _block_kernels(model: nn.Module, block: str, first: int, spatial: int, form: Form) -> dict[str, Frames]:
    main = {
        name: conv
        for name, conv in _convolutions(model, block)
        if name.removeprefix(f"{block}.").split(".")[0] not in SHORTCUTS
    }
    opening = block + "." + next(iter(main)).removeprefix(f"{block}.").split(".")[0]
    leading = {name: max(conv.kernel_size) for name, conv in main.items() if f"{name}.".startswith(f"{opening}.")}
    width = max(leading.values())  # a selective kernel opens with several k×k paths and their 1×1 gates
    inputs = next(iter(main.values())).in_channels
    frames = {}
    for name, conv in main.items():
        wide = max(conv.kernel_size) > 1
        kernel = max(first if leading.get(name) == width else 1, spatial if wide else 1)
        if kernel > 1:
            frames[name] = Frames(kernel, 1, form if wide else "plain", _factorised_hidden(inputs, conv, kernel))
    return frames


def _factorised_hidden(inputs: int, conv: nn.Conv2d, kernel: int) -> int:
    # R(2+1)D gives the pair as many parameters as the t×k×k kernel from the block's input would have.
    area, outputs = conv.kernel_size[0] * conv.kernel_size[1], conv.out_channels
    return (inputs * outputs * kernel * area) // (inputs * area + kernel * outputs)


def _strided(model: nn.Module, prefix: str, stride: int) -> dict[str, Frames]:
    """Every layer below `prefix` that strides in space also strides in time."""
    present = prefix and any(name == prefix for name, _ in model.named_modules())
    modules = model.get_submodule(prefix).named_modules(prefix=prefix) if present else ()
    frames = {name: Frames(1, stride) for name, module in modules if strides_in_space(module)}
    if not frames:
        raise InflationError(
            f"a temporal stride of {stride} needs a spatial stride beside it; {prefix or 'the stem'!r} has none"
        )
    return frames


def strides_in_space(module: nn.Module) -> bool:
    """Whether a 2D layer reduces height or width by its stride."""
    stride = getattr(module, "stride", 1)
    return max(stride) > 1 if isinstance(stride, tuple) else isinstance(stride, int) and stride > 1
