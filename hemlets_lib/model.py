"""The network of Fig. 3: an image in; heatmap triplets, 2D heatmaps and 3D joints out.

Contract: images are (B, 3, S, S), RGB, normalised with ImageNet's mean and standard deviation, S the
config's `image_size`. Joints come out in crop space (`geometry`), (x, y, z) in [-0.5, 0.5]. The five
stages are the five attributes of `HEMletsNet`:

    image → backbone ─┬→ feature_branch ─────────────────────────┬→ head → soft-argmax → joints
                      └→ hemlets_branch ─┬→ encoder ─────────────┘
                                         └→ triplets, heatmaps
"""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import get_model
from torchvision.models.resnet import BasicBlock

from hemlets_lib.geometry import DEPTH_RANGE_MM, Grid
from hemlets_lib.heatmaps import GaussianNorm, default_sigma, soft_argmax_3d
from hemlets_lib.pretrained import load_imagenet_backbone
from hemlets_lib.rivals import JointLifter
from hemlets_lib.skeleton import HEMLETS18, SKELETONS, Skeleton
from hemlets_lib.triplets import VARIANTS, Overlap

__all__ = [
    "PRESETS",
    "HEMletsNet",
    "HEMletsOutput",
    "ModelConfig",
    "count_parameters",
    "fuse",
]

BACKBONES = MappingProxyType(
    {"resnet50": (2048, 32), "resnet18": (512, 32), "tiny": (192, 16)}
)  # channels, stride
OUTPUT_STD = 0.001  # of the last layers' initial weights, as in Xiao et al. 2018, on which [28] builds
TINY_WIDTHS, TINY_BLOCKS = (24, 48, 96, 192), (1, 2, 2)  # channels; residual blocks at each but the first


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


class HEMletsOutput(NamedTuple):
    """What the network makes of B images; J joints, K parts, S states."""

    joints: Float[Tensor, "B J 3"]  # crop space, float32 or better
    triplets: Float[Tensor, "B K S H W"] | None  # None without an intermediate branch
    heatmaps: Float[Tensor, "B J H W"] | None
    volume: Float[Tensor, "B J D H W"] | None  # the logits of Eq. (5), where asked for


class UpsamplingBranch(nn.Module):
    """Transposed convolutions, each doubling the resolution, and a 3x3 convolution at the end.

    Args:
        in_channels: Width of the backbone's features.
        channels: Width of every transposed convolution.
        num_upsamplings: How many of them.
        out_channels: Width of the final convolution, which has no activation; None for no such layer.
        kernel: Size of the final convolution.
    """

    def __init__(
        self, in_channels: int, channels: int, num_upsamplings: int, out_channels: int | None, kernel: int = 3
    ) -> None:
        super().__init__()
        body: list[nn.Module] = []
        for width in (in_channels, *[channels] * (num_upsamplings - 1)):
            upsample = nn.ConvTranspose2d(width, channels, kernel_size=4, stride=2, padding=1, bias=False)
            body += [upsample, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*body)
        self.tail = (
            nn.Conv2d(channels, out_channels, kernel, padding=kernel // 2) if out_channels else nn.Identity()
        )
        self.out_channels = out_channels or channels

    def forward(self, features: Float[Tensor, "B C h w"]) -> Float[Tensor, "B E H W"]:
        return self.tail(self.body(features))


def _conv_block(in_channels: int, channels: int, kernel: int) -> list[nn.Module]:
    convolution = nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2)
    return [convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]


def _backbone(name: str) -> nn.Sequential:
    """Everything up to the last feature map, under torchvision's own layer names."""
    if name != "tiny":
        resnet = get_model(name, weights=None)
        return nn.Sequential(OrderedDict(list(resnet.named_children())[:-2]))  # without pooling, classifier
    stem = nn.Conv2d(3, TINY_WIDTHS[0], kernel_size=3, stride=2, padding=1, bias=False)
    layers: list[nn.Module] = [stem, nn.BatchNorm2d(TINY_WIDTHS[0]), nn.ReLU(inplace=True)]
    for (width, wider), blocks in zip(pairwise(TINY_WIDTHS), TINY_BLOCKS, strict=True):
        shortcut = nn.Sequential(
            nn.Conv2d(width, wider, kernel_size=1, stride=2, bias=False), nn.BatchNorm2d(wider)
        )
        layers.append(BasicBlock(width, wider, stride=2, downsample=shortcut))
        layers += [BasicBlock(wider, wider) for _ in range(blocks - 1)]
    return nn.Sequential(*layers)


