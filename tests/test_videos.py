"""Videos written by FFmpeg: every frame by its number, whatever the order; what is no video is told."""

from fractions import Fraction

import av
import numpy as np
import pytest
from downloads import write_video

from hemlets_lib.data import videos
from hemlets_lib.data.videos import Video, read_frames, read_timed_frames

PATCH_PX = 16  # a macroblock
STEP = 4  # of brightness, from one frame to the next
COARSE = 60  # of brightness, each time the fine patch begins anew
COUNT = 240
MS = Fraction(1, 1000)
UNEVEN_MS = np.cumsum([0] + [133 if number % 5 == 3 else 33 for number in range(COUNT - 1)]).tolist()
SHORT = {"g": "40"}  # frames from key frame to key frame
WITH_B = {"g": "40", "bf": "2"}
OPEN = {"g": "40", "bf": "3", "x264-params": "open-gop=1:scenecut=0"}
# name: (codec, options, time stamps in ms where not 50 a second, whether numbers follow from the time stamps)
MADE = {
    "h264.mp4": ("libx264", WITH_B, None, True),
    "open groups.mp4": ("libx264", OPEN, None, True),
    "h264.mkv": ("libx264", WITH_B, None, True),
    "late.mkv": ("libx264", WITH_B, [5000 + 20 * number for number in range(COUNT)], True),
    "uneven.mkv": ("libx264", WITH_B, UNEVEN_MS, False),
    "uneven.mp4": ("libx264", WITH_B, UNEVEN_MS, False),
    "mpeg4.avi": ("mpeg4", SHORT, None, True),
    "mpeg4 with B.avi": ("mpeg4", WITH_B, None, False),
    "h264 with B.avi": ("libx264", WITH_B, None, False),
    "still.avi": ("mjpeg", {}, None, True),
}


def numbered(count, size=(64, 48)):
    """Frames with their number as the brightness of two patches at the top left; the rest moves."""
    width, height = size
    ramp = np.linspace(0, 255, width, dtype=np.uint8)
    frames = []
    for number in range(count):
        image = np.repeat(np.roll(ramp, 2 * number)[None, :, None], height, 0).repeat(3, 2)
        image[:PATCH_PX, :PATCH_PX] = STEP * number % 256
        image[:PATCH_PX, PATCH_PX : 2 * PATCH_PX] = STEP * number // 256 * COARSE
        frames.append(image)
    return frames


