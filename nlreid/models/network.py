"""`VideoReID`: backbone, aggregation over space and time, head (paper Fig. 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, get_args

from torch import Tensor, nn

from nlreid.errors import unknown_name
from nlreid.inflation.backbone import Backbone3d
from nlreid.inflation.checkpointing import Recompute
from nlreid.layers.heads import Head, ReIDOutput
from nlreid.models.spec import ClipSpec, ModelSpec


@dataclass(frozen=True)
class LoadReport:
    """What the weights of a model came from.

    Args:
        source: Where they came from; `"random"` when nothing was loaded.
        missing: Tensors of the model that the source does not have and that may be missing: a new head, fresh non-local blocks.
        dropped: Tensors of the source that the model has no use for and that may be dropped: a classifier.
        sha256: Of the file that was read; empty where there was none.
        licence: SPDX identifier of the licence that the weights come under; empty where it is not known.
        num_classes: Outputs of the classifier that came with them; 0 where none did.
        task: What they were trained for, one of `nlreid.hub.table.config.TASKS`; empty where it is not known.
    """

    source: str = "random"
    missing: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    sha256: str = field(default="", compare=False)
    licence: str = field(default="", compare=False)
    task: str = field(default="", compare=False)
    num_classes: int = field(default=0, compare=False)


class VideoReID(nn.Module):
    """A clip of one tracked person in, an embedding out; `nlreid.create_model` makes them.

    Args:
        backbone: Clips to feature maps.
        aggregate: Feature maps `(b, c, t, h, w)` to vectors `(b, num_features)`.
        head: Vectors to embedding and logits.
        name: Name of the model.
        spec: What it is, as data.

    Attributes:
        loaded: Where the weights came from, what was missing and dropped.
    """

    def __init__(self, backbone: Backbone3d, aggregate: nn.Module, head: Head, *, name: str, spec: ModelSpec) -> None:
        super().__init__()
        self.backbone = backbone
        self.aggregate = aggregate
        self.head = head
        self.name = name
        self.spec = spec
        self.loaded = LoadReport()
        self._backbone_frozen = False

    @property
    def clip_spec(self) -> ClipSpec:
        """Frames, stride, size, mean and std of the clips that the model wants; `clip_spec.transform()` makes them."""
        return self.spec.clip

    @property
    def min_frames(self) -> int:
        """The shortest clip that it takes, in frames."""
        return self.backbone.min_frames

    @property
    def num_features(self) -> int:
        """Channels of `forward_features`."""
        return self.backbone.num_features

    @property
    def embedding_dim(self) -> int:
        """Size of the embedding."""
        return self.head.embedding_dim

    @property
    def num_classes(self) -> int:
        """Outputs of the classifier; 0 when there is none."""
        return self.head.num_classes

    def forward_features(self, clip: Tensor) -> Tensor:
        """The backbone's feature map, before any pooling.

        Args:
            clip: `(b, 3, t, h, w)`, float, normalised with the model's mean and std.

        Returns:
            `(b, num_features, t', h', w')`.

        Raises:
            InputError: If the clip has another rank, channel count or type, or is too small for the network.
        """
        return self.backbone(clip)

    if TYPE_CHECKING:  # torch does not say what calling a module gives

        def __call__(self, clip: Tensor) -> ReIDOutput:
            """What `forward` gives."""

    def forward(self, clip: Tensor) -> ReIDOutput:
        """Embed a batch of clips.

        Args:
            clip: As in `forward_features`.

        Returns:
            `ReIDOutput(embedding, logits)`: the embedding `(b, embedding_dim)`, not normalised, and the logits
            `(b, num_classes)`, or `None` without a classifier. The type is the same in training and evaluation.

        Raises:
            InputError: As in `forward_features`.
        """
        return self.head(self.aggregate(self.backbone(clip)))  # type: ignore[no-any-return]

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier by a fresh one; 0 removes it and nothing else.

        Raises:
            InputError: If `num_classes` is negative.
        """
        self.head.reset_classifier(num_classes)
        if self.loaded.source != "random":  # what is fresh did not come from there
            fresh = {f"head.{name}" for name in self.head.state_dict() if name.startswith("classifier.")}
            others = {name for name in self.loaded.missing if not name.startswith("head.classifier.")}
            self.loaded = replace(self.loaded, missing=tuple(sorted(others | fresh)))

    def set_grad_checkpointing(self, enable: bool = True, *, recompute: Recompute = "all") -> None:
        """Compute activations of the backbone again in the backward pass instead of keeping them.

        Results, gradients and running statistics stay the same; training takes less memory and more time.

        Args:
            enable: `False` keeps them all, as a new model does.
            recompute: `"all"`: each block keeps what enters it, at the cost of a forward pass. `"cheap"`: the costly products
                are kept, and norms, activations, sums and the 1 x 1 x 1 convolutions that widen are computed again.
                docs/performance.md has both measured.

        Raises:
            UnknownNameError: If `recompute` is neither.
        """
        if recompute not in get_args(Recompute):
            raise unknown_name("recompute", recompute, get_args(Recompute))
        self.backbone.grad_checkpointing, self.backbone.recompute = enable, recompute

    def freeze_backbone(self, freeze: bool = True) -> None:
        """Keep the backbone as it is in training: no gradients, and norms and dropout stay in evaluation mode.

        Args:
            freeze: `False` lets the backbone train again.
        """
        self._backbone_frozen = freeze
        self.backbone.requires_grad_(not freeze)
        self.train(self.training)

    def train(self, mode: bool = True) -> VideoReID:
        """Switch to training mode; a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self._backbone_frozen:
            self.backbone.eval()
        return self

    def param_groups(self, weight_decay: float, no_decay: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Trainable parameters for an optimiser: weight decay on kernels, none on norms and biases.

        Args:
            weight_decay: Decay of the kernels.
            no_decay: Names of further parameters without decay.

        Returns:
            Two groups with `params` and `weight_decay`; every trainable parameter is in exactly one.
        """
        trained = [(name, parameter) for name, parameter in self.named_parameters() if parameter.requires_grad]
        free = {name for name, parameter in trained if parameter.ndim <= 1 or name in no_decay}
        return [
            {"params": [parameter for name, parameter in trained if name not in free], "weight_decay": weight_decay},
            {"params": [parameter for name, parameter in trained if name in free], "weight_decay": 0.0},
        ]
