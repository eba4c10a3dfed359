"""What every painted part of a body has: where it is, how near, how bright, in which colour."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

RGB = tuple[Tensor, Tensor, Tensor]


class Surface(NamedTuple):
    """A part of a body on the picture's plane.

    Args:
        hit: Where it is, bool `(b, h, w)`.
        depth: How near to the camera, in body heights, `(b, h, w)`.
        shade: Factor of its colour by light and folds, `(b, h, w)`.
        colour: Red, green and blue, 0..1, each `(b, h, w)` or `(b, 1, 1)`.
    """

    hit: Tensor
    depth: Tensor
    shade: Tensor
    colour: RGB


class Light:
    """A distant lamp and light from everywhere (Lambert's law).

    Args:
        light: Direction x, y, z to the lamp and the share of light from everywhere, `(b, 4)`.
    """

    def __init__(self, light: Tensor) -> None:
        self.x, self.y, self.z, self.ambient = (pixels(light[:, i : i + 1]) for i in range(4))

    def on(self, x: Tensor, y: Tensor | float, z: Tensor) -> Tensor:
        """How bright a surface is, from its normal."""
        return self.ambient + (x * self.x + y * self.y + z * self.z).clamp_min(0) * (1 - self.ambient)


def pixels(column: Tensor) -> Tensor:
    """`(b, 1)` to `(b, 1, 1)`, which goes with pixels `(b, h, w)`."""
    return column[..., None]


def rgb(colour: Tensor) -> RGB:
    """A colour `(b, 3)` as three that go with pixels."""
    red, green, blue = (pixels(colour[:, i : i + 1]) for i in range(3))
    return red, green, blue


def mix(where: Tensor, there: RGB, elsewhere: RGB) -> RGB:
    """One colour where a condition holds, another elsewhere."""
    red, green, blue = (a.where(where, b) for a, b in zip(there, elsewhere, strict=True))
    return red, green, blue
