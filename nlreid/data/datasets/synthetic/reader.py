"""Synthetic people as one of the data sets by name, with plain numbers for options."""

from __future__ import annotations

from nlreid.data.datasets.synthetic.people import Progress, SyntheticPeople
from nlreid.data.split import Split


def read_synthetic(
    *,
    seed: int = 0,
    identities: int = 50,
    cameras: int = 2,
    tracklets: int = 1,
    frames: int = 16,
    size: tuple[int, int] = (128, 64),
    train_identities: int = 0,
    train_cameras: int = 6,
    strength: float = 0.35,
    progress: Progress | None = None,
) -> Split:
    """Draw people; there is nothing to read.

    Args:
        seed: Of everything, at least 0.
        identities: People to search for.
        cameras: Cameras to search with and in, at least 2.
        tracklets: Of each person in each camera.
        frames: Of each tracklet.
        size: Height and width of the pictures, in pixels.
        train_identities: People to train on; none unless asked for.
        train_cameras: Cameras to train on.
        strength: How much the colours of cameras differ, 0..1.
        progress: Called with how many tracklets are done, of how many.

    Raises:
        InputError: If a number is out of its range.
    """
    people = SyntheticPeople(
        seed=seed,
        identities=identities,
        cameras=cameras,
        tracklets=tracklets,
        frames=frames,
        size=size,
        train_identities=train_identities,
        train_cameras=train_cameras,
        strength=strength,
    )
    return people.split(progress=progress)
