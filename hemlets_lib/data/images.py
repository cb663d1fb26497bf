"""Pictures from files, and crops of them that keep to the pixel convention.

Pictures are (H, W, 3) uint8 RGB numpy arrays. A pixel's centre has integer coordinates (`geometry`), so a
picture of W pixels spans -0.5 … W-0.5; Pillow and `grid_sample` measure from the outer edge, hence the
half-pixels below. Whatever of a crop lies outside the picture is filled with ImageNet's mean colour,
which is 0 after normalisation.
"""

from __future__ import annotations

import functools
import io
import math
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = [
    "FILL_RGB",
    "FORMATS",
    "PICTURE_SUFFIXES",
    "crop_image",
    "decode_image",
    "encode_jpeg",
    "encode_png",
    "read_image",
    "read_size",
]

FILL_RGB = (124, 116, 104)  # ImageNet's mean colour in grey levels

# What is opened, by content, whatever a file is called. Others of Pillow's start programs (EPS runs
# Ghostscript) or hold no photographs. MPO is how some cameras and telephones store JPEG.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")
PICTURE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm",
    ".pgm", ".pnm", ".jp2", ".avif", ".heic", ".heif",
)  # fmt: skip
_EXIF_ORIENTATION = 0x0112
_EXIF_ON_ITS_SIDE = (5, 6, 7, 8)  # width and height change places
_HEIC_HEAD = 12
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_STRIPE_PIXELS = 2**22
_FILTER_REACH = 3  # source pixels beyond the box that Pillow's bicubic filter may look at, per unit of scale
_MAX_SUPERSAMPLING = 8
_WIDE_BOX = 3  # a crop's width over the picture's, or its height over the picture's
_MAX_BOX = 20  # a crop's side over the picture's longer side; in a wider box the picture would be a speck


def decode_image(data: bytes, *, name: str = "picture") -> UInt8[np.ndarray, "H W 3"]:
    """The pixels of an encoded picture, turned upright, without alpha, as RGB.

    Of an animation the first frame; 16-bit levels lose their lower byte, and 32-bit ones are stretched
    from their lowest to their highest, as they have no white of their own. Colour profiles are not applied.

    Args:
        data: The file's content.
        name: What to call it in messages.

    Raises:
        ValueError: If it is no picture of `FORMATS`, is damaged or truncated, or has more pixels than
            Pillow opens (179 million, unless `PIL.Image.MAX_IMAGE_PIXELS` was changed).
    """
    return _decode(io.BytesIO(data), name=name, num_bytes=len(data))


def _decode(file: io.BytesIO | io.BufferedReader, *, name: str, num_bytes: int) -> UInt8[np.ndarray, "H W 3"]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about large pictures (from half the limit on), untidy headers
            with Image.open(file, formats=_known_formats()) as picture:
                picture.load()
                upright = _without_alpha(_eight_bit(_turned_upright(picture)))
                return np.array(upright if upright.mode == "RGB" else upright.convert("RGB"))
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{name}: expected a picture of a size that fits memory ({error}). Shrink it."
        ) from error
    except Exception as error:  # Pillow's decoders raise many kinds for a damaged file
        file.seek(0)
        if _is_heic(file.read(_HEIC_HEAD)):
            raise ValueError(
                f"{name}: expected a picture of a format that Pillow reads, got HEIC, as telephones store "
                "it. Export it as JPEG, or convert it (`heif-convert`, ImageMagick)."
            ) from error
        why = "of no known format" if isinstance(error, UnidentifiedImageError) else error
        raise ValueError(
            f"{name}: expected a complete picture (JPEG, PNG, …), got {num_bytes} bytes that cannot be read "
            f"({why}). Fetch the file again, or convert it to PNG or JPEG."
        ) from error


@functools.cache
def _known_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow was built with."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _is_heic(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS


def _turned_upright(picture: Image.Image) -> Image.Image:
    """As EXIF says; a picture whose EXIF data are damaged stays as it is."""
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # many kinds, as above
        return picture


