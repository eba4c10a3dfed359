from __future__ import annotations

import re
import struct
import sys
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from nlreid.data import video as video_module
from nlreid.data.images import image_files, read_image
from nlreid.data.video import read_frames
from nlreid.errors import DataError, MissingExtraError

# container, codec, options of the muxer; a fragmented MP4 and a live Matroska file have no count and no duration
HEALTHY = [
    ("a.avi", "mpeg4", {}),
    ("a.mp4", "mpeg4", {}),
    ("a.mp4", "mpeg4", {"movflags": "faststart"}),
    ("a.mp4", "mpeg4", {"movflags": "frag_keyframe+empty_moov"}),
    ("a.mov", "mpeg4", {}),
    ("a.mkv", "mpeg4", {}),
    ("a.mkv", "mpeg4", {"live": "1"}),
    ("a.ts", "mpeg2video", {}),
]


def packets(path: Path) -> list[tuple[int, int]]:
    """Where each packet of the pictures begins and ends in the file."""
    with av.open(str(path)) as container:
        return sorted((packet.pos, packet.pos + packet.size) for packet in container.demux(video=0) if packet.size)


def add_sound(path: Path, seconds: float) -> None:
    """Write a video of one second whose sound goes on for longer."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for _ in range(10):
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        container.mux(pictures.encode())
        samples = av.AudioFrame.from_ndarray(np.zeros((1, int(8000 * seconds)), np.int16), format="s16", layout="mono")
        samples.sample_rate = 8000
        container.mux(sound.encode(samples))
        container.mux(sound.encode())


@pytest.mark.parametrize(("name", "codec", "options"), HEALTHY)
def test_every_frame_of_a_healthy_file_comes_in_order(synthetic, name, codec, options):
    frames = list(read_frames(synthetic.video(name, codec=codec, **options)))
    assert [number for number, _ in frames] == list(range(1, 31))
    assert [synthetic.number(picture) for _, picture in frames] == list(range(1, 31))
    assert all(picture.dtype == np.uint8 and picture.shape == (48, 64, 3) for _, picture in frames)


def test_colours_are_rgb(tmp_path):
    path = tmp_path / "red.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        red = np.zeros((48, 64, 3), np.uint8)
        red[..., 0] = 200
        container.mux(stream.encode(av.VideoFrame.from_ndarray(red, format="rgb24")))
        container.mux(stream.encode())
    [(_, picture)] = read_frames(path)
    np.testing.assert_array_equal(picture, red)


@pytest.mark.parametrize(
    ("name", "options", "promise"),
    [
        ("a.avi", {}, r"promises 30 frames, 3\.00 s"),
        ("a.mp4", {"movflags": "faststart"}, r"promises 30 frames, 3\.00 s"),
        ("a.mkv", {}, r"promises 3\.00 s"),
    ],
)
def test_a_file_that_was_cut_off_delivers_its_whole_frames_and_names_the_last(synthetic, name, options, promise):
    path = synthetic.video(name, **options)
    begin, end = packets(path)[16]
    path.write_bytes(path.read_bytes()[: (begin + end) // 2])
    came = []
    with pytest.raises(DataError, match=promise) as error:
        came.extend(synthetic.number(picture) for _, picture in read_frames(path))
    assert came == list(range(1, 17))
    assert str(error.value).startswith(f"{path}: decoding stopped after frame 16: ")


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
def test_a_cut_exactly_between_two_frames_is_noticed(synthetic, name):
    path = synthetic.video(name, **({"movflags": "faststart"} if name == "a.mp4" else {}))
    path.write_bytes(path.read_bytes()[: packets(path)[20][0]])
    came = []
    with pytest.raises(DataError, match=r"after frame 20: it ends early: 2\.00 s came, .* 30 frames, 3\.00 s"):
        came.extend(number for number, _ in read_frames(path))
    assert came == list(range(1, 21))


def test_a_cut_index_loses_no_frame(synthetic):
    path = synthetic.video("a.avi")
    last = packets(path)[-1][1] + 8 + 1  # the chunk's own header, and padding to an even length
    assert last < path.stat().st_size - 100
    path.write_bytes(path.read_bytes()[:last])
    assert len(list(read_frames(path))) == 30


def test_an_avi_header_that_counts_empty_places_is_no_damage(synthetic):
    path = synthetic.video("a.avi")
    data = bytearray(path.read_bytes())
    length = data.index(b"strh") + 8 + 32  # dwLength of the AVISTREAMHEADER
    assert struct.unpack_from("<I", data, length) == (30,)
    struct.pack_into("<I", data, length, 90)
    path.write_bytes(data)
    assert len(list(read_frames(path))) == 30


def test_frames_that_an_edit_list_hides_are_not_missed(synthetic, tmp_path):
    trimmed = tmp_path / "trimmed.mp4"
    with (
        av.open(str(synthetic.video("a.mp4"))) as old,
        av.open(str(trimmed), "w", options={"avoid_negative_ts": "disabled"}) as new,
    ):
        source = old.streams.video[0]
        target = new.add_stream_from_template(source)
        for packet in old.demux(source):
            if packet.size:
                shift = round(Fraction(13, 10) / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, target
                new.mux(packet)
    with av.open(str(trimmed)) as container:
        assert container.streams.video[0].frames == 30
    assert [synthetic.number(picture) for _, picture in read_frames(trimmed)] == list(range(14, 31))


def test_sound_that_outlasts_the_pictures_is_no_damage(tmp_path):
    add_sound(tmp_path / "long.mkv", seconds=5)
    assert len(list(read_frames(tmp_path / "long.mkv"))) == 10


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])  # from where on: FFmpeg gives up on a frame, or fills it in
def test_damage_in_the_middle_names_the_frame(synthetic, share):
    path = synthetic.video("a.mp4")
    data = bytearray(path.read_bytes())
    begin, end = packets(path)[15]
    begin += round(share * (end - begin))
    data[begin:end] = bytes(end - begin)
    path.write_bytes(data)
    came = []
    with pytest.raises(DataError, match="decoding stopped after frame 15"):
        came.extend(synthetic.number(picture) for _, picture in read_frames(path))
    assert came == list(range(1, 16))


def test_a_phone_held_upright_gives_upright_pictures(synthetic):
    path = synthetic.video("a.mp4", frames=2)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 44  # ISO/IEC 14496-12, 8.3.2: version 0 of the track header
    quarter_turn_clockwise = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    data[matrix : matrix + 36] = struct.pack(">9i", *quarter_turn_clockwise)
    path.write_bytes(data)
    for _, picture in read_frames(path):
        assert picture.shape == (64, 48, 3)
        assert picture.flags.c_contiguous
        assert picture[:12, -12:].mean() > 240  # the square of the top-left corner is now in the top-right one
        assert picture[:12, :12].mean() < 30


@pytest.mark.parametrize(("name", "content", "message"), [
    ("missing.mp4", None, "no such file"),
    ("junk.mp4", b"not a video" * 50, "not a video that FFmpeg can read"),
    ("empty.avi", b"", "not a video that FFmpeg can read"),
    ("tracks.txt", b"1,1,0,0,10,10\n" * 50, "holds no video stream"),
])  # fmt: skip
def test_what_is_no_video_is_refused(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        list(read_frames(path))
    assert str(path) in str(error.value)


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(DataError, match="no video stream"):
        list(read_frames(path))


def test_closing_the_generator_closes_the_container(synthetic, monkeypatch):
    opened = []

    def remember(_module, path):
        opened.append(av.open(str(path)))
        return opened[-1]

    monkeypatch.setattr(video_module, "_open", remember)
    path = synthetic.video("a.mp4")
    with closing(read_frames(path)) as frames:
        next(frames)
        assert len(opened[0].streams) == 1
    list(read_frames(path))
    assert [len(container.streams) for container in opened] == [0, 0]  # PyAV forgets the streams of a closed file


def test_without_pyav_the_extra_is_named(synthetic, monkeypatch):
    path = synthetic.video("a.mp4", frames=1)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"nlreid\[video\]"):
        list(read_frames(path))


def test_a_folder_of_pictures_is_a_video_in_natural_order(synthetic):
    folder = synthetic.pictures(12)
    (folder / "notes.txt").write_text("no picture")
    (folder / ".10.png").write_bytes(b"hidden")
    frames = list(read_frames(folder))
    assert [number for number, _ in frames] == list(range(1, 13))
    for number, picture in frames:
        np.testing.assert_array_equal(picture, synthetic.picture(number))
    assert [path.name for path in image_files(folder)][:3] == ["1.png", "2.png", "3.png"]


def test_a_folder_without_pictures_or_with_a_broken_one_is_refused(synthetic, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no image file in this folder"):
        list(read_frames(tmp_path / "empty"))
    broken = synthetic.pictures(3) / "2.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(DataError, match=re.escape(str(broken))):
        list(read_frames(broken.parent))


def test_a_picture_file_is_turned_upright(tmp_path):
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:, :5] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise by a quarter
    Image.fromarray(pixels).save(tmp_path / "phone.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "phone.png"), np.rot90(pixels, -1))
