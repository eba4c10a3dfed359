"""Mistakes that types find: `mypy --strict` would call each comment here unused if the library did not tell it the types."""

from __future__ import annotations

import torch

import nlreid


def mistakes(model: nlreid.VideoReID, people: nlreid.Embeddings) -> None:
    """Each line is wrong."""
    nlreid.create_model(50)  # type: ignore[arg-type]
    nlreid.create_model("r3d50", None, 625)  # type: ignore[call-arg]
    nlreid.list_models(["r3d*"])  # type: ignore[arg-type]
    nlreid.inflate(torch.zeros(1))  # type: ignore[arg-type]
    nlreid.inflate(model, init="median")  # type: ignore[arg-type]
    nlreid.NonLocalBlock("512")  # type: ignore[arg-type]
    nlreid.NonLocalBlock(512, pairwise=3)  # type: ignore[arg-type]
    nlreid.BatchHardTripletLoss(margin="hard")  # type: ignore[arg-type]
    nlreid.VideoReIDLoss(metric="manhattan")  # type: ignore[arg-type]
    nlreid.Tracklet("1", frames=[1, 2], pid=1)  # type: ignore[arg-type]
    nlreid.Tracklet("1", frames=[], pid="1")  # type: ignore[arg-type]
    nlreid.embed(people, [])  # type: ignore[arg-type]
    nlreid.embed(model, people)  # type: ignore[arg-type]
    nlreid.evaluate(people, people.features)  # type: ignore[arg-type]
    nlreid.rerank(people, people)  # type: ignore[arg-type]
    nlreid.optimize_for_inference(people)  # type: ignore[type-var]
    nlreid.optimize_for_inference(model, dtype="bfloat16")  # type: ignore[arg-type]
    nlreid.save_pretrained(model, "kept")  # type: ignore[call-arg]
    print(people.camera)  # type: ignore[attr-defined]
    model.clip_spec.size = (1, 1)  # type: ignore[misc]
    out = model(torch.zeros(1))
    model(3)  # type: ignore[arg-type]
    out.logits.argmax()  # type: ignore[union-attr]
    print(out.probabilities)  # type: ignore[attr-defined]
    nlreid.VideoReIDLoss()(out.embedding, torch.zeros(1))  # type: ignore[arg-type]
