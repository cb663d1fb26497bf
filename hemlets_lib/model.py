"""The network of Fig. 3: an image in; heatmap triplets, 2D heatmaps and 3D joints out.

Contract: images are (B, 3, S, S), RGB, normalised with ImageNet's mean and standard deviation, S the
config's `image_size`. Joints come out in crop space (`geometry`), (x, y, z) in [-0.5, 0.5]. The five
stages are the five attributes of `HEMletsNet`:

    image → backbone ─┬→ feature_branch ─────────────────────────┬→ head → soft-argmax → joints
                      └→ hemlets_branch ─┬→ encoder ─────────────┘
                                         └→ triplets, heatmaps
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.models.resnet import BasicBlock

from hemlets_lib.geometry import DEPTH_RANGE_MM
from hemlets_lib.kernels.soft_argmax import soft_argmax_3d_fused
from hemlets_lib.model_config import BACKBONES, PRESETS, ModelConfig
from hemlets_lib.pretrained import load_imagenet_backbone
from hemlets_lib.rivals import JointLifter

if TYPE_CHECKING:
    from hemlets_lib.fused_model import FusedNet

__all__ = [
    "BACKBONES",
    "PRESETS",
    "HEMletsNet",
    "HEMletsOutput",
    "ModelConfig",
    "UpsamplingBranch",
    "count_parameters",
]

TINY_WIDTHS, TINY_BLOCKS = (24, 48, 96, 192), (1, 2, 2)  # channels; residual blocks at each but the first


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
        self._check(images)
        triplets = heatmaps = None
        features = self.backbone(images)  # (B, 2048, 8, 8)
        fused = self.feature_branch(features)  # (B, 256, 64, 64)
        if config.intermediate:
            maps = self.hemlets_branch(features)  # (B, K·S + J, 64, 64)
            triplets, heatmaps = self._parted(maps)  # (B, K, S, 64, 64) and (B, J, 64, 64)
            encoded = self.encoder(maps)  # (B, 256, 64, 64)
            fused = torch.cat([fused, encoded], dim=1)  # (B, 512, 64, 64)
        volume = self.head(fused).unflatten(1, (skeleton.num_joints, config.depth_size))  # (B, J, 64, 64, 64)
        joints = self._with_depth(soft_argmax_3d_fused(volume, grid=config.grid))  # (B, J, 3), Eq. (5)
        return HEMletsOutput(joints, triplets, heatmaps, volume if return_volume else None)

    def fuse(self, *, precision: str = "float32", compiled: bool = False) -> FusedNet:
        """A copy for inference: the same function in fewer and faster layers. `fused_model` says how.

        Args:
            precision: "float32", equal to this network to 1e-4; or "bfloat16", which takes half the memory
                and, where the hardware has it, half the time. Joints are float32 always.
            compiled: Through `torch.compile`, as a CUDA graph on a GPU. The first call of each batch size
                takes a minute then. Where compiling fails, the network warns and runs without.

        Raises:
            ValueError: If the precision is another.
        """
        from hemlets_lib.fused_model import FusedNet

        return FusedNet(self, precision=precision, compiled=compiled)

    def _check(self, images: Tensor) -> None:
        size = self.config.image_size
        if images.ndim != 4 or images.shape[1:] != (3, size, size):
            raise ValueError(
                f"`images` must be (B, 3, {size}, {size}) for {self.config.name!r}, "
                f"got {tuple(images.shape)}. Crop and resize them first."
            )

    def _parted(self, maps: Float[Tensor, "B maps H W"]) -> tuple[Tensor, Tensor]:
        """Triplets, (B, K, S, H, W), and heatmaps, (B, J, H, W).

        One split, not two slices: backward then joins the halves and does not add two padded ones.
        """
        skeleton = self.config.skeleton
        triplets, heatmaps = maps.split([self.num_triplet_maps, skeleton.num_joints], dim=1)
        return triplets.unflatten(1, (skeleton.num_parts, self.config.num_states)), heatmaps

    def _with_depth(self, joints: Float[Tensor, "B J 3"]) -> Float[Tensor, "B J 3"]:
        """The volume's depth in units of crop space, or the lifter's in its place."""
        config = self.config
        if config.depth_range_mm != DEPTH_RANGE_MM:
            joints = joints * joints.new_tensor([1, 1, config.depth_range_mm / DEPTH_RANGE_MM])
        if config.lifted:
            planar = joints[..., :2]
            joints = torch.cat([planar, self.lifter(planar)[..., None].to(joints)], -1)
        return joints

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
