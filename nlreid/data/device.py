"""Where networks run and pictures are drawn: a device that is really there."""

from __future__ import annotations

import torch

from nlreid.errors import InputError


def resolve_device(device: torch.device | str) -> torch.device:
    """The device of a name, once it has held a number and given it back.

    >>> resolve_device("cpu")
    device(type='cpu')

    Raises:
        InputError: If there is no such kind of device, or none that can be used here.
    """
    try:
        resolved = torch.device(device)
        torch.zeros(1, device=resolved).cpu()
    except (RuntimeError, AssertionError, ImportError, TypeError) as error:  # each kind of device fails in a way of its own
        there = ["'cpu'", *(f"'cuda:{index}'" for index in range(torch.cuda.device_count()))]
        reason = str(error).strip().split("\n")[0][:200]
        raise InputError(
            f"device {str(device)!r} cannot be used here ({reason}); devices that can: {', '.join(there)}"
        ) from error
    return resolved
