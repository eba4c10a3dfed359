"""What a model is, as data: backbone, temporal plan, non-local blocks, aggregation, and the clips that it wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from typing import Any, Literal, TypeVar

from nlreid.data.clip_dataset import ClipRule
from nlreid.data.clips import random_window
from nlreid.data.training import TrainingTransform
from nlreid.data.transforms import EvaluationTransform
from nlreid.errors import InputError, real_number, unknown_name, whole_number
from nlreid.inflation.plans import TemporalPlan, resolve_plan
from nlreid.inflation.weights import Init
from nlreid.layers.pairwise import PAIRWISE

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
INVERSE_ROOT = "1/sqrt(d)"
WIDEST = 8  # times the channels of a backbone
T = TypeVar("T")


@dataclass(frozen=True)
class ClipSpec:
    """The clips that a model was made for (paper Sec. 4.2).

    Args:
        frames: Frames of a clip.
        stride: Distance of the frames of a training clip, in frames of the video.
        size: Height and width of a frame, in pixels.
        mean: Per-channel mean (RGB, scale 0..1) that is subtracted.
        std: Per-channel standard deviation that is divided by.
    """

    frames: int = 8
    stride: int = 8
    size: tuple[int, int] = (256, 128)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        whole_number("frames", self.frames)
        whole_number("stride", self.stride)
        for name, values, count in (("size", self.size, 2), ("mean", self.mean, 3), ("std", self.std, 3)):
            if not isinstance(values, tuple) or len(values) != count:
                raise InputError(f"{name} has {count} values; got {values!r}")
        for side in self.size:
            whole_number("each side of size", side)
        for value in (*self.mean, *self.std):
            real_number("each value of mean and std", value)
        if min(self.std) <= 0:
            raise InputError(f"every std is above 0; got {self.std}")

    def transform(self) -> EvaluationTransform:
        """What turns uint8 frames `(t, h, w, 3)` into the clip `(3, t, *size)` that the model wants, without randomness."""
        return EvaluationTransform(self.size, self.mean, self.std)

    def training_clips(self) -> ClipRule:
        """Which frames a training clip has: `frames` of them, every `stride`-th, from a random window (see `random_window`)."""
        return partial(random_window, frames=self.frames, stride=self.stride)

    def training_transform(self, erasing: float = 0.0, *, erase_each_frame: bool = False) -> TrainingTransform:
        """The same with random size, crop and flip; its other probabilities are changed with `dataclasses.replace`.

        Args:
            erasing: Probability of random erasing.
            erase_each_frame: Whether each frame has a rectangle of its own, instead of one for all.

        Raises:
            InputError: If `erasing` is not in 0..1.
        """
        return TrainingTransform(self.size, self.mean, self.std, erasing=erasing, erase_each_frame=erase_each_frame)


@dataclass(frozen=True)
class NonLocalSpec:
    """Where non-local blocks stand and what they compute (paper Sec. 3.2).

    Args:
        blocks: Per stage, the blocks behind which one stands, counted from 0; `None` is the paper's five, see
            `nlreid.models.placement.default_blocks`.
        pairwise: The pairwise function, see `nlreid.NonLocalBlock`.
        scale: Factor of softmax affinities; `"1/sqrt(d)"` with d the inner channels, as several published checkpoints have it.
        subsample: Spatial max-pooling of the keys; 1 is none.
        subsample_order: Whether keys are pooled `"before"` or `"after"` their convolution.
    """

    blocks: tuple[tuple[int, ...], ...] | None = None
    pairwise: str = "embedded_gaussian"
    scale: float | Literal["1/sqrt(d)"] = 1.0
    subsample: int = 1
    subsample_order: str = "before"

    def __post_init__(self) -> None:
        if self.pairwise not in PAIRWISE:
            raise unknown_name("pairwise function", self.pairwise, PAIRWISE)
        if self.subsample_order not in ("before", "after"):
            raise unknown_name("subsample order", self.subsample_order, ("before", "after"))
        if isinstance(self.scale, str) and self.scale != INVERSE_ROOT:
            raise unknown_name("scale", self.scale, (INVERSE_ROOT,), f"Allowed: a number, or {INVERSE_ROOT!r}.")
        if not isinstance(self.scale, str):
            real_number("scale", self.scale)
        whole_number("subsample", self.subsample)
        stages = self.blocks if self.blocks is not None else ()
        if not isinstance(stages, tuple) or not all(isinstance(stage, tuple) for stage in stages):
            raise InputError(f"blocks lists, for each stage, the residual blocks, as in [[], [1, 3], [], []]; got {stages!r}")
        for index in (index for stage in stages for index in stage):
            whole_number("a block of blocks", index, least=0)


@dataclass(frozen=True)
class ModelSpec:
    """A model of the zoo.

    Args:
        backbone: Name of a 2D network of timm, with or without the tag of its weights.
        plan: Temporal plan: a name of `nlreid.inflation.PLANS`, a `TemporalPlan`, or a mapping of a plan's changed fields.
        init: How 2D kernels are inflated, `"mean"` or `"center"`.
        non_local: The non-local blocks; `None` is none.
        aggregate: How the feature map becomes one vector: `"average"`, `"max"`, `"rnn"` or `"attention"` (paper Fig. 1).
        embedding_dim: Size of the embedding of a bottleneck head.
        dropout: Dropout of a bottleneck head.
        clip: The clips that the model wants.
        width: Factor of the backbone's channels; other than 1 for networks of timm's `models.resnet` with a deep stem.
    """

    backbone: str = "resnet50"
    plan: str | TemporalPlan | Mapping[str, Any] = "i3d"
    init: Init = "mean"
    non_local: NonLocalSpec | None = None
    aggregate: str = "average"
    embedding_dim: int = 512
    dropout: float = 0.5
    clip: ClipSpec = field(default_factory=ClipSpec)
    width: float = 1.0

    def __post_init__(self) -> None:
        for name in ("backbone", "aggregate", "init"):
            if not isinstance(getattr(self, name), str):
                raise InputError(f"{name} is a name; got {getattr(self, name)!r}")
        whole_number("embedding_dim", self.embedding_dim)
        if not 0 < real_number("width", self.width) <= WIDEST:
            raise InputError(f"width is above 0, at most {WIDEST}; got {self.width}")
        if not 0 <= real_number("dropout", self.dropout) < 1:
            raise InputError(f"dropout is from 0 to below 1; got {self.dropout}")
        if not isinstance(self.clip, ClipSpec):
            raise InputError(f"clip is a mapping of fields, or a ClipSpec; got {self.clip!r}")

    def override(self, changes: Mapping[str, Any]) -> ModelSpec:
        """This spec with some fields changed.

        >>> ModelSpec().override({"non_local": {"pairwise": "gaussian"}, "clip": {"frames": 4}}).clip.frames
        4

        Args:
            changes: New values by field. `non_local` also takes `True`, `False` and a mapping of its fields, `clip` a mapping.

        Raises:
            UnknownNameError: If there is no such field.
            InputError: If a value does not fit.
        """
        changes = dict(changes)
        for key in changes:
            _check_field(ModelSpec, key, "override")
        if isinstance(changes.get("plan"), Mapping):
            changes["plan"] = resolve_plan(changes["plan"])
        if "non_local" in changes:
            changes["non_local"] = self._non_local(changes["non_local"])
        if isinstance(changes.get("clip"), Mapping):
            changes["clip"] = _replace(self.clip, changes["clip"], "field of clip")
        return replace(self, **changes)

    def _non_local(self, value: Any) -> NonLocalSpec | None:
        if isinstance(value, Mapping):
            return _replace(self.non_local or NonLocalSpec(), value, "field of non_local")
        if value is None or value is False:
            return None
        if value is True:
            return self.non_local or NonLocalSpec()
        if isinstance(value, NonLocalSpec):
            return value
        raise InputError(f"non_local is True, False, a mapping or a NonLocalSpec; got {value!r}")

    def as_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return asdict(self)


def _replace(spec: T, changes: Mapping[str, Any], kind: str) -> T:
    for key in changes:
        _check_field(type(spec), key, kind)
    as_tuples = {key: _as_tuple(value) for key, value in changes.items()}
    return replace(spec, **as_tuples)  # type: ignore[type-var]


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(entry) for entry in value) if isinstance(value, list | tuple) else value


def _check_field(spec: Any, key: str, kind: str) -> None:
    allowed = [entry.name for entry in fields(spec)]
    if key not in allowed:
        raise unknown_name(kind, key, allowed)
