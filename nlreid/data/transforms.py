"""From uint8 pictures to the normalised clip that a network wants, the same for every frame of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from nlreid.errors import InputError, real_number, whole_number


def resize(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize pictures with antialiased bilinear interpolation; pictures of that size are returned as they are.

    Args:
        frames: uint8 RGB, `(t, h, w, 3)`.
        size: The height and width wanted, in pixels.

    Returns:
        uint8 RGB, `(t, *size, 3)`.
    """
    if tuple(frames.shape[1:3]) == tuple(size):
        return frames
    channels_first = frames.permute(0, 3, 1, 2)  # t c h w; of a small picture, einops' reading of a pattern shows
    resized: Tensor = F.resize(channels_first, list(size), antialias=True)
    return resized.permute(0, 2, 3, 1)  # t h w c


def resize_all(frames: Tensor | Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """The pictures of one clip, each of which may have its own size, resized to one.

    Args:
        frames: uint8 RGB: pictures `(h, w, 3)`, at least one, or all in one tensor `(t, h, w, 3)`.
        size: The height and width wanted, in pixels.

    Returns:
        uint8 RGB, `(t, *size, 3)`.

    Raises:
        InputError: If there is no picture, or one has another type or shape.
    """
    if isinstance(frames, Tensor):
        if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or frames.numel() == 0:
            raise InputError(
                f"frames must be uint8 RGB pictures (t, h, w, 3) with no empty axis; got {frames.dtype} {tuple(frames.shape)}"
            )
        return resize(frames, size)
    _check_pictures(frames)
    if len({frame.shape for frame in frames}) == 1:
        return resize(torch.stack(list(frames)), size)  # at once is faster
    return torch.cat([resize(frame[None], size) for frame in frames])


def normalise(frames: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Scale to 0..1, subtract the mean and divide by the standard deviation.

    Args:
        frames: uint8 RGB, `(t, h, w, 3)`.
        mean: Per-channel mean (RGB, on the scale 0..1).
        std: Per-channel standard deviation (same scale).

    Returns:
        float32, `(3, t, h, w)`, contiguous.
    """
    clip = rearrange(frames, "t h w c -> c t h w").contiguous().float().div_(255)  # bytes are moved, not floats: a fourth
    shift, scale = (clip.new_tensor(list(values)).view(3, 1, 1, 1) for values in (mean, std))
    return clip.sub_(shift).div_(scale)


def byte_values(mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """What `normalise` makes of each value of a byte, for `look_up`.

    Args:
        mean: Per-channel mean (RGB, on the scale 0..1).
        std: Per-channel standard deviation (same scale).

    Returns:
        float32, `(3, 256)`.
    """
    grey = torch.arange(256, dtype=torch.uint8).view(1, 1, 256, 1).expand(1, 1, 256, 3)
    return normalise(grey, mean, std).view(3, 256)


def look_up(frames: Tensor, values: Tensor, out: Tensor) -> None:
    """`normalise`, bit for bit, written into a part of a batch, on one thread.

    Torch would share out among threads what is as large as a clip. Where another thread of the program runs a network, each
    of the two would have helpers for all processors, which wait for each other.

    Args:
        frames: uint8 RGB, `(t, h, w, 3)`.
        values: From `byte_values`.
        out: float32, `(3, t, h, w)`, contiguous; is written.
    """
    bytes_of, floats = frames.numpy(), out.numpy()
    for channel, table in enumerate(values.numpy()):
        np.take(table, bytes_of[..., channel], out=floats[channel], mode="clip")  # a byte is always in 0..255


def check_statistics(size: Sequence[int], mean: Sequence[float], std: Sequence[float]) -> None:
    """Refuse a size and a mean and standard deviation that no picture can have.

    Raises:
        InputError: If `size` is not two whole numbers from 1, `mean` not three finite numbers or `std` not three above 0.
    """
    for name, values, count in (("size", size, 2), ("mean", mean, 3), ("std", std, 3)):
        if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != count:
            raise InputError(f"{name} has {count} values; got {values!r}")
    for side in size:
        whole_number("each side of size", side)
    for value in (*mean, *std):
        real_number("each value of mean and std", value)
    if min(std) <= 0:
        raise InputError(f"every std is above 0; got {std}")


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

    Raises:
        InputError: If one of them cannot be.
    """

    size: tuple[int, int]
    mean: Sequence[float]
    std: Sequence[float]

    def __post_init__(self) -> None:
        check_statistics(self.size, self.mean, self.std)

    def __call__(self, frames: Tensor | Sequence[Tensor], generator: torch.Generator | None = None) -> Tensor:
        """Turn the frames of one clip into what the network wants.

        Args:
            frames: uint8 RGB: `(t, h, w, 3)`, any h and w, or pictures `(h, w, 3)` each of its own size.
            generator: Not used; so that this can stand where a training transform can.

        Returns:
            float32, `(3, t, *size)`.

        Raises:
            InputError: If `frames` has another type or shape.
        """
        del generator
        return normalise(resize_all(frames, self.size), self.mean, self.std)


def _check_pictures(frames: Sequence[Tensor]) -> None:
    if not isinstance(frames, list | tuple):
        raise InputError(
            f"frames are a list of pictures or a torch.Tensor; got {type(frames).__qualname__}; torch.as_tensor(…) makes one"
        )
    if not frames:
        raise InputError("a clip has at least one frame; got none")
    for place, frame in enumerate(frames):
        if not isinstance(frame, Tensor):
            raise InputError(f"frame {place} of a clip is a torch.Tensor; got {type(frame).__qualname__}")
        if frame.dtype != torch.uint8 or frame.ndim != 3 or frame.shape[-1] != 3 or frame.numel() == 0:
            raise InputError(
                f"frame {place} of a clip must be a uint8 RGB picture (h, w, 3) with no empty axis; "
                f"got {frame.dtype} {tuple(frame.shape)}"
            )
