"""What fixes the shape of a network: `ModelConfig`, and the presets of the paper and of this library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, get_args

from hemlets_lib.geometry import DEPTH_RANGE_MM, Grid
from hemlets_lib.heatmaps import GaussianNorm, default_sigma
from hemlets_lib.skeleton import HEMLETS18, SKELETONS, Skeleton
from hemlets_lib.triplets import VARIANTS, Overlap

__all__ = ["BACKBONES", "PRESETS", "ModelConfig"]

BACKBONES = MappingProxyType(
    {"resnet50": (2048, 32), "resnet18": (512, 32), "tiny": (192, 16)}
)  # channels, stride
OUTPUT_STD = 0.001  # of the last layers' initial weights, as in Xiao et al. 2018, on which [28] builds


@dataclass(frozen=True)
class ModelConfig:
    """Everything that fixes the shape of a network; stored with its checkpoints.

    Args:
        name: The preset's name, or your own.
        backbone: "resnet50", "resnet18" or "tiny".
        image_size: Side of the square input, pixels.
        heatmap_size: Side of the maps and of the volume's cross-section, cells.
        depth_size: Depth of the volume, cells.
        skeleton: Supplies J joints and K parts.
        variant: How triplets are encoded: "hemlets" or "2s" (3 maps per part), or "5s" (5 maps).
        intermediate: Whether there is a HEMlets branch; the baseline has none.
        upsample_channels: Width of the transposed convolutions.
        feature_channels: Width of a 3x3 convolution ending the feature branch; None for no such layer.
        map_kernel: Size of the convolution ending the HEMlets branch, whose output the maps are.
        encoder_channels: Width to which triplets and heatmaps are encoded.
        fusion: (kernel, channels) of a convolution before the volume; None for no such layer.
        grid: How crop space lies over the cells; targets and losses must use the same.
        sigma_scale: σ of the maps' Gaussians, as a multiple of `heatmaps.default_sigma`.
        gaussian_norm: What of a Gaussian is 1: its "height" or its "sum".
        overlap: How two of them share a map: "maximum", "sum" or "clipped", see `triplets`.
        depth_range_mm: What the volume's depth spans, about the root. Joints come out in crop space, whose
            own range stays `geometry.DEPTH_RANGE_MM`, and so do losses in cells.
        output_std: Of the initial weights of the layers that put out maps and volume; None for the scale
            of all other layers.
        lifted: Take depth from the joints in the picture through a `rivals.JointLifter`, not from the
            volume. A rival of §2, for comparison.

    Raises:
        ValueError: If a value is unknown, or the heatmap size cannot be reached by doubling.
    """

    name: str
    backbone: str
    image_size: int
    heatmap_size: int
    depth_size: int
    skeleton: Skeleton = HEMLETS18
    variant: str = "hemlets"
    intermediate: bool = True
    upsample_channels: int = 256
    feature_channels: int | None = None
    map_kernel: int = 3
    encoder_channels: int = 256
    fusion: tuple[int, int] | None = None
    grid: Grid | str = Grid.CELL_CENTRED  # a Grid once constructed
    sigma_scale: float = 1.0
    gaussian_norm: GaussianNorm = "height"
    overlap: Overlap = "maximum"
    depth_range_mm: float = DEPTH_RANGE_MM
    output_std: float | None = OUTPUT_STD
    lifted: bool = False

    def __post_init__(self) -> None:
        for name, choices in (
            ("backbone", BACKBONES),
            ("variant", VARIANTS),
            ("grid", tuple(Grid)),
            ("gaussian_norm", get_args(GaussianNorm)),
            ("overlap", get_args(Overlap)),
        ):
            if (got := getattr(self, name)) not in choices:
                raise ValueError(f"`{name}` must be one of {', '.join(choices)}, got {got!r}.")
        object.__setattr__(self, "grid", Grid(self.grid))
        for name in ("image_size", "depth_size", "upsample_channels", "feature_channels", "encoder_channels"):
            if (got := getattr(self, name)) is not None and got < 1:
                raise ValueError(f"`{name}` must be positive, got {got}.")
        for name in ("sigma_scale", "depth_range_mm", "output_std"):
            size = math.nan if (got := getattr(self, name)) is None else got
            if not 0 < size < math.inf and (name, got) != ("output_std", None):
                raise ValueError(f"`{name}` must be positive and finite, got {got}.")
        if self.map_kernel < 1 or self.map_kernel % 2 == 0:
            raise ValueError(f"`map_kernel` must be odd, got {self.map_kernel}: an even one shifts the maps.")
        if self.fusion and (len(self.fusion) != 2 or self.fusion[0] % 2 == 0 or min(self.fusion) < 1):
            raise ValueError(f"`fusion` must be (odd kernel, channels) or None, got {self.fusion}.")
        stride = BACKBONES[self.backbone][1]
        reachable = [self.image_size // stride * 2**n for n in range(1, 6)]
        if self.image_size % stride or self.heatmap_size not in reachable:
            raise ValueError(
                f"`image_size` must be a multiple of {stride} for backbone {self.backbone!r}, "
                f"and `heatmap_size` one of {reachable}, got {self.image_size} and {self.heatmap_size}."
            )
        if self.intermediate and not self.skeleton.num_parts:
            raise ValueError(
                f"skeleton {self.skeleton.name!r} has no parts, so no triplets. Set intermediate=False."
            )

    @property
    def num_states(self) -> int:
        """S, the maps of one part."""
        return VARIANTS[self.variant].num_maps

    @property
    def num_upsamplings(self) -> int:
        """How often a branch doubles the backbone's resolution."""
        return (self.heatmap_size * BACKBONES[self.backbone][1] // self.image_size).bit_length() - 1

    @property
    def volume_size(self) -> tuple[int, int, int]:
        """(depth, height, width) of a joint's volume, cells."""
        return (self.depth_size, self.heatmap_size, self.heatmap_size)

    @property
    def sigma(self) -> float:
        """σ of the maps' Gaussians, cells."""
        return self.sigma_scale * default_sigma(self.heatmap_size)

    def to_dict(self) -> dict[str, Any]:
        """For JSON. A skeleton of this library goes by its name, any other is spelled out."""
        table = _plain(self.skeleton)
        known = SKELETONS.get(self.skeleton.name) == self.skeleton
        return _plain(self) | {"grid": str(self.grid), "skeleton": self.skeleton.name if known else table}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """The inverse of `to_dict`, also after JSON has made lists of tuples.

        Raises:
            ValueError: If a key or the skeleton's name is unknown, or a value is.
        """
        keys = [field.name for field in fields(cls)]
        if unknown := sorted(set(values) - set(keys)):
            raise ValueError(
                f"model config: expected keys among {', '.join(keys)}; got {', '.join(unknown)}."
            )
        arguments = _with_tuples(values)
        skeleton = arguments.pop("skeleton", HEMLETS18.name)
        if isinstance(skeleton, str) and skeleton not in SKELETONS:
            raise ValueError(
                f"`skeleton` must be one of {', '.join(SKELETONS)}, or spelled out; got {skeleton!r}."
            )
        skeleton = SKELETONS[skeleton] if isinstance(skeleton, str) else Skeleton(**skeleton)
        return cls(skeleton=skeleton, **arguments)


def _plain(record: Any) -> dict[str, Any]:
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {key: dict(value) if isinstance(value, Mapping) else value for key, value in values.items()}


def _with_tuples(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _with_tuples(item) for key, item in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list | tuple) else value


# Paper silent: channel widths. It gives the totals, 34.3 M and 47.7 M; the layers below add up to them.
PRESETS: Mapping[str, ModelConfig] = MappingProxyType(
    {
        config.name: config
        for config in (
            # 34,291,392: Sun et al.'s integral regression [28], without intermediate supervision.
            ModelConfig("baseline", "resnet50", 256, 64, 64, intermediate=False),
            # 47,711,740: the baseline, plus the second branch, the encoder and one 3x3 convolution where
            # both meet, all at the baseline's width of 256.
            ModelConfig("paper", "resnet50", 256, 64, 64, fusion=(3, 512)),
            # 49,614,844: the authors' release, layer for layer (`pretrained` has its names).
            ModelConfig(
                "official", "resnet50", 256, 64, 64,
                feature_channels=1024, fusion=(1, 1024), grid=Grid.CORNER_ALIGNED,
            ),
            # 14,832,060: half the resolution, half the width.
            ModelConfig(
                "small", "resnet18", 128, 32, 32,
                upsample_channels=128, encoder_channels=128, fusion=(3, 128),
            ),
            # 2,110,596: trains on a CPU core, and a checkpoint is about 8.5 MB.
            ModelConfig(
                "nano", "tiny", 96, 24, 24,
                upsample_channels=64, map_kernel=1, encoder_channels=64, fusion=(1, 64),
            ),
        )
    }
)  # fmt: skip
