"""From uint8 pictures to the normalised clip that a network wants, the same for every frame of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from nlreid.errors import InputError


def resize(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize pictures with antialiased bilinear interpolation; pictures of that size are returned as they are.

    Args:
        frames: uint8 RGB, `(t, h, w, 3)`.
        size: The height and width wanted, in pixels.

    Returns:
        uint8 RGB, `(t, *size, 3)`.
    """
    if frames.shape[1:3] == size:
        return frames
    channels_first = rearrange(frames, "t h w c -> t c h w")
    resized: Tensor = F.resize(channels_first, list(size), antialias=True)
    return rearrange(resized, "t c h w -> t h w c")


@dataclass(frozen=True)
class EvaluationTransform:
    """Resize, scale to 0..1, subtract the mean and divide by the standard deviation: no randomness.

    >>> transform = EvaluationTransform((4, 2), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    >>> transform(torch.full((8, 16, 8, 3), 255, dtype=torch.uint8)).unique()
    tensor([2.])

    Args:
        size: Height and width of the frames that the network was trained on, in pixels.
        mean: Per-channel mean (RGB, on the scale 0..1).
        std: Per-channel standard deviation (same scale).
    """

    size: tuple[int, int]
    mean: Sequence[float]
    std: Sequence[float]

    def __call__(self, frames: Tensor) -> Tensor:
        """Turn the frames of one clip into what the network wants.

        Args:
            frames: uint8 RGB, `(t, h, w, 3)`; any h and w.

        Returns:
            float32, `(3, t, *size)`.

        Raises:
            InputError: If `frames` has another type or shape.
        """
        if not isinstance(frames, Tensor):
            raise InputError(f"frames are a torch.Tensor; got {type(frames).__qualname__}; torch.as_tensor(…) makes one")
        if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or frames.numel() == 0:
            raise InputError(
                f"frames must be uint8 RGB pictures (t, h, w, 3) with no empty axis; got {frames.dtype} {tuple(frames.shape)}"
            )
        clip = rearrange(resize(frames, self.size), "t h w c -> c t h w").float().div_(255)
        mean, std = (clip.new_tensor(list(values)).view(3, 1, 1, 1) for values in (self.mean, self.std))
        return clip.sub_(mean).div_(std)
