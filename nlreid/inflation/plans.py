"""Temporal plans: how many frames each convolution of a 2D network sees once it is inflated, as data.

The paper's networks are `i3d` (Sec. 3.1, the factorised blocks of Wang et al., "Non-local Neural Networks") and, for the
other readings of Fig. 3, `full` and `separable`. The remaining plans are the published baselines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from nlreid.errors import InputError, unknown_name, whole_number

Form = Literal["plain", "separable", "factorised"]
Cycle = tuple[int, ...]


@dataclass(frozen=True)
class TemporalPlan:
    """Temporal kernel sizes, strides and pools of an inflated network, counted in frames.

    Stages are the four residual stages (timm's `layer1` to `layer4`); a network with more stages continues with the last entry.

    Args:
        name: What the plan is called.
        source: The publication it comes from.
        stem: Kernel of the stem's first convolution.
        stem_stride: Temporal stride of that convolution.
        stem_pool: Whether the stem keeps its spatial pooling.
        stem_pool_kernel: Frames that the stem's max-pooling looks at.
        stem_pool_stride: Temporal stride of the stem's pooling.
        first: Per stage, kernels of the first convolution of the blocks, repeated over the blocks.
        spatial: Per stage, kernel of the block's k×k convolutions.
        strides: Per stage, temporal stride of whatever strides in space in its first block.
        pool_after_first_stage: Size and stride of the temporal max-pool behind the first stage; 1 is none.
        form: How a t×k×k kernel is built: `plain` as one convolution, `separable` as t×1×1 then 1×k×k (paper Fig. 3d),
            `factorised` as 1×k×k, norm, ReLU, t×1×1 (Tran et al., "A Closer Look at Spatiotemporal Convolutions").
        stem_hidden: Channels between the two parts of a factorised stem.
        inherits: Whether 2D weights mean anything in this architecture.
    """

    name: str
    source: str
    stem: int = 1
    stem_stride: int = 1
    stem_pool: bool = True
    stem_pool_kernel: int = 1
    stem_pool_stride: int = 1
    first: tuple[Cycle, Cycle, Cycle, Cycle] = ((1,), (1,), (1,), (1,))
    spatial: tuple[int, int, int, int] = (1, 1, 1, 1)
    strides: tuple[int, int, int, int] = (1, 1, 1, 1)
    pool_after_first_stage: int = 1
    form: Form = "plain"
    stem_hidden: int | None = None
    inherits: bool = True

    def first_kernel(self, stage: int, block: int) -> int:
        """Frames that the first convolution of a block sees; stages and blocks count from 0."""
        cycle = self.first[min(stage, 3)]
        return cycle[block % len(cycle)]

    def spatial_kernel(self, stage: int) -> int:
        """Frames that the k×k convolutions of a stage's blocks see."""
        return self.spatial[min(stage, 3)]

    def stride(self, stage: int) -> int:
        """Temporal stride of a stage; stages behind the fourth have none."""
        return self.strides[stage] if stage < 4 else 1

    def output_frames(self, frames: int) -> int:
        """How many frames are left of a clip behind the last stage; 0 when it is too short.

        >>> [PLANS["i3d"].output_frames(t) for t in (1, 2, 8)]
        [0, 1, 4]
        """
        for stride in (self.stem_stride, self.stem_pool_stride, self.strides[0]):
            frames = -(-frames // stride)  # padded by half a kernel: rounds up
        frames //= self.pool_after_first_stage  # not padded: rounds down
        for stride in self.strides[1:]:
            frames = -(-frames // stride)
        return frames

    @property
    def min_frames(self) -> int:
        """The shortest clip that leaves a frame behind the last stage."""
        frames = 1
        for stride in reversed(self.strides[1:]):
            frames = (frames - 1) * stride + 1
        frames *= self.pool_after_first_stage
        for stride in (self.strides[0], self.stem_pool_stride, self.stem_stride):
            frames = (frames - 1) * stride + 1
        return frames


PLANS: dict[str, TemporalPlan] = {
    plan.name: plan
    for plan in (
        TemporalPlan("c2d", "Wang et al. 2018, Non-local Neural Networks (C2D)"),
        TemporalPlan(
            "i3d",
            "Wang et al. 2018, Non-local Neural Networks (I3D 3x1x1); Liao et al. 2018",
            stem=5,
            first=((3,), (3, 1), (3, 1), (1, 3)),
            pool_after_first_stage=2,
        ),
        TemporalPlan("full", "Hara et al. 2018, Can Spatiotemporal 3D CNNs Retrace", stem=3, spatial=(3, 3, 3, 3)),
        TemporalPlan("separable", "Liao et al. 2018, Fig. 3d", stem=3, spatial=(3, 3, 3, 3), form="separable"),
        TemporalPlan("slow", "Feichtenhofer et al. 2019, SlowFast Networks", first=((1,), (1,), (3,), (3,))),
        TemporalPlan(
            "r3d",
            "Tran et al. 2018 (R3D), torchvision r3d_18",
            stem=3,
            stem_pool=False,
            spatial=(3, 3, 3, 3),
            strides=(1, 2, 2, 2),
            inherits=False,
        ),
        TemporalPlan(
            "mc3",
            "Tran et al. 2018 (MC3), torchvision mc3_18",
            stem=3,
            stem_pool=False,
            spatial=(3, 1, 1, 1),
            inherits=False,
        ),
        TemporalPlan(
            "r2plus1d",
            "Tran et al. 2018 (R(2+1)D), torchvision r2plus1d_18",
            stem=3,
            stem_pool=False,
            spatial=(3, 3, 3, 3),
            strides=(1, 2, 2, 2),
            form="factorised",
            stem_hidden=45,
            inherits=False,
        ),
    )
}


def resolve_plan(plan: str | TemporalPlan | Mapping[str, Any]) -> TemporalPlan:
    """The plan of a name, of a `TemporalPlan`, of a named plan with changed fields, or of all the fields of a plan.

    >>> resolve_plan({"name": "i3d", "stem_stride": 2, "stem_pool_stride": 2}).min_frames
    5

    Raises:
        UnknownNameError: If there is no plan, or no field, of that name.
        InputError: If a kernel, a stride or a pool is no positive whole number of frames.
    """
    if isinstance(plan, str):
        if plan not in PLANS:
            raise unknown_name("plan", plan, PLANS)
        return PLANS[plan]
    if not isinstance(plan, TemporalPlan | Mapping):
        raise InputError(f"a plan is a name, a TemporalPlan, or a mapping of a plan's changed fields; got {plan!r}")
    if not isinstance(plan, TemporalPlan):
        changes = dict(plan)
        allowed = [field.name for field in fields(TemporalPlan)]
        for key in changes:
            if key not in allowed:
                raise unknown_name("field of a temporal plan", key, allowed)
        values = {key: _as_tuple(value) for key, value in changes.items()}
        whole = len(values) == len(allowed)  # a plan of somebody's own, written out
        plan = TemporalPlan(**values) if whole else replace(resolve_plan(str(values.pop("name", "c2d"))), **values)
    _check(plan)
    return plan


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(entry) for entry in value) if isinstance(value, list) else value


def _check(plan: TemporalPlan) -> None:
    for name in ("first", "spatial", "strides"):
        if not isinstance(getattr(plan, name), tuple) or len(getattr(plan, name)) != 4:
            raise InputError(f"plan {plan.name!r}: {name} has one entry for each of four stages; got {getattr(plan, name)!r}")
    if not all(isinstance(cycle, tuple) and cycle for cycle in plan.first):
        raise InputError(f"plan {plan.name!r}: first has a cycle of kernels for each stage, as in (3, 1); got {plan.first!r}")
    kernels = (plan.stem, plan.stem_pool_kernel, *plan.spatial, *(kernel for cycle in plan.first for kernel in cycle))
    counts = (plan.stem_stride, plan.stem_pool_stride, plan.pool_after_first_stage, *plan.strides)
    for count in (*kernels, *counts, *(() if plan.stem_hidden is None else (plan.stem_hidden,))):
        whole_number(f"plan {plan.name!r}: each kernel, stride and pool", count)
    for kernel in kernels:
        if kernel % 2 == 0:
            raise InputError(f"plan {plan.name!r}: temporal kernels are odd, so that frames keep their place; got {kernel}")
    if not isinstance(plan.stem_pool, bool) or not isinstance(plan.inherits, bool):
        raise InputError(
            f"plan {plan.name!r}: stem_pool and inherits are True or False; got {plan.stem_pool!r}, {plan.inherits!r}"
        )
    if not plan.stem_pool and (plan.stem_pool_stride > 1 or plan.stem_pool_kernel > 1):
        raise InputError(f"plan {plan.name!r}: without a stem pool it has no temporal stride or kernel either")
    if plan.form not in ("plain", "separable", "factorised"):
        raise unknown_name("form of a temporal plan", plan.form, ("plain", "separable", "factorised"))
