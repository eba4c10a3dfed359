"""Who people are: build, hair, clothes, bags and gait, drawn so that many share their colours and some all but a detail."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from nlreid.data.datasets.synthetic.draws import Draws
from nlreid.data.datasets.synthetic.wardrobe import HAIR, SKIN, SOLES, cloth, near
from nlreid.errors import InputError, real_number, whole_number

Columns = dict[str, Tensor]

PATTERNS = ("plain", "stripes", "columns", "checks", "yoke", "panels", "logo", "back print")
_PATTERN_WEIGHTS = (0.56, 0.07, 0.03, 0.06, 0.10, 0.04, 0.08, 0.06)
_SMALL = ("logo", "gait")  # what alone tells twins apart
_SHADE = 0.04  # relative deviation of the colours of look-alikes


@dataclass(frozen=True)
class LookAlikes:
    """How many people look like somebody else: people come in families, of whom some copy the first.

    Who copies differs in one to three of the groups that `draw_identities` draws (upper garment, its pattern, lower garment,
    hair, bag, shoes, build, gait), and a little in the shade of every colour, since no two coats are dyed alike.

    Args:
        family: How many people in a row are a family; 1 makes everybody unrelated.
        share: Share of the others of a family who copy the first, 0..1.
        twins: Share of the copies that differ in nothing but the gait, or nothing but the pattern of the upper garment, 0..1.

    Raises:
        InputError: If a number is out of its range.
    """

    family: int = 4
    share: float = 0.5
    twins: float = 0.3

    def __post_init__(self) -> None:
        whole_number("family", self.family)
        for name in ("share", "twins"):
            if not 0 <= real_number(name, getattr(self, name), "a share, 0..1") <= 1:
                raise InputError(f"{name} is a share, 0..1; got {getattr(self, name)!r}")


UNRELATED = LookAlikes(family=1, share=0.0, twins=0.0)


def draw_identities(count: int, generator: Generator, lookalikes: LookAlikes = UNRELATED) -> Columns:
    """Attributes of people. What a column does to the body is said where it is used (`skeleton`, `body`, `garments`, `head`).

    Args:
        count: People.
        generator: Where they are drawn from.
        lookalikes: How many look like somebody else.

    Returns:
        Columns by name: float, `(count, 1)`, colours `(count, 3)` RGB 0..1, `pattern` `(count, 8)` one-hot. Lengths are in body
        heights or relative to the usual, angles in radians.
    """
    draws = Draws(count, generator)
    groups = {
        "upper": _upper(draws),
        "logo": _logo(draws),
        "lower": _lower(draws),
        "hair": _hair(draws),
        "bag": _bag(draws),
        "shoes": {"shoe": cloth(draws, "shoe"), "sole": near(draws, SOLES)},
        "build": _build(draws),
        "gait": _gait(draws),
    }
    first, own = _families(draws, list(groups), lookalikes)
    people = Columns()
    for name, columns in groups.items():
        for key, values in columns.items():
            copied = values[first]
            if values.shape[1] == 3:
                copied = (copied * (1 + draws.normal(_SHADE, 3))).clamp(0.02, 1)
            people[key] = torch.where(own[name], values, copied)
    return people


def _families(draws: Draws, groups: list[str], lookalikes: LookAlikes) -> tuple[Tensor, dict[str, Tensor]]:
    """The first of everybody's family, int64 `(count,)`, and which groups each has of their own, bool `(count, 1)`."""
    rows = torch.arange(draws.count)
    first = rows // lookalikes.family * lookalikes.family
    copies = (draws.chance(lookalikes.share)[:, 0] > 0) & (first != rows)
    changed = draws.uniform(0, 1, len(groups)).argsort(1) < torch.randint(1, 4, (draws.count, 1), generator=draws.generator)
    twin = draws.chance(lookalikes.twins) > 0
    small = draws.choice(torch.ones(len(_SMALL)))
    for place, name in enumerate(groups):
        alone = (small == _SMALL.index(name))[:, None] if name in _SMALL else torch.zeros_like(twin)
        changed[:, place : place + 1] = torch.where(twin, alone, changed[:, place : place + 1])
    own = ~copies[:, None] | changed
    return first, {name: own[:, place : place + 1] for place, name in enumerate(groups)}


