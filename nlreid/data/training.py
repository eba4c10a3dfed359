"""The training transform: size, crop, flip and erased rectangle are drawn once and hold for all frames of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from nlreid.data.randomness import below, between, chance, checked
from nlreid.data.transforms import check_statistics, normalise, resize_all
from nlreid.errors import InputError, real_number

ENLARGED_BY = 1 / 8
ERASED_AREA = (0.02, 0.4)
ERASED_RATIO = (0.3, 1 / 0.3)
_ATTEMPTS = 100


@dataclass(frozen=True)
class TrainingTransform:
    """Random size and crop, horizontal flip and erasing, the same for all frames of a clip; then what evaluation does, too.

    In this order: the frames are resized to `size`, or, with probability `enlarge`, to 1/8 more on each side (288 x 144
    for 256 x 128), of which a part of `size` is cut out, each as likely; they are flipped; they are normalised; a
    rectangle is erased (Zhong et al. 2020, arXiv 1708.04896). Erased pixels are 0, which is the mean colour.

    A person who jumped or turned round from frame to frame would be a motion that no video has, and a 3D network learns
    motions: hence one draw for a clip. Only erasing may differ from frame to frame, as what hides a person does.

    >>> transform = TrainingTransform((256, 128), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    >>> pictures = [torch.zeros(96, 40, 3, dtype=torch.uint8), torch.zeros(100, 50, 3, dtype=torch.uint8)]
    >>> transform(pictures, torch.Generator().manual_seed(0)).shape
    torch.Size([3, 2, 256, 128])

    Args:
        size: Height and width of the frames that the network is to see, in pixels.
        mean: Per-channel mean (RGB, on the scale 0..1).
        std: Per-channel standard deviation (same scale).
        enlarge: Probability of the enlarged size and its crop; otherwise the whole picture is resized to `size`.
        flip: Probability of the horizontal flip.
        erasing: Probability that a clip is erased in; 0 is off.
        erase_each_frame: Whether each frame of such a clip has a rectangle of its own, instead of one for all.

    Raises:
        InputError: If a probability is not in 0..1, or `size`, `mean` or `std` cannot be.
    """

    size: tuple[int, int]
    mean: Sequence[float]
    std: Sequence[float]
    enlarge: float = 0.5
    flip: float = 0.5
    erasing: float = 0.0
    erase_each_frame: bool = False

    def __post_init__(self) -> None:
        check_statistics(self.size, self.mean, self.std)
        for name in ("enlarge", "flip", "erasing"):
            if not 0 <= real_number(name, getattr(self, name), "a probability, 0..1") <= 1:
                raise InputError(f"{name} is a probability, 0..1; got {getattr(self, name)!r}")

    def __call__(self, frames: Tensor | Sequence[Tensor], generator: torch.Generator) -> Tensor:
        """Turn the frames of one clip into what the network is trained on.

        Give the frames in the sizes that they have: each is resized once, to the size that is drawn.

        Args:
            frames: uint8 RGB: pictures `(h, w, 3)` each of its own size, or `(t, h, w, 3)`.
            generator: Where everything is drawn from.

        Returns:
            float32, `(3, t, *size)`.

        Raises:
            InputError: If `frames` has another type or shape, or there is no generator.
        """
        checked(generator)
        pictures = self._flipped(self._sized(frames, generator), generator)
        clip = normalise(rearrange(pictures, "t c h w -> t h w c"), self.mean, self.std)
        if chance(self.erasing, generator):
            self._erase(clip, generator)
        return clip

    def _sized(self, frames: Tensor | Sequence[Tensor], generator: torch.Generator) -> Tensor:
        """The frames at the drawn size, cut to `size`: uint8 `(t, 3, *size)`."""
        height, width = self.size
        if not chance(self.enlarge, generator):
            return rearrange(resize_all(frames, self.size), "t h w c -> t c h w")
        more = [round(side * ENLARGED_BY) for side in self.size]
        enlarged = rearrange(resize_all(frames, (height + more[0], width + more[1])), "t h w c -> t c h w")
        top, left = (below(rest + 1, generator) for rest in more)
        cut: Tensor = F.crop(enlarged, top, left, height, width)
        return cut

    def _flipped(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        return F.hflip(pictures) if chance(self.flip, generator) else pictures

    def _erase(self, clip: Tensor, generator: torch.Generator) -> None:
        by_frame = rearrange(clip, "c t h w -> t c h w")  # a view: the clip itself is written to
        for part in by_frame if self.erase_each_frame else (by_frame,):
            rectangle = erased_rectangle(self.size, generator)
            if rectangle is not None:
                F.erase(part, *rectangle, part.new_zeros(()), inplace=True)


def erased_rectangle(size: tuple[int, int], generator: torch.Generator) -> tuple[int, int, int, int] | None:
    """The rectangle that random erasing takes out of a picture (Zhong et al. 2020, Algorithm 1).

    Its area is 0.02..0.4 of the picture's and its height 0.3..3.3 times its width, both uniformly, drawn again until it
    fits; then each place where it lies inside the picture is as likely as the others. Pictures so narrow that 100 draws do
    not fit are left whole.

    Args:
        size: Height and width of the picture, in pixels.
        generator: Where the rectangle is drawn from.

    Returns:
        Its top, left, height and width, in pixels, or None.
    """
    height, width = size
    for _ in range(_ATTEMPTS):
        area = between(*ERASED_AREA, generator) * height * width
        ratio = between(*ERASED_RATIO, generator)
        tall, wide = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
        if 1 <= tall <= height and 1 <= wide <= width:
            return below(height - tall + 1, generator), below(width - wide + 1, generator), tall, wide
    return None
