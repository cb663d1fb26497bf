"""Pictures: what files may hold, and that a crop shows things where the affine map says they are."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hemlets_lib.data import images
from hemlets_lib.data.images import FILL_RGB, crop_image, decode_image, encode_jpeg, read_image, read_size
from hemlets_lib.geometry import apply_affine, crop_affine


def dot(height: int, width: int, x: float, y: float, sigma: float) -> np.ndarray:
    """A bright Gaussian dot on black."""
    rows, columns = np.mgrid[:height, :width]
    bump = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return np.repeat(np.round(255 * bump)[..., None], 3, axis=2).astype(np.uint8)


def centroid(image: np.ndarray) -> np.ndarray:
    weight = image[..., 0].astype(float)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()


def affine_of(centre, side, size, **options) -> torch.Tensor:
    return crop_affine(torch.tensor(centre, dtype=torch.float64), torch.tensor(side), size, **options)


@pytest.mark.parametrize(
    "options", [{}, {"rotation_deg": 27.0}, {"flip": True}, {"rotation_deg": -140.0, "flip": True}]
)
@pytest.mark.parametrize(("side", "size"), [(150.0, 48), (61.7, 48), (20.5, 48)])
def test_a_dot_lands_where_the_affine_says(options, side, size):
    x, y = 83.3, 61.8
    picture = dot(140, 170, x, y, sigma=max(2.5, 1.2 * side / size))
    affine = affine_of([82.1, 63.4], side, size, **options)
    if side < 30:  # the dot does not fit: make it smaller
        picture = dot(140, 170, x, y, sigma=1.8)
    crop = crop_image(picture, affine.numpy(), size, fill_rgb=(0, 0, 0))
    expected = apply_affine(affine, torch.tensor([[x, y]], dtype=torch.float64))[0].numpy()
    assert crop.shape == (size, size, 3)
    assert np.abs(centroid(crop) - expected).max() < 0.05


def test_the_identity_crop_is_the_picture():
    picture = np.random.default_rng(1).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    np.testing.assert_array_equal(crop_image(picture, affine_of([11.5, 11.5], 24.0, 24).numpy(), 24), picture)


def test_a_quarter_turn_only_moves_pixels():
    picture = np.random.default_rng(2).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    turned = crop_image(picture, affine_of([11.5, 11.5], 24.0, 24, rotation_deg=90.0).numpy(), 24)
    assert np.abs(turned.astype(int) - np.rot90(picture, -1)).max() <= 1  # clockwise on the screen


def test_shrinking_does_not_alias():
    """Lines one pixel wide become an even grey, not a moiré."""
    stripes = np.zeros((160, 160, 3), np.uint8)
    stripes[:, ::2] = 255
    for rotation_deg in (0.0, 33.0):
        crop = crop_image(stripes, affine_of([79.5, 79.5], 100.0, 20, rotation_deg=rotation_deg).numpy(), 20)
        assert crop.astype(float).std() < 12


@pytest.mark.parametrize("rotation_deg", [0.0, 1e-3])
def test_outside_the_picture_is_the_mean_colour(rotation_deg):
    picture = np.full((20, 30, 3), 255, np.uint8)
    crop = crop_image(picture, affine_of([14.5, 9.5], 60.0, 60, rotation_deg=rotation_deg).numpy(), 60)
    assert tuple(crop[2, 2]) == FILL_RGB and tuple(crop[57, 30]) == FILL_RGB
    assert tuple(crop[30, 30]) == (255, 255, 255)
    assert (crop[:, 30, 0] == 255).sum() == pytest.approx(20, abs=1)


def test_a_crop_beside_the_picture_is_refused():
    with pytest.raises(ValueError, match=r"lies outside the picture of 30×20 px. Check the person's box"):
        crop_image(np.zeros((20, 30, 3), np.uint8), affine_of([100.0, 10.0], 20.0, 16).numpy(), 16)


@pytest.mark.parametrize(("side", "size"), [(100.0, 40), (333.3, 64), (590.0, 17)])
def test_a_wide_box_costs_no_more_than_the_picture(monkeypatch, side, size):
    """Only what the picture reaches is resampled, and it is what resampling the whole box gives."""
    picture = np.random.default_rng(4).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    box = (np.array([14.5, 9.5]) - side / 2, np.array([14.5, 9.5]) + side / 2)
    pad = 4 * int(side)
    whole = np.full((20 + 2 * pad, 30 + 2 * pad, 3), FILL_RGB, np.uint8)
    whole[pad : pad + 20, pad : pad + 30] = picture
    edges = (*(box[0] + 0.5 + pad), *(box[1] + 0.5 + pad))
    expected = np.asarray(Image.fromarray(whole).resize((size, size), Image.Resampling.BICUBIC, box=edges))
    sizes, fromarray = [], Image.fromarray
    monkeypatch.setattr(Image, "fromarray", lambda array: sizes.append(array.shape) or fromarray(array))
    crop = crop_image(picture, affine_of([14.5, 9.5], side, size).numpy(), size)
    assert np.abs(crop.astype(int) - expected).max() <= 1
    assert max(sizes[0]) <= 30 + 16 * int(np.ceil(side / size))


@pytest.mark.parametrize("turned", [False, True])
def test_a_thin_picture_is_not_padded_to_a_square(monkeypatch, turned):
    """3000 × 10 pixels in a square of 3000: what is resampled stays thin, and shows the same."""
    strip = np.random.default_rng(5).integers(0, 256, (10, 3000, 3), dtype=np.uint8)
    whole = np.full((3400, 3400, 3), FILL_RGB, np.uint8)  # the square and what the filter sees around it
    whole[1695:1705, 200:3200] = strip
    edges = (200.0, 200.0, 3200.0, 3200.0)
    expected = np.asarray(Image.fromarray(whole).resize((60, 60), Image.Resampling.BICUBIC, box=edges))
    middle = [1499.5, 4.5]
    if turned:
        strip, expected, middle = strip.transpose(1, 0, 2).copy(), expected.transpose(1, 0, 2), middle[::-1]
    sizes, fromarray = [], Image.fromarray
    monkeypatch.setattr(Image, "fromarray", lambda array: sizes.append(array.shape) or fromarray(array))
    crop = crop_image(strip, affine_of(middle, 3000.0, 60).numpy(), 60)
    assert np.abs(crop.astype(int) - expected).max() <= 1
    assert min(sizes[0][:2]) < 1000


@pytest.mark.parametrize("rotation_deg", [0.0, 30.0])
def test_an_absurd_box_is_refused(rotation_deg):
    affine = affine_of([14.5, 9.5], 1e5, 64, rotation_deg=rotation_deg).numpy()
    with pytest.raises(
        ValueError, match=r"at most 20 times as wide as the picture of 30×20 px, got .* 100000"
    ):
        crop_image(np.zeros((20, 30, 3), np.uint8), affine, 64)


def test_a_float_picture_is_refused():
    with pytest.raises(ValueError, match=r"must be \(H, W, 3\) uint8 RGB"):
        crop_image(np.zeros((20, 30, 3)), affine_of([10.0, 10.0], 20.0, 16).numpy(), 16)


def written(tmp_path, picture: Image.Image, name: str, **options):
    picture.save(tmp_path / name, **options)
    return tmp_path / name


def test_grey_palette_and_16_bit_pictures_become_rgb(tmp_path):
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
    expected = np.repeat(grey[..., None], 3, axis=2)
    for name, picture in {
        "grey.png": Image.fromarray(grey),
        "palette.png": Image.fromarray(grey).convert("P"),
        "deep.png": Image.fromarray(grey.astype(np.uint16) << 8),
    }.items():
        np.testing.assert_array_equal(read_image(written(tmp_path, picture, name)), expected, err_msg=name)


def deep_png(levels: np.ndarray, colour_type: int) -> bytes:
    """A PNG of 16 bits a channel, written by hand: Pillow writes grey ones only."""
    height, width = levels.shape[:2]

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize(
    ("colour_type", "channels", "alpha"), [(0, 1, False), (2, 3, False), (4, 1, True), (6, 3, True)]
)
def test_16_bits_a_channel_lose_their_lower_byte(colour_type, channels, alpha):
    levels = np.random.default_rng(5).integers(0, 2**16, (3, 5, channels), dtype=np.uint16)
    stored = np.concatenate([levels, np.full((3, 5, 1), 65535, np.uint16)], -1) if alpha else levels
    found = decode_image(deep_png(stored, colour_type))
    np.testing.assert_array_equal(found, np.broadcast_to(levels >> 8, (3, 5, 3)))


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_32_bit_levels_are_stretched(tmp_path, kind):
    """Golden: -40 … 62 to 0 … 255 is 2.5 grey levels a step; NaN becomes black."""
    levels = np.array([[-40, 22, 62], [62, -40, 22]], kind)
    if kind is np.float32:
        levels[1, 0] = np.nan
    found = read_image(written(tmp_path, Image.fromarray(levels), "deep.tif"))[..., 1]
    assert found.tolist() == [[0, 155, 255], [0 if kind is np.float32 else 255, 0, 155]]
    flat = written(tmp_path, Image.fromarray(np.full((2, 2), 7, kind)), "flat.tif")
    assert not read_image(flat).any()


def test_32_bit_levels_are_stretched_stripe_by_stripe(tmp_path, monkeypatch):
    """The lowest and the highest level lie in different stripes, and one holds no level at all."""
    levels = np.array([[0, 51], [np.nan, np.nan], [102, 255], [153, 204], [25.5, 0]], np.float32) * 3
    path = written(tmp_path, Image.fromarray(levels), "deep.tif")
    whole = read_image(path)
    monkeypatch.setattr(images, "_STRIPE_PIXELS", 2)
    assert np.array_equal(read_image(path), whole)
    assert whole[..., 0].tolist() == [[0, 51], [0, 0], [102, 255], [153, 204], [26, 0]]
    monkeypatch.setattr(images, "_STRIPE_PIXELS", 4)  # the last one is smaller
    assert np.array_equal(read_image(path), whole)


def test_cmyk_becomes_rgb(tmp_path):
    ink = np.zeros((4, 6, 4), np.uint8)
    ink[:, 3:, 0] = 255  # cyan: no red
    picture = Image.frombytes("CMYK", (6, 4), ink.tobytes())
    for name in ("ink.tif", "ink.jpg"):
        image = read_image(written(tmp_path, picture, name)).astype(int)
        assert image.shape == (4, 6, 3) and (image[:, 0] > 250).all(), name
        assert image[0, 5, 0] < 40 and (image[0, 5, 1:] > 215).all(), name


def test_of_an_animation_the_first_frame(tmp_path):
    frames = [Image.new("RGB", (5, 4), colour) for colour in ("red", "blue")]
    path = written(tmp_path, frames[0], "moving.gif", save_all=True, append_images=frames[1:])
    assert (read_image(path) == (255, 0, 0)).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_one_transparent_colour_becomes_white(tmp_path, mode):
    picture = Image.new("RGB", (5, 4), "black").convert(mode)
    black = picture.getpixel((0, 0))
    image = read_image(written(tmp_path, picture, "hole.png", transparency=black))
    assert (image == 255).all()


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (1, 40)])
def test_tiny_pictures(tmp_path, size):
    image = read_image(written(tmp_path, Image.new("RGB", size, "navy"), "tiny.png"))
    assert image.shape == (size[1], size[0], 3) and (image == (0, 0, 128)).all()


def test_large_pictures_up_to_pillows_limit(tmp_path, monkeypatch):
    """Pillow warns from MAX_IMAGE_PIXELS on (89 million), where cameras are today, and refuses twice that."""
    path = written(tmp_path, Image.new("L", (40, 30)), "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)  # 1200 pixels: in between
    assert read_image(path).shape == (30, 40, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    with pytest.raises(
        ValueError, match=r"large\.png: expected a picture of a size that fits memory .*Shrink"
    ):
        read_image(path)


def test_108_megapixels(tmp_path):
    """A telephone's 12000 × 9000, without a warning (which would be an error here)."""
    path = written(tmp_path, Image.new("L", (12000, 9000), 90), "huge.png", compress_level=1)
    image = read_image(path)
    assert image.shape == (9000, 12000, 3) and (image[8999, 11999] == 90).all()


