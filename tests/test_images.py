"""Pictures: what files may hold, and that a crop shows things where the affine map says they are."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from hemlets_lib.data.images import FILL_RGB, crop_image, decode_image, encode_jpeg, read_image
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


def test_no_picture_and_no_file(tmp_path):
    (tmp_path / "notes.jpg").write_text("not a picture")
    with pytest.raises(ValueError, match=r"notes\.jpg: expected a complete picture"):
        read_image(tmp_path / "notes.jpg")
    with pytest.raises(FileNotFoundError, match=r"missing\.jpg: expected a picture file, found none"):
        read_image(tmp_path / "missing.jpg")


def test_jpeg_keeps_colours_close():
    image = np.random.default_rng(3).integers(90, 160, (4, 4, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    decoded = decode_image(encode_jpeg(image, quality=95))
    assert np.abs(decoded.astype(int) - image).mean() < 2
    with Image.open(io.BytesIO(encode_jpeg(image, quality=95))) as picture:
        assert picture.size == (32, 32)
