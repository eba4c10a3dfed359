"""`to_program`, and `torch.export` as its users call it."""

import io

import pytest
import torch
from trained import answers, clips, new_model

import nlreid
from nlreid.errors import ExportError, InputError
from nlreid.export import to_program


def saved_and_loaded(program):
    file = io.BytesIO()
    torch.export.save(program, file)
    return torch.export.load(io.BytesIO(file.getvalue()))


@pytest.mark.parametrize("head", ["linear", "bottleneck", "bnneck"])
def test_a_program_answers_as_its_model_after_it_was_saved(head):
    model = new_model(num_classes=4, head=head)
    program = saved_and_loaded(to_program(model)).module()
    for batch, frames in ((1, 2), (1, 5), (3, 4)):
        clip = clips(model, batch, frames)
        for ours, theirs in zip(program(clip), answers(model, clip), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_its_tensors_have_the_names_of_the_models():
    model = new_model("test_c2d", num_classes=4)
    assert set(to_program(model).state_dict) == set(model.state_dict())


def test_a_folded_model_in_training_mode_is_left_as_it_is():
    model = nlreid.optimize_for_inference(new_model("test_r3d")).train()
    program = to_program(model)
    assert model.training
    assert "batch_norm" not in str(program.graph)
    assert program.module()(clips(model, 1, 2))[0].shape == (1, model.embedding_dim)


def test_clips_that_are_too_short_are_refused():
    program = to_program(new_model("test_r3d")).module()
    with pytest.raises((RuntimeError, AssertionError)):
        program(torch.zeros(1, 3, 1, 64, 32))


def test_what_torch_cannot_trace_is_told():
    class Asks(torch.nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    model = new_model("test_c2d")
    model.backbone.add_module("asks", Asks())
    with pytest.raises(ExportError, match=r"torch.export cannot export 'test_c2d' \("):
        to_program(model)


def test_what_is_no_model_is_refused():
    with pytest.raises(InputError, match="is a VideoReID, as create_model makes it; got str"):
        to_program("test_c2d")


def test_plain_torch_export_gives_the_models_own_answer_and_can_be_saved():
    model = new_model(num_classes=4).eval()
    frames = torch.export.Dim("frames", min=4)
    with torch.no_grad():
        program = torch.export.export(model, (clips(model, 2, 6),), dynamic_shapes=({2: torch.export.Dim.AUTO},))
        fixed = torch.export.export(new_model("test_c2d").eval(), (clips(model, 2, 6),), dynamic_shapes=({2: frames},))
    loaded = saved_and_loaded(program).module()
    for length in (4, 7):
        clip = clips(model, 2, length)
        out = loaded(clip)
        assert isinstance(out, nlreid.ReIDOutput)
        torch.testing.assert_close(out.embedding, answers(model, clip).embedding, atol=1e-5, rtol=1e-5)
    assert fixed.module()(clips(model, 2, 9)).logits is None
