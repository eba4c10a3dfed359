"""`CropEmbedder`: pictures of people to one vector each, for trackers that ask while the video runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from nlreid.errors import InputError, whole_number
from nlreid.layers.modes import evaluating
from nlreid.models import VideoReID
from nlreid.models.exported import ExportedModel
from nlreid.models.spec import ClipSpec
from nlreid.trackers.crops import Picture


class CropEmbedder:
    """Pictures of people to vectors of length one, by a network that takes clips.

    A single picture becomes a clip that repeats it, so its vector is the one that `nlreid.embed` has for a tracklet of that
    one picture, and can be compared with those of whole tracklets. A repeated picture shows no gait.

    Args:
        model: The network. It runs where it is, and should be what `nlreid.optimize_for_inference` made.
        frames: How often a picture is repeated; by default `model.clip_spec.frames`. A network of the `c2d` plan that
            averages over frames answers the same for 1, in that share of the time. For others fewer frames are another
            network, as it were, since at the ends of a clip their convolutions see beyond it: compare only vectors of as many.
        batch_size: Pictures that run together.

    Raises:
        InputError: If `model` is none of the library, or a number is no whole number from 1 or too small for the network.
    """

    def __init__(self, model: VideoReID | ExportedModel, *, frames: int | None = None, batch_size: int = 16) -> None:
        if not isinstance(model, nn.Module) or not isinstance(getattr(model, "clip_spec", None), ClipSpec):
            raise InputError(f"the model to embed with is one of nlreid.create_model; got {type(model).__qualname__}")
        self.model = model
        self.frames = whole_number("frames", max(model.clip_spec.frames, model.min_frames) if frames is None else frames)
        if self.frames < model.min_frames:
            raise InputError(f"{model.name} needs clips of {model.min_frames} frames at least; got frames={self.frames}")
        self.batch_size = whole_number("batch_size", batch_size)

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        return self.model.embedding_dim

    def __call__(self, pictures: Sequence[Picture]) -> Tensor:
        """One vector a picture.

        Args:
            pictures: uint8 RGB `(h, w, 3)`, each of its own size; there may be none.

        Returns:
            float32 `(n, d)` of length one, on the CPU.

        Raises:
            InputError: If one is no picture, or an embedding is zero or not finite.
        """
        parts = [torch.zeros(0, self.width, dtype=torch.float64)]
        with evaluating(self.model), torch.inference_mode():
            for start in range(0, len(pictures), self.batch_size):
                clips = self._clips(pictures[start : start + self.batch_size])
                parts.append(self.model(clips).embedding.double().cpu())
        return _of_length_one(torch.cat(parts))

    def _clips(self, pictures: Sequence[Picture]) -> Tensor:
        transform = self.model.clip_spec.transform()
        single = [transform([torch.from_numpy(np.ascontiguousarray(picture))]) for picture in pictures]
        place = next(chain(self.model.parameters(), self.model.buffers()))  # one from a file has no parameters
        clips = torch.stack(single).to(place.device, place.dtype)  # (b, 3, 1, h, w)
        return clips.expand(-1, -1, self.frames, -1, -1).contiguous()


def _of_length_one(features: Tensor) -> Tensor:
    lengths = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    sound = ((lengths > 0) & lengths.isfinite()).flatten()
    if not sound.all():
        row = int(sound.int().argmin())
        raise InputError(f"the embedding of picture {row} is zero or not finite; are the model's weights sound?")
    unit: Tensor = features / lengths
    return unit.float()