def test_the_name_of_a_file_does_not_matter(tmp_path):
    picture = written(tmp_path, Image.new("RGB", (5, 4), "red"), "really.png")
    for name in ("holiday ä 照片.jpg", "no suffix", "notes.txt"):
        (tmp_path / name).write_bytes(picture.read_bytes())
        assert read_image(tmp_path / name).shape == (4, 5, 3)


def test_transparent_pixels_become_white(tmp_path):
    pixels = np.zeros((4, 5, 4), np.uint8)
    pixels[:, 2:, 3] = 255
    image = read_image(written(tmp_path, Image.fromarray(pixels), "alpha.png"))
    assert image[0, 0].tolist() == [255] * 3 and image[0, 4].tolist() == [0] * 3


def test_exif_orientation_is_applied(tmp_path):
    picture = Image.fromarray(dot(30, 40, 5, 6, 2.0))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90° clockwise
    image = read_image(written(tmp_path, picture, "phone.jpg", exif=exif, quality=98))
    assert image.shape == (40, 30, 3)
    assert np.abs(centroid(np.where(image > 20, image, 0)) - [29 - 6, 5]).max() < 0.1


def test_a_truncated_file_is_named(tmp_path):
    whole = encode_jpeg(dot(64, 64, 30, 30, 8.0), quality=95)
    path = tmp_path / "half.jpg"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"half\.jpg: expected a complete picture .* Fetch the file again"):
        read_image(path)


