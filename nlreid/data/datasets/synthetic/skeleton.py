"""The limbs of people: tapered capsules in space, moved by the gait."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nlreid.data.datasets.synthetic.identity import Columns

ABSENT = -99.0  # where parts are put that a body does not have


@dataclass(frozen=True)
class Part:
    """A capsule between two balls, whose colour may change along the way.

    Args:
        cloth: Whether folds show on it.
        quilted: Whether the seams of a quilted coat show on it.
    """

    cloth: bool
    quilted: bool


@dataclass
class Skeleton:
    """The capsules of b bodies, in body heights: x to the body's left, y up from the ground, z ahead.

    Args:
        parts: What each capsule is.
        starts: Centre of the first ball of each, `(b, 3)`; `ABSENT` where a body has no such part.
        ends: Centre of the second, `(b, 3)`.
        radii: Radius at both, `(b, 2)`.
        switches: Share of the way after which the second colour begins, `(b, 1)`.
        colours: First and second colour, `(b, 2, 3)`.
    """

    parts: list[Part] = field(default_factory=list)
    starts: list[Tensor] = field(default_factory=list)
    ends: list[Tensor] = field(default_factory=list)
    radii: list[Tensor] = field(default_factory=list)
    switches: list[Tensor] = field(default_factory=list)
    colours: list[Tensor] = field(default_factory=list)

    def add(
        self,
        ends: tuple[Tensor, Tensor],
        radii: tuple[Tensor | float, Tensor | float],
        colours: tuple[Tensor, Tensor],
        *,
        switch: Tensor | float = 9.0,
        present: Tensor | None = None,
        cloth: bool = True,
        quilted: bool = False,
    ) -> None:
        """Add a capsule.

        Args:
            ends: Centres of its balls, `(b, 3)`.
            radii: Of its balls, `(b, 1)` or a number.
            colours: First and second, `(b, 3)`.
            switch: Share of the way after which the second begins, `(b, 1)` or a number; beyond 1 it never does.
            present: Where 0, a body has no such part: `(b, 1)`.
            cloth: See `Part`.
            quilted: See `Part`.
        """
        column = colours[0][:, :1]
        if present is not None:
            ends = torch.where(present > 0, ends[0], ABSENT), torch.where(present > 0, ends[1], ABSENT)
        self.parts.append(Part(cloth, quilted))
        self.starts.append(ends[0])
        self.ends.append(ends[1])
        self.radii.append(torch.cat([torch.as_tensor(radius).expand_as(column) for radius in radii], 1))
        self.switches.append(torch.as_tensor(switch).expand_as(column))
        self.colours.append(torch.stack(colours, 1))


@dataclass(frozen=True)
class Joints:
    """Where torso and head hang, `(b, 3)` each."""

    hip: Tensor
    shoulder: Tensor
    head: Tensor


def pose(a: Columns, track: Columns) -> tuple[Skeleton, Joints]:
    """The limbs, neck, hair and bags of people in one moment each.

    Args:
        a: Attributes of each frame's person, `(b, ...)`.
        track: Conditions of each frame, see `draw_tracks`.

    Returns:
        The capsules, and where torso and head are.
    """
    lean = a["stoop"] + 0.04 * track["move"]
    bob = 0.012 * a["bounce"] * torch.cos(2 * track["phase"]) * track["move"]
    hip_y, shoulder_y = 0.515 * a["legs"] + bob, 0.80 + bob - 0.04 * a["stoop"]
    zero = torch.zeros_like(bob)
    joints = Joints(
        hip=point(zero, hip_y - 0.01, zero),
        shoulder=point(zero, shoulder_y + 0.01, lean * 0.3),
        head=point(zero, 0.928 + bob - 0.05 * a["stoop"], 0.03 + lean * 0.4),
    )
    skeleton, hands = Skeleton(), []
    for place, side in ((1, -1.0), (0, 1.0)):
        turn = track["phase"] + (0 if side > 0 else math.pi)
        _leg(skeleton, a, side, hip_y, turn, track["move"])
        shoulder = point(_shoulder_x(a) * side, shoulder_y - 0.032, lean * 0.27)
        hold = track["arm"][:, place : place + 1], track["elbow"][:, place : place + 1]
        hands.append(_arm(skeleton, a, side, shoulder, turn, track["move"], hold))
    _neck_and_hair(skeleton, a, joints, shoulder_y, lean)
    _bags(skeleton, a, torch.where(a["mirror"] > 0, hands[0], hands[1]))
    return skeleton, joints


def point(x: Tensor | float, y: Tensor | float, z: Tensor | float) -> Tensor:
    """A point of each body, `(b, 3)`, from columns `(b, 1)` or numbers."""
    columns = torch.broadcast_tensors(*map(torch.as_tensor, (x, y, z)))  # type: ignore[no-untyped-call]
    return torch.cat(columns, 1)


def _shoulder_x(a: Columns) -> Tensor:
    return 0.102 * a["shoulders"] * (0.5 + 0.5 * a["girth"]) + 0.03 * (a["puff"] - 1)


def _leg(skeleton: Skeleton, a: Columns, side: float, hip_y: Tensor, turn: Tensor, move: Tensor) -> None:
    bare = torch.where(a["tights"] > 0, a["lower"] * 0.3, a["skin"])
    thigh = torch.where(a["skirt"] > 0, bare, a["lower"] * (1 + 0.5 * a["fade"]))
    shin = torch.where(a["skirt"] > 0, bare, torch.where(a["shorts"] > 0, a["skin"], a["lower"]))
    swing, bend = 0.44 * a["stride"] * move * turn.sin(), 0.08 + move * turn.cos().clamp(0) ** 1.5
    hip = point(side * 0.052 * a["girth"], hip_y, torch.zeros_like(hip_y))
    knee = hip + 0.245 * point(torch.zeros_like(swing), -swing.cos(), swing.sin())
    foot = knee + 0.235 * point(torch.zeros_like(swing), -(swing - bend).cos(), (swing - bend).sin())
    wide = a["leg"] * a["girth"].sqrt() * torch.where(a["skirt"] > 0, 0.8, 1.0)
    shorts = torch.where(a["shorts"] > 0, 0.75, 9.0)
    skeleton.add((hip, knee), (0.062 * wide, 0.045 * wide), (thigh, a["skin"]), switch=shorts)
    ankle = 0.034 * wide * torch.where(a["skirt"] > 0, 0.7, a["flare"])
    skeleton.add((knee, foot), (0.043 * wide, ankle), (shin, a["shoe"]), switch=1 - a["boot"])
    heel, toe = foot + torch.tensor([0, -0.008, -0.012]), point(side * 0.02, -0.022 + 0.03 * (swing - bend).sin(), 0.085)
    skeleton.add((heel, foot + toe), (0.027, 0.022), (a["shoe"], a["sole"]), switch=0.9, cloth=False)


def _arm(
    skeleton: Skeleton, a: Columns, side: float, shoulder: Tensor, turn: Tensor, move: Tensor, hold: tuple[Tensor, Tensor]
) -> Tensor:
    """Add an arm; the place of its hand."""
    swing = -a["swing"] * 0.5 * move * turn.sin() + hold[0]
    bend = 0.2 + 0.25 * swing.clamp(0) + hold[1]
    out = side * (0.10 + 0.12 * (a["puff"] - 1).clamp(0))
    elbow = shoulder + 0.165 * point(out, -swing.cos(), swing.sin())
    wrist = elbow + 0.145 * point(-side * 0.25 * hold[1], -(swing + bend).cos(), (swing + bend).sin())
    thick = a["puff"] * a["girth"].sqrt()
    panels = a["pattern"][:, 5:6]
    upper = torch.where(a["sleeve2"] + panels > 0, a["upper2"], a["upper"])
    lower = torch.where(a["sleeve2"] > 0, a["upper2"], a["upper"])
    skeleton.add((shoulder, elbow), (0.043 * thick, 0.037 * thick), (upper, a["skin"]), switch=a["sleeve"], quilted=True)
    skeleton.add((elbow, wrist), (0.036 * thick, 0.029 * thick), (lower, a["skin"]), switch=a["sleeve"] - 1, quilted=True)
    hand = wrist + 0.2 * (wrist - elbow)
    skeleton.add((wrist, hand), (0.021, 0.02), (a["skin"], a["skin"]), cloth=False)
    return hand


def _neck_and_hair(skeleton: Skeleton, a: Columns, joints: Joints, shoulder_y: Tensor, lean: Tensor) -> None:
    radius, zero = 0.062 * a["head"], torch.zeros_like(lean)
    neck = torch.where(a["scarf"] > 0, a["scarf_colour"], a["skin"])
    skeleton.add((point(zero, shoulder_y, lean * 0.3), joints.head), (0.036 + 0.02 * a["scarf"], 0.03), (neck, a["skin"]))
    top = joints.head + torch.tensor([0, 0.01, -0.02])
    tip = joints.head + point(zero, -0.05 - 0.16 * a["length"], -0.035 - 0.02 * a["length"])
    skeleton.add((top, tip), (radius * a["volume"], 0.055 * a["volume"]), (a["hair"], a["hair"]), present=a["length"])
    hood = (point(zero - 0.04, shoulder_y + 0.02, lean * 0.3 - 0.05), point(zero + 0.04, shoulder_y + 0.02, lean * 0.3 - 0.05))
    skeleton.add(hood, (0.045, 0.045), (a["upper"] * 0.85, a["upper"] * 0.85), present=a["hood"])


def _bags(skeleton: Skeleton, a: Columns, hand: Tensor) -> None:
    size, bag, white, zero = a["bag_size"], a["bag"], torch.full_like(a["bag"], 0.9), torch.zeros_like(a["bag_size"])
    rucksack = (point(zero, 0.755 + zero, -0.115 * a["girth"]), point(zero, 0.61 + zero, -0.13 * a["girth"]))
    skeleton.add(rucksack, (0.075 * size, 0.0825 * size), (bag, bag * 0.7), switch=0.75, present=a["back"])
    hip = point(a["mirror"] * 0.135 * a["girth"], 0.50 + zero, zero - 0.02)
    at_hip = (hip + torch.tensor([0, 0.03, -0.035]), hip + torch.tensor([0, -0.01, 0.035]))
    skeleton.add(at_hip, (0.05 * size, 0.055 * size), (bag, bag), present=a["side"])
    in_hand = (hand + torch.tensor([0, -0.05, -0.03]), hand + torch.tensor([0, -0.06, 0.03]))
    skeleton.add(in_hand, (0.045 * size, 0.05 * size), (bag, bag), present=a["hand"])
    sheet = (hand + torch.tensor([-0.01, 0, 0]), hand + torch.tensor([0.04, 0.05, 0.06]))
    skeleton.add(sheet, (0.02, 0.015), (white, white), present=a["paper"], cloth=False)
