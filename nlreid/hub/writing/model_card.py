"""The front matter of a model card, as the Hub reads it."""

from __future__ import annotations

from collections.abc import Sequence

from huggingface_hub import ModelCardData

from nlreid.hub.table.licences import HUB_LICENCES


def front_matter(
    licence: str, tags: Sequence[str], *, pipeline: str | None = None, licence_name: str = "", licence_link: str = ""
) -> str:
    """The YAML at the top of a repository's `README.md`.

    Args:
        licence: SPDX identifier; one that the Hub does not know becomes its `other`.
        tags: What the Hub finds the model by.
        pipeline: The Hub's name of the task, where it has one that fits.
        licence_name: Name of a licence that the Hub does not know.
        licence_link: Where the text of that one is.
    """
    known = HUB_LICENCES.get(licence)
    data = ModelCardData(
        library_name="nlreid",
        license=known or "other",
        license_name=None if known else licence_name,
        license_link=None if known else licence_link,
        pipeline_tag=pipeline,
        tags=list(tags),
    )
    text: str = data.to_yaml(line_break="\n")
    return f"---\n{text.strip()}\n---\n"
