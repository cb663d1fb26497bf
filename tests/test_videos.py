"""Videos written by FFmpeg: every frame by its number, whatever the order; what is no video is told."""

import av
import numpy as np
import pytest
from downloads import write_video

from hemlets_lib.data.videos import Video, read_frames

NUMBERED_PX = 16


def numbered(count, size=(64, 48)):
    """Frames whose top left corner is as bright as their number; the rest moves."""
    width, height = size
    ramp = np.linspace(0, 255, width, dtype=np.uint8)
    frames = []
    for number in range(count):
        image = np.repeat(np.roll(ramp, 2 * number)[None, :, None], height, 0).repeat(3, 2)
        image[:NUMBERED_PX, :NUMBERED_PX] = number % 256
        frames.append(image)
    return frames


def number_of(image):
    return image[4 : NUMBERED_PX - 4, 4 : NUMBERED_PX - 4].mean()


@pytest.fixture(
    scope="module", params=[("h264.mp4", "libx264"), ("mpeg4.avi", "mpeg4"), ("still.avi", "mjpeg")]
)
def video(request, tmp_path_factory):
    name, codec = request.param
    path = tmp_path_factory.mktemp("videos with spaces") / name
    options = {"g": "40", "bf": "2"} if codec == "libx264" else {"g": "40"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=50, options=options)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 2_000_000
        for image in numbered(240):
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def test_what_the_container_says(video):
    with Video(video) as opened:
        assert (opened.width, opened.height, opened.num_frames) == (64, 48, 240)
        assert opened.frames_per_second == pytest.approx(50)


@pytest.mark.parametrize("order", [(0, 1, 2, 50), (120, 119, 0, 239), (239, 3, 200, 201)])
def test_frames_by_number_in_any_order(video, order, monkeypatch):
    monkeypatch.setattr("hemlets_lib.data.videos._WORTH_A_SEEK", 45)  # so that this short one is sought in
    with Video(video) as opened:
        for index in order:
            image = opened.frame(index)
            assert image.shape == (48, 64, 3) and image.dtype == np.uint8
            assert number_of(image) == pytest.approx(index, abs=2.5)


def test_every_tenth_frame(video):
    found = list(read_frames(video, step=10, start=5))
    assert [index for index, _ in found] == list(range(5, 240, 10))
    for index, image in found:
        assert number_of(image) == pytest.approx(index, abs=2.5)
    assert [index for index, _ in read_frames(video, step=100, stop=101)] == [0, 100]


def test_beyond_the_end(video):
    with Video(video) as opened:
        with pytest.raises(IndexError, match=r"expected frame 240, got a video that ends after 240 frames"):
            opened.frame(240)
        assert number_of(opened.frame(7)) == pytest.approx(7, abs=2.5)  # and it goes on
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
        assert number_of(opened.frame(3)) == pytest.approx(3, abs=2.5)
        with pytest.raises((IndexError, ValueError), match=r"cut\.avi"):
            opened.frame(59)


def test_steps_that_make_no_sense(tmp_path):
    with pytest.raises(ValueError, match="`step` must be at least 1"):
        next(read_frames(tmp_path / "x.mp4", step=0))