def test_damaged_exif_does_not_spoil_the_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    damaged = bytearray(exif.tobytes())
    damaged[10:] = b"\xff" * len(damaged[10:])  # the directory points into nowhere
    path = written(tmp_path, Image.new("RGB", (6, 4), "red"), "phone.jpg", exif=bytes(damaged))
    assert read_image(path).shape == (4, 6, 3)


def test_no_picture_and_no_file(tmp_path):
    for name, content in {"notes.jpg": b"not a picture", "empty.jpg": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(
            ValueError, match=rf"{name}: expected a complete picture .* got {len(content)} bytes"
        ):
            read_image(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"expected a picture file, found a folder"):
        read_image(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"missing\.jpg: expected a picture file, found none"):
        read_image(tmp_path / "missing.jpg")


def test_what_telephones_store_is_called_by_its_name():
    head = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    with pytest.raises(
        ValueError, match=r"IMG_1\.heic: .*got HEIC, as telephones store it\. Export it as JPEG"
    ):
        decode_image(head + bytes(200), name="IMG_1.heic")


def test_programs_are_never_started():
    """Pillow would run Ghostscript on this."""
    drawing = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    with Image.open(io.BytesIO(drawing)) as picture:
        assert picture.format == "EPS"
    with pytest.raises(ValueError, match="of no known format"):
        decode_image(drawing)


def test_a_file_that_cannot_be_read(tmp_path, monkeypatch):
    path = written(tmp_path, Image.new("RGB", (5, 4)), "mine.png")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(ValueError, match=r"mine\.png: .* got an error \(Permission denied\). Check its perm"):
        read_image(path)


def _encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 8
    pixels = np.random.default_rng(6).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, kind, **({"exif": exif} if kind in ("JPEG", "PNG", "TIFF") else {}))
    return buffer.getvalue()


