"""The README of a published checkpoint: a model card with front matter for the Hub, facts, and a way to use it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nlreid.hub.table.config import ACTIONS, Config
from nlreid.hub.writing.model_card import front_matter
from nlreid.publish.card import ModelCard

PAPER = "https://arxiv.org/abs/1807.05073"
TAGS = ("video", "3d-convolution")


def readme(config: Config, card: ModelCard, place: str) -> str:
    """The text of `README.md`.

    Args:
        config: What the checkpoint is.
        card: What is said about it.
        place: What `create_model(…, pretrained=place)` finds it by.
    """
    head = front_matter(
        config.licence,
        [*TAGS, config.task.replace(" ", "-")],
        pipeline="video-classification" if config.task == ACTIONS else None,  # the Hub has no name for re-identification
        licence_name=card.licence_name,
        licence_link=card.licence_link,
    )
    sections = {
        "": card.summary,
        "## What it is": table(_facts(config)),
        "## How to use it": _usage(config, place),
        "## Training data": card.training_data,
        "## Scores": _scores(card),
        "## Where it comes from": table({key: str(value) for key, value in config.origin.items()}) if config.origin else "",
        "## Limits": card.limits,
    }
    body = "\n\n".join(f"{title}\n\n{text.strip()}".strip() for title, text in sections.items() if text.strip())
    return f"{head}\n# {config.name}\n\n{body}\n"


def table(facts: Mapping[str, str]) -> str:
    """A Markdown table of two columns."""
    return _table(("", ""), facts.items())


def _facts(config: Config) -> dict[str, str]:
    clip = config.clip
    height, width = clip["size"]
    classes = f", {config.num_classes} classes" if config.num_classes else ", no classifier"
    return {
        "architecture": f"`{config.architecture}` of nlreid {config.version} (method: {PAPER})",
        "trained for": config.task,
        "clips": f"{clip['frames']} frames, {clip['stride']} apart in the video, {height}x{width} (height x width), RGB",
        "mean, std": f"{', '.join(map(str, clip['mean']))}; {', '.join(map(str, clip['std']))} (scale 0..1)",
        "head": f"{config.head}{classes}",
        "licence": config.licence,
    }


def _usage(config: Config, place: str) -> str:
    keeps = f", head={config.head!r}, num_classes={config.num_classes}" if config.num_classes else ""
    what = "actions" if config.task == ACTIONS else "the people it was trained on"
    kept = f"\nWith `{keeps[2:]}` it also keeps the classifier of {what}.\n" if keeps else ""
    return f"""```python
import nlreid

model = nlreid.create_model({config.architecture!r}, pretrained={place!r}).eval()
frames_to_clip = model.clip_spec.transform()  # uint8 frames (t, h, w, 3) -> clip (3, t, h, w)
```
{kept}"""


def _scores(card: ModelCard) -> str:
    rows = [(score.dataset, score.metric, f"{score.value:g}", score.by) for score in card.scores]
    return _table(("data", "metric", "value", "by"), rows) if rows else ""


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
