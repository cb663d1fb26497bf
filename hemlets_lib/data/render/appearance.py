"""What a drawn person wears, and the boxes that stand beside them.

An `Appearance` has no left and no right: as in a photograph, only the body itself tells the two
sides apart. Colours are sRGB triples of whole numbers in 0 ... 255.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
from jaxtyping import Real

__all__ = ["Appearance", "HairStyle", "Prop", "Rgb", "TopPattern"]

Rgb = tuple[int, int, int]
HairStyle = Literal["bald", "short", "bun", "long"]
TopPattern = Literal["plain", "stripes", "panel", "band", "yoke"]

# Field → (smallest, largest) value accepted.
_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "sleeve": (0.0, 1.0),
        "trouser_length": (0.12, 1.0),
        "neckline": (0.0, 1.0),
        "looseness": (0.0, 1.0),
        "girth": (0.75, 1.4),
        "bust": (0.0, 1.0),
        "hip_breadth": (0.85, 1.2),
    }
)
_COLOURS = ("skin", "hair", "top", "top_detail", "bottoms", "shoes", "soles", "socks")


@dataclass(frozen=True)
class Appearance:
    """Clothes, colours and build of one person.

    Args:
        skin: Colour of the skin; lips and brows follow from it and from the hair.
        hair: Colour of hair, brows and beard.
        top: Colour of the shirt.
        top_detail: Second colour of the shirt, used as `pattern` says.
        bottoms: Colour of trousers or shorts.
        shoes: Colour of the shoes.
        soles: Colour of the soles.
        socks: Colour of the socks; the skin's colour for bare ankles.
        sleeve: Sleeve length as a fraction of the way from shoulder to wrist; 0 is sleeveless.
        trouser_length: Leg length as a fraction of the way from hip to ankle.
        pattern: How `top_detail` is used on the shirt.
        neckline: Depth of the neckline, 0 (round the neck) to 1 (deep).
        looseness: How far the clothes stand off the body, 0 (tight) to 1 (baggy).
        hair_style: Hair cut; it and the face tell front from back.
        beard: Whether the lower face is bearded.
        girth: Thickness of torso and limbs relative to an average adult of that stature.
        bust: Fullness of the chest, 0 to 1.
        hip_breadth: Breadth of the hips relative to an average adult.

    Raises:
        ValueError: If a colour is not three whole numbers in 0 ... 255, a number is outside its
            range, or `pattern` or `hair_style` is unknown.
    """

    skin: Rgb = (205, 155, 125)
    hair: Rgb = (52, 36, 26)
    top: Rgb = (120, 130, 150)
    top_detail: Rgb = (230, 230, 225)
    bottoms: Rgb = (45, 50, 70)
    shoes: Rgb = (60, 55, 52)
    soles: Rgb = (200, 196, 186)
    socks: Rgb = (225, 225, 220)
    sleeve: float = 0.28
    trouser_length: float = 0.97
    pattern: TopPattern = "plain"
    neckline: float = 0.2
    looseness: float = 0.4
    hair_style: HairStyle = "short"
    beard: bool = False
    girth: float = 1.0
    bust: float = 0.0
    hip_breadth: float = 1.0

    def __post_init__(self) -> None:
        for name in _COLOURS:
            _check_rgb(getattr(self, name), f"Appearance.{name}")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:  # also false for NaN
                raise ValueError(
                    f"`Appearance.{name}` must lie in {low} ... {high}, got {value!r}. "
                    "Choose a value inside that range."
                )
        for name, kind in (("pattern", TopPattern), ("hair_style", HairStyle)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(
                    f"`Appearance.{name}` must be one of {', '.join(map(repr, get_args(kind)))}, "
                    f"got {getattr(self, name)!r}. Choose one of these."
                )

    @classmethod
    def random(cls, rng: np.random.Generator) -> Appearance:
        """A plausible person drawn at random; the same generator state gives the same person."""
        skin = _SKINS[rng.integers(len(_SKINS))]
        hair = _HAIRS[rng.integers(len(_HAIRS))]
        full = bool(rng.random() < 0.5)
        hair_odds = [0.02, 0.3, 0.25, 0.43] if full else [0.1, 0.85, 0, 0.05]
        sleeves = [0.0, rng.uniform(0.2, 0.34), rng.uniform(0.6, 0.75), 0.98]
        legs = [rng.uniform(0.18, 0.3), rng.uniform(0.38, 0.6), 0.97]
        bare_ankles = bool(rng.random() < 0.35)
        return cls(
            skin=_jitter(skin, 10, rng),
            hair=_jitter(hair, 8, rng),
            top=_cloth(rng),
            top_detail=_cloth(rng),
            bottoms=_jitter(_BOTTOMS[rng.integers(len(_BOTTOMS))], 18, rng),
            shoes=_jitter(_SHOES[rng.integers(len(_SHOES))], 15, rng),
            soles=_jitter((205, 200, 190), 30, rng),
            socks=skin if bare_ankles else _jitter(_SHOES[rng.integers(len(_SHOES))], 15, rng),
            sleeve=float(rng.choice(sleeves, p=[0.15, 0.5, 0.1, 0.25])),
            trouser_length=float(rng.choice(legs, p=[0.15, 0.3, 0.55])),
            pattern=get_args(TopPattern)[int(rng.choice(5, p=[0.5, 0.15, 0.15, 0.1, 0.1]))],
            neckline=float(rng.uniform(0, 0.8)),
            looseness=float(rng.uniform(0, 0.9)),
            hair_style=get_args(HairStyle)[int(rng.choice(4, p=hair_odds))],
            beard=bool(not full and rng.random() < 0.35),
            girth=float(np.clip(rng.normal(1.0, 0.09), 0.82, 1.3)),
            bust=float(rng.uniform(0.3, 0.9)) if full else 0.0,
            hip_breadth=float(rng.uniform(0.98, 1.12) if full else rng.uniform(0.93, 1.03)),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Prop:
    """A solid box: a seat, a table top, a chair's leg.

    Args:
        centre_mm: Centre, in the frame of the joints it is drawn with.
        half_size_mm: Half of the box's edge lengths along its own axes, all positive.
        rotation: Columns are the box's axes in that frame: p_frame = rotation @ p_box + centre_mm.
        colour: sRGB colour, whole numbers in 0 ... 255.

    Raises:
        ValueError: If a shape or value is not as above, or `rotation` is not orthonormal.
    """

    centre_mm: Real[np.ndarray, "3"]
    half_size_mm: Real[np.ndarray, "3"]
    rotation: Real[np.ndarray, "3 3"]
    colour: Rgb = (150, 110, 75)

    def __post_init__(self) -> None:
        for name, shape in (("centre_mm", (3,)), ("half_size_mm", (3,)), ("rotation", (3, 3))):
            value = np.array(getattr(self, name), dtype=np.float64)
            if value.shape != shape or not np.isfinite(value).all():
                raise ValueError(
                    f"`Prop.{name}` must be finite numbers of shape {shape}, got {value.tolist()}. "
                    "Give a prop one centre, one half size and one rotation matrix."
                )
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        if (self.half_size_mm <= 0).any():
            raise ValueError(
                f"`Prop.half_size_mm` must be positive, got {self.half_size_mm.tolist()}. "
                "It is half of each edge's length, in millimetres."
            )
        if not np.allclose(self.rotation.T @ self.rotation, np.eye(3), atol=1e-4):
            raise ValueError(
                f"`Prop.rotation` must be orthonormal, got {self.rotation.tolist()}. "
                "Put the box's size into half_size_mm, not into the rotation."
            )
        _check_rgb(self.colour, "Prop.colour")


def _check_rgb(colour: Rgb, name: str) -> None:
    whole = all(isinstance(c, (int, np.integer)) and 0 <= c <= 255 for c in colour)
    if len(colour) != 3 or not whole:
        raise ValueError(
            f"`{name}` must be three whole numbers in 0 ... 255, got {colour!r}. "
            "Give sRGB bytes, not fractions."
        )


def _jitter(colour: Rgb, spread: int, rng: np.random.Generator) -> Rgb:
    r, g, b = np.clip(np.array(colour) + rng.integers(-spread, spread + 1, 3), 0, 255).tolist()
    return r, g, b


def _cloth(rng: np.random.Generator) -> Rgb:
    """A cloth's colour: mostly muted, now and then strong."""
    grey = rng.uniform(40, 225)
    strength = rng.choice([0.1, 0.4, 0.8], p=[0.35, 0.4, 0.25])
    r, g, b = np.clip(grey + strength * rng.uniform(-130, 130, 3), 15, 240).astype(int).tolist()
    return r, g, b


_SKINS: tuple[Rgb, ...] = (
    (226, 180, 152), (214, 164, 134), (198, 146, 114), (176, 124, 92), (146, 98, 70), (108, 72, 52),
    (82, 54, 42),
)  # fmt: skip
_HAIRS: tuple[Rgb, ...] = (
    (28, 24, 24), (48, 34, 26), (84, 56, 36), (128, 92, 56), (186, 152, 98), (150, 146, 142), (112, 50, 28),
)  # fmt: skip
_BOTTOMS: tuple[Rgb, ...] = (
    (40, 46, 66), (62, 76, 108), (30, 30, 34), (96, 86, 70), (128, 120, 100), (78, 84, 66), (110, 44, 44),
    (150, 150, 152),
)  # fmt: skip
_SHOES: tuple[Rgb, ...] = (
    (40, 38, 40),
    (215, 213, 208),
    (104, 70, 48),
    (60, 72, 104),
    (150, 48, 46),
    (120, 120, 122),
)