ENCODED = {kind: _encoded(kind) for kind in ("JPEG", "PNG", "TIFF", "GIF", "BMP", "PPM")}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(sorted(ENCODED)),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    kept=st.floats(0, 1),
)
def test_damaged_bytes_end_in_a_picture_or_in_our_own_error(kind, changes, kept):
    data = bytearray(ENCODED[kind])
    for place, value in changes:
        data[int(place * (len(data) - 1))] = value
    data = data[: max(1, round(kept * len(data)))] if kept < 0.8 else data
    try:
        image = decode_image(bytes(data), name="it")
    except ValueError as error:
        said = str(error)
        image = None
    assert said.startswith("it: expected a ") if image is None else image.shape[2:] == (3,)


def test_jpeg_keeps_colours_close():
    image = np.random.default_rng(3).integers(90, 160, (4, 4, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    decoded = decode_image(encode_jpeg(image, quality=95))
    assert np.abs(decoded.astype(int) - image).mean() < 2
    with Image.open(io.BytesIO(encode_jpeg(image, quality=95))) as picture:
        assert picture.size == (32, 32)


def test_the_size_is_that_of_the_picture_as_read(tmp_path):
    exif = Image.Exif()
    for orientation, size in ((1, (30, 20)), (3, (30, 20)), (6, (20, 30)), (8, (20, 30))):
        exif[0x0112] = orientation
        Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg", exif=exif)
        assert read_size(tmp_path / "a.jpg") == size == read_image(tmp_path / "a.jpg").shape[1::-1]
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n")
    assert read_size(tmp_path / "b.png") is None
    assert read_size(tmp_path / "none.png") is None