def number_of(image):
    """The number written into a frame; fails where it is not told to less than half a frame."""
    fine = image[4 : PATCH_PX - 4, 4 : PATCH_PX - 4].mean()
    coarse = round(image[4 : PATCH_PX - 4, PATCH_PX + 4 : 2 * PATCH_PX - 4].mean() / COARSE)
    number = round(fine / STEP)
    assert abs(fine - STEP * number) < STEP / 2
    return number + coarse * (256 // STEP)


def write_numbered(path, codec, options, stamps_ms=None):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=50, options=options)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 4_000_000
        if stamps_ms:
            stream.codec_context.time_base = MS
        for number, image in enumerate(numbered(COUNT)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if stamps_ms:
                frame.pts, frame.time_base = stamps_ms[number], MS
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


@pytest.fixture(scope="module", params=MADE)
def video(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("videos with spaces") / request.param
    write_numbered(path, *MADE[request.param][:3])
    return path


@pytest.fixture
def sought(monkeypatch):
    """Makes these short videos worth a seek; the list grows with each one that is used."""
    uses, chain = [], videos._chain
    monkeypatch.setattr(videos, "_WORTH_A_SEEK", 45)
    monkeypatch.setattr(videos, "_chain", lambda *frames: uses.append(1) or chain(*frames))
    return uses


@pytest.mark.parametrize(
    ("name", "rate"),
    [("h264.mp4", 50), ("mpeg4.avi", 50), ("still.avi", 50), ("uneven.mp4", COUNT / (UNEVEN_MS[-1] / 1000))],
)
def test_what_the_container_says(name, rate, tmp_path):
    write_numbered(tmp_path / name, *MADE[name][:3])
    with Video(tmp_path / name) as opened:
        assert (opened.width, opened.height, opened.num_frames) == (64, 48, COUNT)
        assert opened.frames_per_second == pytest.approx(rate, rel=0.02)


def test_every_frame_forwards(video):
    assert [number_of(image) for _, image in read_frames(video)] == list(range(COUNT))


@pytest.mark.parametrize(
    "order",
    [
        (0, 1, 2, 50),
        (120, 119, 0, 239),
        (239, 3, 200, 201),
        (77, 78, 79, 80, 81, 82, 30),
        (160, 161, 100, 159),
    ],
)
def test_frames_by_number_in_any_order(video, order, sought):
    with Video(video) as opened:
        for index in order:
            image = opened.frame(index)
            assert image.shape == (48, 64, 3) and image.dtype == np.uint8
            assert number_of(image) == index


def test_the_first_frame_asked_for_may_be_any(video, sought):
    for index in range(46, COUNT, 13):
        with Video(video) as opened:
            assert number_of(opened.frame(index)) == index
    assert bool(sought) == MADE[video.name][3]  # no seek where numbers do not follow from time stamps


def test_moments(video, sought):
    """Those in the file where it has some, whatever was read before."""
    stamps_ms = MADE[video.name][2] or [20 * number for number in range(COUNT)]
    with Video(video) as opened:
        for index in (200, 3, 4, 0, 77, 239):
            opened.frame(index)
            assert opened.time_s == pytest.approx((stamps_ms[index] - stamps_ms[0]) / 1000, abs=0.0011)
    found = [(index, time_s) for index, time_s, _ in read_timed_frames(video, step=60, start=5)]
    assert [index for index, _ in found] == [5, 65, 125, 185]
    for index, time_s in found:
        assert time_s == pytest.approx((stamps_ms[index] - stamps_ms[0]) / 1000, abs=0.0011)


def test_time_stamps_that_turn_out_wrong_are_not_believed(tmp_path, sought, monkeypatch):
    """A packet fewer than frames, far behind the first ones: found out on the way, and counted instead."""
    path = tmp_path / "video.mp4"
    write_numbered(path, "libx264", WITH_B)
    read = Video._read_stamps

    def one_too_few(self):
        stamps = read(self)
        del stamps.frames[150]
        return stamps

    monkeypatch.setattr(Video, "_read_stamps", one_too_few)
    with Video(path) as opened:
        assert [number_of(opened.frame(index)) for index in (155, 60, 239)] == [155, 60, 239]
    assert len(sought) == 1


def test_every_tenth_frame(video):
    found = list(read_frames(video, step=10, start=5))
    assert [index for index, _ in found] == list(range(5, 240, 10))
    for index, image in found:
        assert number_of(image) == index
    assert [index for index, _ in read_frames(video, step=100, stop=101)] == [0, 100]


def test_beyond_the_end(video):
    with Video(video) as opened:
        with pytest.raises(IndexError, match=r"expected frame 240, got a video that ends after 240 frames"):
            opened.frame(240)
        assert number_of(opened.frame(7)) == 7  # and it goes on
    with pytest.raises(IndexError, match="`index` must be 0 or more, got -1"):
        opened.frame(-1)


def test_a_video_on_its_side_is_turned(tmp_path):
    """A telephone stores rows as the sensor reads them and says by how much to turn."""
    upright = np.zeros((64, 48, 3), np.uint8)
    upright[:20, :20] = (250, 30, 30)  # red at the top left
    stored = np.rot90(upright)  # turned anticlockwise; players turn it back clockwise
    path = tmp_path / "phone.mp4"
    write_video(path, [stored] * 3, fps=25)
    turned = tmp_path / "turned.mp4"
    with av.open(str(path)) as source, av.open(str(turned), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.metadata["rotate"] = "90"
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    with Video(turned) as opened:
        rotation = next(opened._frames).rotation
        image = Video(turned).frame(0)
    if rotation == 0:  # this FFmpeg writes no display matrix from the old metadata
        _write_matrix(turned)
        image = Video(turned).frame(0)
    assert image.shape == upright.shape
    assert image[5, 5, 0] > 180 and image[5, 5, 1] < 90


def _write_matrix(path):
    """Puts 'turn 90° clockwise' into the track header's matrix (ISO 14496-12, 16.16 fixed point)."""
    content = bytearray(path.read_bytes())
    at = (
        content.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    )  # version and flags, times and duration, reserved, layer…
    one, two = (0x00010000).to_bytes(4, "big"), (0xFFFF0000).to_bytes(4, "big")
    nothing, unit = bytes(4), (0x40000000).to_bytes(4, "big")
    assert bytes(content[at : at + 4]) == one, "not the identity matrix"
    content[at : at + 36] = b"".join([nothing, one, nothing, two, nothing, nothing, nothing, nothing, unit])
    path.write_bytes(content)


def test_files_that_are_no_videos(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.mp4: expected a video file, found none"):
        Video(tmp_path / "none.mp4")
    for name, content in (("empty.mp4", b""), ("text.avi", b"not a video at all " * 40)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name}: expected a video, got a file that cannot be opened"):
            Video(tmp_path / name)


def test_a_codec_that_nobody_knows(tmp_path):
    path = tmp_path / "video.avi"
    write_video(path, numbered(3), fps=25, codec="mpeg4")
    content = path.read_bytes()
    assert content.count(b"FMP4") == 2  # in the stream's header and its format
    path.write_bytes(content.replace(b"FMP4", b"Q?!7"))
    with pytest.raises(ValueError, match=r"video.avi: expected a video, .* \(no decoder knows its codec\)"):
        Video(path)


def test_a_playlist_reaches_no_other_file(tmp_path):
    """FFmpeg's playlists name other files; a video from a stranger must not open them."""
    write_video(tmp_path / "secret.mp4", numbered(3), fps=25)
    for name, content in (
        ("list.mp4", "ffconcat version 1.0\nfile secret.mp4\n"),
        ("list.avi", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(ValueError, match=rf"{name}: expected a video"):
            Video(tmp_path / name)


def test_a_truncated_video_gives_what_is_there(tmp_path):
    path = tmp_path / "cut.avi"
    write_video(path, numbered(60), fps=25, codec="mjpeg", options={})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with Video(path) as opened:
        assert number_of(opened.frame(3)) == 3
        with pytest.raises((IndexError, ValueError), match=r"cut\.avi"):
            opened.frame(59)


def test_steps_that_make_no_sense(tmp_path):
    with pytest.raises(ValueError, match="`step` must be at least 1"):
        next(read_frames(tmp_path / "x.mp4", step=0))
