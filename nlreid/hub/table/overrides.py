"""What the fields of a model's spec may hold where they stand in a file: of the right type, and of a size that can be built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nlreid.hub.table.fields import (
    FLAG,
    MAYBE_TEXT,
    OBJECT,
    TEXT,
    Kind,
    check_known,
    either,
    list_of,
    number,
    one_of,
    or_null,
    whole,
)

_WIDTH = whole(1, 2**16)  # channels
_TIME = whole(1, 255)  # frames of a kernel, a stride or a pool
_BLOCK = whole(0, 1000)

PLAN: Mapping[str, Kind] = {
    "name": TEXT,
    "source": MAYBE_TEXT,
    "stem": _TIME,
    "stem_stride": _TIME,
    "stem_pool": FLAG,
    "stem_pool_kernel": _TIME,
    "stem_pool_stride": _TIME,
    "first": list_of(list_of(_TIME), 4),
    "spatial": list_of(_TIME, 4),
    "strides": list_of(_TIME, 4),
    "pool_after_first_stage": _TIME,
    "form": TEXT,
    "stem_hidden": or_null(_WIDTH),
    "inherits": FLAG,
}
NON_LOCAL: Mapping[str, Kind] = {
    "blocks": or_null(list_of(list_of(_BLOCK))),
    "pairwise": TEXT,
    "scale": either(number("a finite number"), TEXT),
    "subsample": _TIME,
    "subsample_order": TEXT,
}
OVERRIDES: Mapping[str, Kind] = {
    "backbone": TEXT,
    "plan": either(TEXT, OBJECT),
    "init": one_of(("mean", "center")),
    "non_local": or_null(either(FLAG, OBJECT)),
    "aggregate": TEXT,
    "embedding_dim": _WIDTH,
    "width": number("a number above 0, at most 8", lambda value: 0 < value <= 8),
    "dropout": number("a number from 0 to below 1", lambda value: 0 <= value < 1),
}


def check_overrides(where: object, overrides: Mapping[str, Any]) -> None:
    """Refuse overrides with a value that no spec could have; names are left to the spec, which knows them.

    Args:
        where: What they are and where they were read, for messages.
        overrides: Fields of a model's spec, in plain values.

    Raises:
        WeightsError: If one does not fit; it names the field.
    """
    check_known(where, overrides, OVERRIDES)
    for name, kinds in (("plan", PLAN), ("non_local", NON_LOCAL)):
        if isinstance(overrides.get(name), Mapping):
            check_known(f"{where}: {name}", overrides[name], kinds)
