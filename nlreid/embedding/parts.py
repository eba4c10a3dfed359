"""`embed_in_parts`: embedding that can be interrupted, and goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from nlreid.data.device import resolve_device
from nlreid.data.disk import as_path
from nlreid.data.tracklet import Tracklet
from nlreid.embedding.embeddings import Embeddings
from nlreid.embedding.extract import Running, check_model, embed_counted, made_by
from nlreid.embedding.kept_folder import check_folder, keep_part, kept_part
from nlreid.embedding.provenance import describe, digest_of
from nlreid.embedding.shards import PARTS
from nlreid.errors import DataError, InputError, whole_number
from nlreid.hub.progress import counting_bar
from nlreid.models.exported import ExportedModel
from nlreid.models.network import VideoReID
from nlreid.processes import Processes, processes

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

PART = 64  # some minutes of a large network on a CPU


def embed_in_parts(
    model: VideoReID | ExportedModel,
    tracklets: Sequence[Tracklet],
    folder: str | Path,
    *,
    part: int = PART,
    batch_size: int = 16,
    device: torch.device | str | None = None,
    autocast: torch.dtype | None = None,
    prefetch: int = 2,
    progress: bool = True,
    share: bool | ProcessGroup = False,
    mapped: bool = False,
) -> Embeddings:
    """Embed tracklets as `embed` does, and keep each part of them in a folder as soon as it is done.

    Called again after an interruption of any kind, with the same arguments, it embeds only what is not there yet. Clips of
    different parts never share a batch, so that the result is then, bit for bit, that of a run without interruption, where
    the network computes the same twice, as it does on a CPU. It is that of `embed` up to rounding, and exactly if there
    is only one part.

    The folder has `embedding.json`, which says what is embedded, and `parts/00000.safetensors`, ..., each a file that
    `Embeddings.load` reads. Another model, other weights, clips, tracklets or precision are refused, also where another
    process begins with them in the same folder at the same time: each part says what it is a part of. Pictures in memory
    are compared by their bytes; files by their names and sizes, and the first of a tracklet by the beginning of its bytes. A
    data set may be moved. Batch size and device may change: they change no more than rounding.

    With `share`, the processes of `torch.distributed` share the parts that are not there yet. Since a part is the same whoever
    makes it, so is the result: bit for bit that of one process. All call this with the same arguments (but for the device), and
    see the same folder. A process that fails raises its own error at once, under `torchrun` that ends the others; whatever
    parts are done stay, and the same call goes on from there, with any number of processes.

    Args:
        model: As for `embed`.
        tracklets: What to embed; names are unique.
        folder: Where to keep the parts; made if it is not there.
        part: Tracklets of a part: at most so many are embedded again after an interruption.
        batch_size: As for `embed`.
        device: As for `embed`.
        autocast: As for `embed`.
        prefetch: As for `embed`; nothing is made ahead of the part that it is of.
        progress: Whether to show a progress bar; of several processes the first shows that of its parts.
        share: Whether the processes of `torch.distributed`, or those of a process group, share the work. Where
            `torch.distributed` is not in use, this process does it alone. Who is done first waits for the others, as long as
            the group's time-out allows.
        mapped: Whether the result stays in the folder, as `Embeddings.load` reads it, rather than to be in memory.

    Returns:
        What `embed` returns, in each process.

    Raises:
        InputError: As `embed`, or if `part` is below 1, or the processes have different models, tracklets or options.
        DataError: If the folder holds something else or cannot be written, or a picture cannot be read.
        ProcessesError: If another process failed or is gone.
    """
    team = processes(share)
    with team.together():
        check_model(model)
        part, running = whole_number("part", part), Running(batch_size, autocast, prefetch)
        if device is not None:
            model.to(resolve_device(device))
        about = describe(model, _checked(tracklets), part, autocast)
        folder = as_path("folder", folder)
        check_folder(folder, about)
    team.check_same("weights, tracklets and options", digest_of(about))
    kept = _Kept(folder, tracklets, part, about)
    own = kept.embedded(model, running, kept.numbers_of(team), show=progress and not team.rank, held=not mapped)
    with team.together():
        pass  # whoever waits here has kept all its parts
    if mapped:
        return replace(Embeddings.load(folder), model=made_by(model))
    return _joined(folder, [own[number] if number in own else kept.by_another(number, model) for number in kept.numbers])


@dataclass(frozen=True)
class _Kept:
    """The parts of some tracklets in a folder."""

    folder: Path
    tracklets: Sequence[Tracklet]
    part: int
    about: Mapping[str, Any]

    @property
    def numbers(self) -> range:
        return range(-(-len(self.tracklets) // self.part))

    def path(self, number: int) -> Path:
        return self.folder / PARTS / f"{number:05d}.safetensors"

    def some(self, number: int) -> Sequence[Tracklet]:
        return self.tracklets[number * self.part : (number + 1) * self.part]

    def there(self, number: int) -> Embeddings | None:
        return kept_part(self.path(number), self.some(number), self.about)

    def numbers_of(self, team: Processes) -> Sequence[int]:
        """The parts that this process sees to: of those that are missing, as the first of them finds."""
        if team.count == 1:
            return self.numbers
        missing: list[int] = []
        with team.together():
            if not team.rank:
                missing = [number for number in self.numbers if self.there(number) is None]
        return team.part_of(json.loads(team.texts(json.dumps(missing))[0]))

    def embedded(
        self, model: VideoReID | ExportedModel, running: Running, numbers: Sequence[int], *, show: bool, held: bool
    ) -> dict[int, Embeddings]:
        """Some parts, from the folder where they are there, and else embedded and kept.

        Args:
            model: The network.
            running: How it runs.
            numbers: Which parts.
            show: Whether to show a progress bar.
            held: Whether they are wanted afterwards.
        """
        done, total = 0, sum(len(self.some(number)) for number in numbers)
        pieces = {}
        with counting_bar("embedding", "tracklets", show=show) as count:
            for number in numbers:
                people = self.there(number)
                if people is None:
                    people = embed_counted(model, self.some(number), running, partial(_count, count, done, total))
                    keep_part(people, self.path(number), self.about)
                else:
                    people = replace(people, model=made_by(model))  # the same tensors, perhaps from a file that has moved
                done += len(people)
                count(done, total)
                if held:
                    pieces[number] = people
        return pieces

    def by_another(self, number: int, model: VideoReID | ExportedModel) -> Embeddings:
        """A part that another process has kept."""
        people = self.there(number)
        if people is None:
            raise DataError(
                f"{self.path(number)}: another process has kept this part, and here it is not there; processes on several "
                "machines share a folder that all of them see"
            )
        return replace(people, model=made_by(model))


def _count(count: Callable[[int, int | None], None], start: int, total: int, done: int) -> None:
    count(start + done, total)


def _checked(tracklets: Sequence[Tracklet]) -> Sequence[Tracklet]:
    """What `embed` would refuse later, refused before anything is written."""
    if not isinstance(tracklets, Sequence) or not all(isinstance(tracklet, Tracklet) for tracklet in tracklets):
        raise InputError(f"embed_in_parts takes a list or tuple of nlreid.Tracklet objects; got {tracklets!r:.80}")
    if not tracklets:
        raise InputError("there is no tracklet to embed")
    names = set[str]()
    for tracklet in tracklets:
        if tracklet.name in names:
            raise InputError(f"names of tracklets are unique; {tracklet.name!r} came twice")
        names.add(tracklet.name)
    for kind in ("pid", "camid"):
        known = {getattr(tracklet, kind) is not None: tracklet.name for tracklet in tracklets}
        if len(known) > 1:
            raise InputError(
                f"either all tracklets have a {kind} or none has; {known[True]!r} has one, and {known[False]!r} not"
            )
    return tracklets


def _joined(folder: Path, pieces: Sequence[Embeddings]) -> Embeddings:
    kinds = {f"{people.features.shape[1]} values by {people.model}" for people in pieces}
    if len(kinds) > 1:
        raise DataError(f"{folder / PARTS}: holds parts of several kinds ({'; '.join(sorted(kinds))}); delete the folder")
    features = torch.cat([torch.as_tensor(people.features) for people in pieces])
    pids, camids = (
        None if pieces[0].pids is None else torch.cat([people.pids for people in pieces if people.pids is not None]),
        None if pieces[0].camids is None else torch.cat([people.camids for people in pieces if people.camids is not None]),
    )
    return Embeddings(features, pids, camids, [track for people in pieces for track in people.tracks], pieces[0].model)
