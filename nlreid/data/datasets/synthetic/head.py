"""Heads as pixels: an ellipsoid with a face, hair, a beard or a hat."""

from __future__ import annotations

from torch import Tensor

from nlreid.data.datasets.synthetic.identity import Columns
from nlreid.data.datasets.synthetic.surfaces import Light, Surface, mix, pixels, rgb


def paint_head(x: Tensor, y: Tensor, shape: Columns, a: Columns, light: Light) -> Surface:
    """The head; arguments as in `limbs.paint_capsule`."""
    middle_x, middle_y, middle_z = (pixels(shape["head"][:, i : i + 1]) for i in range(3))
    radius, bald, long = pixels(shape["head_radius"]), pixels(a["bald"]), pixels(a["length"])
    nx, ny = (x - middle_x) / (radius * 0.82), (y - middle_y) / (radius * 1.15)
    thick = 1 + (pixels(a["volume"]) - 1) * (1 - bald) * (ny > -0.3)  # hair makes the skull larger
    nx, ny = nx / thick, ny / thick
    rest = 1 - nx * nx - ny * ny
    nz = rest.clamp_min(0).sqrt()
    up = ny * pixels(shape["cos_pitch"]) + nz * pixels(shape["sin_pitch"])
    ahead = nx * pixels(shape["sin_gaze"]) + (nz * pixels(shape["cos_pitch"]) - ny * pixels(shape["sin_pitch"])) * pixels(
        shape["cos_gaze"]
    )
    face = (ahead > 0.25 + 0.1 * long) & (up < 0.42 + 0.5 * bald)
    neck = ((up < -0.35 + 0.6 * (ahead > 0)) & (ahead > -0.35)) | (up < -0.62)
    crown = (bald > 0) & (up > 1.15 - 0.9 * bald)
    beard = (pixels(a["beard"]) > 0) & (ahead > 0.1) & (up < -0.3)
    hair = ~(face | neck | crown) | beard
    hat = (pixels(a["hat"]) > 0) & (up > 0.28)
    shade = light.on(nx, ny, nz) * (1 - 0.3 * ((up - 0.1).abs() < 0.12) * (ahead > 0.45))  # the shadow of the brows
    colour = mix(hat, rgb(a["hat_colour"]), mix(hair, rgb(a["hair"]), rgb(a["skin"])))
    return Surface(rest > 0, middle_z + radius * nz, shade, colour)
