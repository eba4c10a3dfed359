"""`nlreid weights`: the table of weights in a terminal, and fetching what is in it."""

from golden.published import golden

import nlreid
from nlreid.cli import main
from nlreid.hub.table.manifest import manifest


def test_every_checkpoint_is_listed(capsys):
    assert main(["weights"]) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(manifest())
    for line, entry in zip(lines, manifest().values(), strict=True):
        assert entry.status in line
        assert entry.licence.id in line


def test_patterns(capsys, refused):
    assert main(["weights", "*.gluoncv"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["r3d50_nl.gluoncv"]
    assert "did you mean 'r3d50_nl.gluoncv'?" in refused("weights", "r3d50_nl.gluon")


def test_fetching_gives_a_checksum_for_each(capsys, refused, tmp_path, monkeypatch):
    monkeypatch.setenv("NLREID_WEIGHTS", str(tmp_path))
    path = golden("torchvision__mc3_18").write(tmp_path / "mc3_18.torchvision.pth")
    assert main(["weights", "mc3_18.torchvision", "--fetch"]) == 0
    line = capsys.readouterr().out
    assert nlreid.create_model("mc3_18.torchvision", path).loaded.sha256 in line
    assert "get it from https://" in refused("weights", "r3d50_full.hara", "--fetch")


def test_those_that_fail_do_not_keep_the_others_from_being_fetched(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("NLREID_WEIGHTS", str(tmp_path))
    golden("torchvision__mc3_18").write(tmp_path / "mc3_18.torchvision.pth")
    (tmp_path / "r3d18.torchvision.pth").write_bytes(b"no weights")
    assert main(["weights", "*18.torchvision", "--fetch"]) == 1
    shown = capsys.readouterr()
    assert "mc3_18.torchvision" in shown.out
    assert "r3d18.torchvision.pth: neither a safetensors file" in shown.err
    assert shown.err.splitlines()[-1].endswith("2 of 3 could not be fetched: r3d18.torchvision, r2plus1d18.torchvision")