class HEMletsNet(nn.Module):
    """Fig. 3. Trainable end to end; in half precision (autocast) the joints are still float32.

    Args:
        config: The shape of the network. `dataclasses.replace(PRESETS["nano"], variant="5s")` alters one.

    Source: §3.2. Paper silent on initial weights: He et al.'s, but nearly zero where maps and volume
    are put out, so that training starts from empty maps and an even softmax.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        joints, parts = config.skeleton.num_joints, config.skeleton.num_parts
        in_channels, upsamplings = BACKBONES[config.backbone][0], config.num_upsamplings
        self.backbone = _backbone(config.backbone)
        self.feature_branch = UpsamplingBranch(
            in_channels, config.upsample_channels, upsamplings, config.feature_channels
        )
        channels = self.feature_branch.out_channels
        if config.intermediate:
            self.num_triplet_maps = parts * config.num_states
            maps = self.num_triplet_maps + joints
            self.hemlets_branch = UpsamplingBranch(
                in_channels, config.upsample_channels, upsamplings, maps, config.map_kernel
            )
            self.encoder = nn.Sequential(*_conv_block(maps, config.encoder_channels, kernel=3))
            channels += config.encoder_channels
        fusion: list[nn.Module] = []
        if config.fusion is not None:
            fusion, channels = _conv_block(channels, config.fusion[1], config.fusion[0]), config.fusion[1]
        self.head = nn.Sequential(*fusion, nn.Conv2d(channels, joints * config.depth_size, kernel_size=1))
        if config.lifted:
            self.lifter = JointLifter(config.skeleton)
        self._initialise()

    @classmethod
    def from_preset(cls, name: str, *, pretrained: bool = False, allow_missing: bool = False) -> HEMletsNet:
        """The network of a preset.

        Args:
            name: A key of `PRESETS`.
            pretrained: Start the backbone from ImageNet weights (`load_imagenet_backbone`).
            allow_missing: Warn instead of raising where those cannot be had.

        Raises:
            ValueError: If there is no such preset.
        """
        if name not in PRESETS:
            raise ValueError(f"`name` must be a preset ({', '.join(PRESETS)}), got {name!r}.")
        model = cls(PRESETS[name])
        if pretrained:
            load_imagenet_backbone(model.backbone, model.config.backbone, allow_missing=allow_missing)
        return model

    def forward(self, images: Float[Tensor, "B 3 S S"], *, return_volume: bool = False) -> HEMletsOutput:
        """Shapes in the comments are those of the preset `paper`: J = 18, K = 14, S = 3.

        Raises:
            ValueError: If the images' shape is not the config's.
        """
        config, skeleton = self.config, self.config.skeleton
        if images.ndim != 4 or images.shape[1:] != (3, config.image_size, config.image_size):
            raise ValueError(
                f"`images` must be (B, 3, {config.image_size}, {config.image_size}) for {config.name!r}, "
                f"got {tuple(images.shape)}. Crop and resize them first."
            )
        triplets = heatmaps = None
        features = self.backbone(images)  # (B, 2048, 8, 8)
        fused = self.feature_branch(features)  # (B, 256, 64, 64)
        if config.intermediate:
            maps = self.hemlets_branch(features)  # (B, K·S + J, 64, 64)
            triplets = maps[:, : self.num_triplet_maps].unflatten(1, (skeleton.num_parts, config.num_states))
            heatmaps = maps[:, self.num_triplet_maps :]  # (B, J, 64, 64)
            encoded = self.encoder(maps)  # (B, 256, 64, 64)
            fused = torch.cat([fused, encoded], dim=1)  # (B, 512, 64, 64)
        volume = self.head(fused).unflatten(1, (skeleton.num_joints, config.depth_size))  # (B, J, 64, 64, 64)
        joints = soft_argmax_3d(volume, grid=config.grid)  # (B, J, 3), Eq. (5)
        if config.depth_range_mm != DEPTH_RANGE_MM:
            joints = joints * joints.new_tensor([1, 1, config.depth_range_mm / DEPTH_RANGE_MM])
        if config.lifted:
            planar = joints[..., :2]
            joints = torch.cat([planar, self.lifter(planar)[..., None].to(joints)], -1)
        return HEMletsOutput(joints, triplets, heatmaps, volume if return_volume else None)

    def _initialise(self) -> None:
        outputs = [self.head[-1], self.hemlets_branch.tail if self.config.intermediate else None]
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                if module in outputs and self.config.output_std is not None:
                    nn.init.normal_(module.weight, std=self.config.output_std)
                else:
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def count_parameters(model: nn.Module) -> dict[str, int]:
    """Weights of each stage, without buffers such as batch statistics.

    Returns:
        Stage → number of weights, in the order of `forward`; their sum is the paper's figure.
    """
    return {name: sum(p.numel() for p in stage.parameters()) for name, stage in model.named_children()}


def fuse(model: HEMletsNet) -> HEMletsNet:
    """A copy for inference, with every batch normalisation folded into the convolution before it."""
    fused = copy.deepcopy(model).eval()
    for module in list(fused.modules()):
        for (conv_name, conv), (norm_name, norm) in pairwise(list(module.named_children())):
            if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
                transposed = isinstance(conv, nn.ConvTranspose2d)
                setattr(module, conv_name, fuse_conv_bn_eval(conv, norm, transpose=transposed))
                setattr(module, norm_name, nn.Identity())
    return fused
