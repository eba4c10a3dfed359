"""A process of several that embed and evaluate together, for the tests beside it; also what all of them start from.

python one_of_several.py RANK PROCESSES FOLDER JOB
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

import nlreid
from nlreid import Embeddings, Tracklet
from nlreid.data import whole_file
from nlreid.embedding.parts import embed_in_parts
from nlreid.errors import NLReIDError

LENGTHS = (3, 9, 1, 4, 6, 2, 5, 3, 1, 7, 2)  # eleven tracklets, six parts
GROUPS = (2, 3, 4)


def new_model(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nlreid.create_model("test_r3d").eval()


def people():
    """Tracklets of two cameras."""
    generator = np.random.default_rng(0)
    return [
        Tracklet(f"t{number}", generator.integers(0, 256, (frames, 8, 4, 3), dtype=np.uint8), number // 2, number % 2)
        for number, frames in enumerate(LENGTHS)
    ]


def by_parts(folder, model=None, **options):
    return embed_in_parts(model or new_model(), people(), folder, **{"part": 2, "batch_size": 2, "progress": False, **options})


def problem():
    """A query and a gallery with ties, junk and absent people; the gallery larger than a block of what is compared."""
    drawn = torch.Generator().manual_seed(0)
    sides = []
    for count in (7, 3001):
        features = torch.randint(-2, 3, (count, 600), generator=drawn).float()
        features[count // 2 :] = features[: count - count // 2].clone()  # each row twice: of equal ones the first is nearer
        pids, camids = (torch.randint(low, 40, (count,), generator=drawn) for low in (-1, 37))
        sides.append(Embeddings(features, pids, camids, model="drawn"))
    return sides


def scores(query, gallery, **options):
    """All that a ranking says, as tensors."""
    found = nlreid.evaluate(query, gallery, **options)
    figures = {"cmc": found.cmc, "AP": found.average_precision, "mINP": found.inverse_negative_penalty}
    figures |= {"negatives": found.matches.negatives, "gallery": found.matches.gallery, "distances": found.matches.distances}
    return {name: torch.from_numpy(values).nan_to_num(-1) for name, values in figures.items()}


def said(call, *arguments, **options):
    """The error of a call, with its kind."""
    try:
        call(*arguments, **options)
    except NLReIDError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def everything(rank, folder):
    """What each group of processes answers."""
    groups = {count: dist.new_group(list(range(count))) for count in GROUPS}
    answers = {}
    query, gallery = problem()
    spoilt = Embeddings(gallery.features.clone(), gallery.pids, gallery.camids, model="drawn")
    spoilt.features[-1, -1] = torch.inf
    for count, group in groups.items():
        if rank >= count:
            continue
        share = True if count == dist.get_world_size() else group
        model, clips = new_model(), []
        model.register_forward_pre_hook(lambda _, inputs, clips=clips: clips.append(len(inputs[0])))
        new = by_parts(folder / f"new {count}", model, share=share)
        before = sum(clips)
        half = by_parts(folder / f"half {count}", model, share=share, mapped=True)
        embedded = {"new": new, "half": half}
        answers[count] = {
            "features": {name: one.features[:] for name, one in embedded.items()},
            "names": {name: [track.name for track in one.tracks] for name, one in embedded.items()},
            "labels": {name: torch.stack([one.pids, one.camids]) for name, one in embedded.items()},
            "model": {name: one.model for name, one in embedded.items()},
            "clips": {"new": before, "half": sum(clips) - before},
            "scores": {
                metric: scores(query, Embeddings.load(folder / "gallery"), metric=metric, share=share)
                for metric in ("euclidean", "cosine")
            },
            "mixed": said(by_parts, folder / f"mixed {count}", model, share=share),
            "other model": said(by_parts, folder / f"other {count}", new_model(rank), share=share),
            "spoilt": said(nlreid.evaluate, query, spoilt, share=share),
            "other query": said(nlreid.evaluate, query.select([rank, 6]), gallery, share=share),
        }
    torch.save(answers, folder / f"{rank}.pt")


def killed(rank, folder):
    """The last process is killed while it embeds its second part."""
    model, calls = new_model(), []

    def kill(*_):
        calls.append(len(calls))
        if rank == dist.get_world_size() - 1 and (folder / "kept" / "parts" / f"{rank:05d}.safetensors").exists():
            os.kill(os.getpid(), signal.SIGKILL)

    model.register_forward_pre_hook(kill)
    by_parts(folder / "kept", model, share=True)


def full_disk(rank, folder):
    """The last process finds the disk full when it keeps its second part."""
    if rank == dist.get_world_size() - 1:
        kept, written = whole_file._write, []

        def write(path, parts, name):
            if Path(path).parent.name == "parts":
                written.append(path)
                if len(written) > 1:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            kept(path, parts, name)

        whole_file._write = write
    by_parts(folder / "kept", share=True)


def main() -> None:
    rank, count, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    store = f"file://{folder / 'store'}"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=count, timeout=timedelta(seconds=120))
    {"everything": everything, "killed": killed, "full_disk": full_disk}[sys.argv[4]](rank, folder)
    dist.destroy_process_group()


def start(count, folder, job):
    """Run a job in several processes, to the end; how each ended, and what it wrote to standard error."""
    command = [str(count), str(folder), job]
    started = [
        subprocess.Popen([sys.executable, __file__, str(rank), *command], stderr=subprocess.PIPE, text=True)
        for rank in range(count)
    ]
    try:
        return [(process.returncode, errors) for process in started for _, errors in [process.communicate(timeout=400)]]
    finally:
        for process in started:
            process.kill()


if __name__ == "__main__":
    main()