def _upper(draws: Draws) -> Columns:
    long, short = draws.chance(0.22), draws.chance(0.13)
    return {
        "upper": cloth(draws, "upper"),
        "inner": cloth(draws, "upper"),  # what an open coat shows
        "hem": long * draws.uniform(-0.75, -0.25) + (1 - long) * draws.uniform(-0.16, 0.06),  # from the hip, in torso lengths
        "puff": draws.uniform(0.85, 1.0) + draws.chance(0.3) * draws.uniform(0.0, 0.28),
        "quilt": draws.chance(0.18) * draws.uniform(0.05, 0.2),
        "sleeve": torch.where(short > 0, draws.uniform(0.5, 1.1), draws.uniform(1.9, 2)),  # 1 ends at the elbow
        "opened": draws.chance(0.35) * draws.uniform(0.06, 0.4),
        "zipped": draws.chance(0.4) * draws.uniform(-0.25, 0.25),
        "hood": draws.chance(0.3),
        "fade_up": draws.chance(0.2) * draws.uniform(-0.35, 0.35),  # a gradient from hem to collar
        "folds": draws.uniform(0.03, 0.2),
    }


def _logo(draws: Draws) -> Columns:
    return {
        "upper2": cloth(draws, "upper"),
        "pattern": F.one_hot(draws.choice(_PATTERN_WEIGHTS), len(PATTERNS)).float(),
        "frequency": draws.uniform(14, 45),
        "level": draws.uniform(0.4, 0.85),
        "place": draws.uniform(-0.4, 0.4),
        "sleeve2": draws.chance(0.1),
        "trim": draws.chance(0.15),
    }


def _lower(draws: Draws) -> Columns:
    return {
        "lower": cloth(draws, "lower"),
        "skirt": draws.chance(0.1),
        "skirt_hem": draws.uniform(-0.95, -0.4),
        "shorts": draws.chance(0.07),
        "leg": draws.uniform(0.75, 1.15),
        "fade": draws.uniform(0, 0.35),
        "boot": draws.chance(0.12) * draws.uniform(0.3, 0.7),
        "tights": draws.chance(0.5),
        "flare": draws.uniform(0.85, 1.25),
    }


def _hair(draws: Draws) -> Columns:
    return {
        "hair": near(draws, HAIR),
        "length": draws.chance(0.35) * draws.uniform(0.3, 1),
        "bald": draws.chance(0.12) * draws.uniform(0.3, 0.9),
        "volume": draws.uniform(1.0, 1.18) + draws.chance(0.15) * draws.uniform(0, 0.25),
        "beard": draws.chance(0.12),
        "hat": draws.chance(0.14),
        "hat_colour": cloth(draws, "upper"),
    }


def _bag(draws: Draws) -> Columns:
    return {
        "back": draws.chance(0.16),
        "side": draws.chance(0.14),
        "hand": draws.chance(0.12),
        "strap": draws.chance(0.14),
        "paper": draws.chance(0.08),
        "bag": cloth(draws, "upper"),
        "bag_size": draws.uniform(0.7, 1.25),
        "scarf": draws.chance(0.12),
        "scarf_colour": cloth(draws, "upper"),
        "mirror": draws.sign(),
    }


def _build(draws: Draws) -> Columns:
    height = draws.uniform(0.9, 1.1)  # a box is as high as its person: it shows in the proportions, as in photographs
    return {
        "girth": draws.uniform(0.85, 1.25),
        "shoulders": draws.uniform(0.92, 1.1),
        "head": draws.uniform(0.96, 1.04) / height,
        "legs": draws.uniform(0.98, 1.02) * (0.7 + 0.3 * height),
        "skin": near(draws, SKIN),
    }


def _gait(draws: Draws) -> Columns:
    return {
        "stride": draws.uniform(0.7, 1.15),
        "cadence": draws.uniform(0.8, 1.2),
        "swing": draws.uniform(0.4, 1.2),
        "bounce": draws.uniform(0.5, 1.6),
        "stoop": draws.uniform(-0.02, 0.14),
    }