def _without_alpha(picture: Image.Image) -> Image.Image:
    """Transparent pixels over white."""
    if picture.mode not in ("RGBA", "LA", "PA") and "transparency" not in picture.info:
        return picture
    picture = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Deep grey pictures with 8 bits; Pillow's own conversion would clip them to white."""
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        known = (levels[np.isfinite(levels)] for levels in _stripes(picture))
        extremes = [(float(levels.min()), float(levels.max())) for levels in known if levels.size] or [(0, 0)]
        low, high = min(lowest for lowest, _ in extremes), max(highest for _, highest in extremes)
        scale = 255 / (high - low) if high > low else 0.0
        grey = [
            (np.where(np.isfinite(levels), levels - low, 0) * scale).round().astype(np.uint8)
            for levels in _stripes(picture)
        ]
        return Image.fromarray(np.concatenate(grey))
    return picture


def _stripes(picture: Image.Image) -> Iterator[np.ndarray]:
    """All levels of a grey picture from the top, few enough at a time to be held in float64."""
    rows = max(1, _STRIPE_PIXELS // picture.width)
    for top in range(0, picture.height, rows):
        stripe = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        yield np.asarray(stripe, dtype=np.float64)


def read_image(path: str | Path) -> UInt8[np.ndarray, "H W 3"]:
    """A picture file as RGB, whatever it holds: EXIF orientation applied, grey and alpha converted.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read as a picture; the message names the file.
    """
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "none"
        raise FileNotFoundError(f"{path}: expected a picture file, found {found}. Check the path.")
    try:
        with path.open("rb") as file:
            return _decode(file, name=str(path), num_bytes=path.stat().st_size)
    except OSError as error:
        raise ValueError(
            f"{path}: expected a file that can be read, got an error ({error.strerror or error}). "
            "Check its permissions and the disk."
        ) from error


def read_size(path: str | Path) -> tuple[int, int] | None:
    """How large `read_image` would give a picture, from its header.

    Returns:
        Width and height; None where the file is missing or its header damaged.
    """
    try:
        with Image.open(path, formats=_known_formats()) as picture:
            width, height = picture.size
            turned = picture.getexif().get(_EXIF_ORIENTATION) in _EXIF_ON_ITS_SIDE
    except Exception:  # as many kinds as there are ways to damage a header
        return None
    return (height, width) if turned else (width, height)


def encode_jpeg(image: UInt8[np.ndarray, "H W 3"], *, quality: int) -> bytes:
    """A picture as JPEG with full colour resolution (small crops suffer from halved colour)."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def encode_png(image: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """A picture as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def crop_image(
    image: np.ndarray,
    affine: Float[np.ndarray, "2 3"],
    size: int,
    *,
    fill_rgb: tuple[int, int, int] = FILL_RGB,
) -> UInt8[np.ndarray, "size size 3"]:
    """The square crop that `affine` describes, smoothed when it shrinks the picture.

    Args:
        image: The whole picture, (H, W, 3) uint8 RGB.
        affine: The picture's pixels to the crop's (`geometry.crop_affine`); may turn and mirror.
        size: Side of the crop in pixels.
        fill_rgb: Colour of what lies outside the picture.

    Raises:
        ValueError: If the picture is not uint8 RGB, or the crop does not touch it at all, or is more than
            20 times as wide as it.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"`image` must be (H, W, 3) uint8 RGB, got shape {image.shape} of {image.dtype}. "
            "Read pictures with read_image()."
        )
    affine = np.asarray(affine, dtype=np.float64)
    linear = np.linalg.inv(affine[:, :2])
    corners = np.array([[-0.5, -0.5], [size - 0.5, -0.5], [-0.5, size - 0.5], [size - 0.5, size - 0.5]])
    in_picture = (corners - affine[:, 2]) @ linear.T  # (4, 2): the crop's corners
    low, high = in_picture.min(0), in_picture.max(0)
    height, width = image.shape[:2]
    if (high <= -0.5).any() or low[0] >= width - 0.5 or low[1] >= height - 0.5:
        raise ValueError(
            f"the crop covers x {low[0]:.0f}…{high[0]:.0f}, y {low[1]:.0f}…{high[1]:.0f} px and lies outside "
            f"the picture of {width}×{height} px. Check the person's box."
        )
    with np.errstate(over="ignore"):  # a box that damaged labels made; infinite is too wide as well
        side = float(np.linalg.norm(linear, axis=0).max()) * size
    if not side <= _MAX_BOX * max(width, height):
        raise ValueError(
            f"the crop must be at most {_MAX_BOX} times as wide as the picture of {width}×{height} px, "
            f"got a side of {side:.0f} px. Check the person's box."
        )
    upright = affine[0, 1] == 0 and affine[1, 0] == 0 and affine[0, 0] > 0 and affine[1, 1] > 0
    if upright:
        return _crop_box(image, low, high, size, fill_rgb)
    return _crop_turned(image, affine, size, fill_rgb)


def _crop_box(
    image: np.ndarray, low: np.ndarray, high: np.ndarray, size: int, fill_rgb: tuple[int, int, int]
) -> np.ndarray:
    """Resampling by Pillow; the box is padded where it leaves the picture.

    Of a wide box only the crop pixels that the picture reaches are resampled, to spare memory.
    """
    height, width = image.shape[:2]
    scale = (high - low) / size  # source pixels per crop pixel
    reach = _FILTER_REACH * max(1, math.ceil(scale[0]))
    first, last = np.zeros(2, int), np.full(2, size)
    if ((high - low) > _WIDE_BOX * np.array([width, height])).any():
        first = np.floor((-0.5 - reach - low) / scale).astype(int).clip(0, size)
        last = np.ceil((np.array([width, height]) - 0.5 + reach - low) / scale).astype(int).clip(0, size)
    low, high = low + first * scale, np.where(last == size, high, low + last * scale)
    start = np.floor(low + 0.5).astype(int) - reach  # in edge coordinates: pixel u spans u … u+1
    stop = np.ceil(high + 0.5).astype(int) + reach
    inside_start, inside_stop = np.maximum(start, 0), np.minimum(stop, (width, height))
    region = image[inside_start[1] : inside_stop[1], inside_start[0] : inside_stop[0]]
    if (inside_start != start).any() or (inside_stop != stop).any():
        columns, rows = stop - start
        padded = np.empty((rows, columns, 3), np.uint8)
        padded[:] = fill_rgb
        at = inside_start - start
        padded[at[1] : at[1] + region.shape[0], at[0] : at[0] + region.shape[1]] = region
        region = padded
    box = (*(low + 0.5 - start), *(high + 0.5 - start))
    columns, rows = (last - first).tolist()
    resized = Image.fromarray(region).resize((columns, rows), Image.Resampling.BICUBIC, box=box)
    crop = np.empty((size, size, 3), np.uint8)
    crop[:] = fill_rgb
    crop[first[1] : last[1], first[0] : last[0]] = np.asarray(resized)
    return crop


def _crop_turned(
    image: np.ndarray, affine: np.ndarray, size: int, fill_rgb: tuple[int, int, int]
) -> np.ndarray:
    """Bilinear samples, several to a pixel so that shrinking does not alias, and their mean."""
    inverse = np.linalg.inv(affine[:, :2])
    shrink = np.linalg.norm(inverse, axis=0).max()  # source pixels per crop pixel
    per_pixel = min(max(math.ceil(shrink), 1), _MAX_SUPERSAMPLING)
    offsets = (np.arange(size * per_pixel) + 0.5) / per_pixel - 0.5
    points = np.stack(np.meshgrid(offsets, offsets, indexing="xy"), -1)  # (n, n, 2) crop pixels
    source = (points - affine[:, 2]) @ inverse.T
    height, width = image.shape[:2]
    grid = (source + 0.5) / np.array([width, height]) * 2 - 1
    fill = torch.tensor(fill_rgb, dtype=torch.float32)[:, None, None]
    pixels = (
        torch.from_numpy(image).permute(2, 0, 1).float() - fill
    )  # grid_sample pads with 0, which is then the fill
    points_px = torch.from_numpy(grid).float()
    sampled = torch.nn.functional.grid_sample(
        pixels[None], points_px[None], mode="bilinear", align_corners=False
    )
    smoothed = torch.nn.functional.avg_pool2d(sampled, per_pixel)[0] + fill
    return smoothed.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
