"""Bodies as a camera sees them: limbs, torso and head turned by direction and elevation and flattened, and their boxes."""

from __future__ import annotations

import torch
from torch import Tensor

from nlreid.data.datasets.synthetic.identity import Columns
from nlreid.data.datasets.synthetic.skeleton import Part, pose

_FAR = -9.0  # nearer than parts that are absent, farther than all others


def project(a: Columns, track: Columns) -> tuple[list[Part], Columns, Columns]:
    """Turn people into capsules, a torso and a head on the picture's plane (orthographic).

    Args:
        a: Attributes of each frame's person, `(b, ...)`.
        track: Conditions of each frame, see `draw_tracks`.

    Returns:
        What the p capsules are. Their columns: `start`, `end` `(b, p, 3)`, `radii` `(b, p, 2)`, `switch` `(b, p)`, `colours`
        `(b, p, 2, 3)`; those of the torso and the head: `hip`, `shoulder`, `head` `(b, 3)`, `head_radius` `(b, 1)`, `widths`
        `(b, 5)`, `bulge` `(b, 1)`; and sines and cosines of the angles `(b, 1)`. Lengths are in body heights, x to the right,
        y up, z to the camera. The box around each: `x`, `y` of its middle, `w`, `h`, `(b, 1)`.
    """
    skeleton, joints = pose(a, track)
    angles = {"cos_yaw": track["yaw"].cos(), "sin_yaw": track["yaw"].sin()}
    angles |= {"cos_pitch": track["pitch"].cos(), "sin_pitch": track["pitch"].sin()}
    count = len(skeleton.parts)
    points = torch.stack([*skeleton.starts, *skeleton.ends, joints.hip, joints.shoulder, joints.head], 1)
    here = points[:, :count, 1] > _FAR
    points = _turned(points, angles)
    widths, bulge = _torso(a, angles)
    shape = {
        "start": points[:, :count],
        "end": points[:, count : 2 * count],
        "radii": torch.stack(skeleton.radii, 1),
        "switch": torch.cat(skeleton.switches, 1),
        "colours": torch.stack(skeleton.colours, 1),
        "hip": points[:, 2 * count],
        "shoulder": points[:, 2 * count + 1],
        "head": points[:, 2 * count + 2],
        "head_radius": 0.062 * a["head"],
        "widths": widths,
        "bulge": bulge,
        "cos_gaze": track["gaze"].cos(),
        "sin_gaze": track["gaze"].sin(),
        **angles,
    }
    return skeleton.parts, shape, _box(shape, here, a, track)


def _turned(points: Tensor, angles: Columns) -> Tensor:
    cos_yaw, sin_yaw, cos_pitch, sin_pitch = (angles[key] for key in ("cos_yaw", "sin_yaw", "cos_pitch", "sin_pitch"))
    x, y, z = points.unbind(-1)
    right, ahead = x * cos_yaw + z * sin_yaw, z * cos_yaw - x * sin_yaw
    return torch.stack([right, y * cos_pitch - ahead * sin_pitch, ahead * cos_pitch + y * sin_pitch], -1)


def _torso(a: Columns, angles: Columns) -> tuple[Tensor, Tensor]:
    """Half widths of the torso at thigh, hip, waist, chest and shoulder as they are seen, and half the depth of the waist."""
    girth, puff = a["girth"] * a["puff"], a["puff"]
    chest = 0.1 * a["shoulders"] * puff * (0.5 + 0.5 * a["girth"])
    lateral = torch.cat([0.105 * girth, 0.094 * girth, 0.082 * girth, chest, 0.1 * a["shoulders"] * puff.sqrt()], 1)
    depth = torch.cat([0.085 * girth, 0.072 * girth, 0.066 * girth, 0.075 * girth, 0.055 * puff], 1)
    cos_yaw, sin_yaw = angles["cos_yaw"], angles["sin_yaw"]
    across, along = (lateral * cos_yaw) ** 2 + (depth * sin_yaw) ** 2, (lateral * sin_yaw) ** 2 + (depth * cos_yaw) ** 2
    return across.sqrt(), along.sqrt()[:, 2:3]


def _box(shape: Columns, here: Tensor, a: Columns, track: Columns) -> Columns:
    """What a good detector would draw around the parts that are there."""
    radius = shape["radii"].amax(-1)
    x = torch.stack([shape["start"][..., 0], shape["end"][..., 0]])
    y = torch.stack([shape["start"][..., 1], shape["end"][..., 1]])
    left = torch.where(here, x.amin(0) - radius, 9).amin(1, keepdim=True)
    right = torch.where(here, x.amax(0) + radius, -9).amax(1, keepdim=True)
    bottom = torch.where(here, y.amin(0) - radius, 9).amin(1, keepdim=True)
    top = torch.where(here, y.amax(0) + radius, -9).amax(1, keepdim=True)
    crown = shape["head"][:, 1:2] + shape["head_radius"] * 1.25 * (1 + 0.15 * a["volume"])
    height, width = torch.maximum(top, crown) - bottom, right - left
    usual = torch.maximum(track["aspect"] * height, 0.8 * width)
    wide = track["fit"] * width * 1.1 + (1 - track["fit"]) * usual
    return {"x": (left + right) / 2, "y": bottom + height / 2, "w": wide.clamp_min(0.25), "h": height}
