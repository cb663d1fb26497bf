"""The network for inference: the same function as `HEMletsNet`, in fewer and faster layers.

    fast = model.fuse()                          # equal to 1e-4
    fast = model.fuse(precision="bfloat16")      # half the memory, less exact
    fast(images).joints

What becomes of the layers of Fig. 3; `fusion` has the algebra:

    batch normalisations    part of the convolutions before them
    first transposed        one layer, with the channels of both branches, which read the same features
    convolutions
    feature layer and the   W [features, encoded] = W_f features + W_e encoded; W_f becomes part of the
    1x1 layer after it      3x3 feature layer, from which nothing separates it
    memory                  channels last, as the fast kernels of CPUs and GPUs want it
"""

from __future__ import annotations

from typing import NoReturn

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hemlets_lib.fusion import (
    compiled_or_eager,
    compose,
    composing_pays,
    fold_batch_norms,
    join_transposed,
    split_by_input,
)
from hemlets_lib.kernels.soft_argmax import soft_argmax_3d_fused
from hemlets_lib.model import HEMletsNet, HEMletsOutput

__all__ = ["PRECISIONS", "FusedNet"]

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class FusedNet(HEMletsNet):
    """A network for inference, which `HEMletsNet.fuse` makes; it takes and gives the same.

    It has no batch normalisations and can neither be trained nor saved: train and save the network that
    it was made of, and fuse that again. Joints, triplets and heatmaps are float32 in either precision; a
    volume that is asked for has the layers' own.

    Args:
        source: What to fuse; stays as it is.
        precision: Of weights and layers, "float32" or "bfloat16".
        compiled: As in `HEMletsNet.fuse`.

    Raises:
        ValueError: If the precision is another, or the source has a `forward` of its own.
    """

    def __init__(self, source: HEMletsNet, *, precision: str = "float32", compiled: bool = False) -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"`precision` must be one of {', '.join(PRECISIONS)}, got {precision!r}.")
        if type(source).forward is not HEMletsNet.forward:
            raise ValueError(
                "`source` must be a HEMletsNet with its own `forward`, whose layers are known; got a "
                f"{type(source).__name__} with another. Use it as it is."
            )
        nn.Module.__init__(self)  # the layers are made of the source's, not drawn anew
        self.config, self.precision = source.config, precision
        plain = fold_batch_norms(source)
        self.layers = _Layers(plain).to(PRECISIONS[precision]).to(memory_format=torch.channels_last)
        if self.config.intermediate:
            self.num_triplet_maps = plain.num_triplet_maps
        if self.config.lifted:
            self.lifter = plain.lifter  # reads joints, which are float32
        self.eval()
        self._run = _Layers.forward  # not a bound method: a copy of this network brings its own layers
        self._replayed = compiled and next(self.layers.parameters()).is_cuda  # as a CUDA graph
        if compiled:
            mode = "reduce-overhead" if self._replayed else "default"
            self._run = compiled_or_eager(_Layers.forward, mode=mode, dynamic=False)

    def forward(self, images: Float[Tensor, "B 3 S S"], *, return_volume: bool = False) -> HEMletsOutput:
        """As `HEMletsNet.forward`.

        Raises:
            ValueError: If the images' shape is not the config's.
        """
        config, skeleton = self.config, self.config.skeleton
        self._check(images)
        triplets = heatmaps = None
        if self._replayed:
            torch.compiler.cudagraph_mark_step_begin()
        run = _Layers.forward if torch.compiler.is_compiling() else self._run  # not compiled twice
        maps, volume = run(self.layers, images)
        volume = volume.unflatten(1, (skeleton.num_joints, config.depth_size))  # (B, J, D, H, W)
        joints = self._with_depth(soft_argmax_3d_fused(volume, grid=config.grid))  # (B, J, 3)
        if self._replayed:  # the graph's next run writes where this one did
            maps = None if maps is None else maps.clone()
            volume = volume.clone() if return_volume else volume
        if maps is not None:
            triplets, heatmaps = self._parted(maps)
        return HEMletsOutput(joints, triplets, heatmaps, volume if return_volume else None)

    def fuse(self, *, precision: str = "float32", compiled: bool = False) -> NoReturn:
        """Not possible twice.

        Raises:
            ValueError: Always; says what to fuse instead.
        """
        raise ValueError("expected a network that is not fused yet. Fuse the one that this was made of.")

    def train(self, mode: bool = True) -> FusedNet:
        """Only `train(False)`, which changes nothing, as every network in evaluation mode takes it.

        Raises:
            ValueError: If training mode is asked for; says what to train instead.
        """
        if mode:
            raise ValueError(
                "a fused network is for inference: it has no batch normalisations, and some of its layers "
                "are products of several. Train the network that it was made of, and fuse that again."
            )
        super().train(False)
        return self


class _Layers(nn.Module):
    """From images to maps and volume.

    Args:
        plain: The network with identities for batch normalisations; its layers go over to this one.
    """

    def __init__(self, plain: HEMletsNet) -> None:
        super().__init__()
        self.intermediate = plain.config.intermediate
        first, *feature_body = _layers_of(plain.feature_branch.body)
        head = _layers_of(plain.head)
        assert isinstance(first, nn.ConvTranspose2d) and isinstance(head[0], nn.Conv2d)
        if self.intermediate:
            second, _, *maps_body = _layers_of(plain.hemlets_branch.body)
            assert isinstance(second, nn.ConvTranspose2d)
            first = join_transposed(first, second)
            self.hemlets_branch = nn.Sequential(*maps_body, plain.hemlets_branch.tail)
            self.encoder = nn.Sequential(*_layers_of(plain.encoder))
        self.trunk = nn.Sequential(*_layers_of(plain.backbone), first, feature_body.pop(0))
        self.merge: nn.Module = _Concatenation()
        feature_layer = plain.feature_branch.tail
        if isinstance(feature_layer, nn.Conv2d):
            parts = [head[0]]
            if self.intermediate:
                parts = list(split_by_input(head[0], feature_layer.out_channels))
            if parts[0].kernel_size == (1, 1) and composing_pays(feature_layer, parts[0]):
                self.merge = _SumOfConvolutions([compose(feature_layer, parts[0]), *parts[1:]])
                head = head[1:]
            else:
                feature_body.append(feature_layer)
        self.feature_branch, self.head = nn.Sequential(*feature_body), nn.Sequential(*head)

    def forward(self, images: Tensor) -> tuple[Tensor | None, Tensor]:
        """Maps, (B, K·S + J, H, W), in float32, and the volume's scores, (B, J·D, H, W)."""
        images = images.to(next(self.parameters()).dtype, memory_format=torch.channels_last)
        shared = self.trunk(images)  # (B, 512, 16, 16) in the preset `official`: of both branches
        if not self.intermediate:
            return None, self.head(self.merge([self.feature_branch(shared)]))
        of_features, of_maps = shared.chunk(2, dim=1)
        maps = self.hemlets_branch(of_maps)
        parts = [self.feature_branch(of_features), self.encoder(maps)]
        return maps.to(torch.promote_types(maps.dtype, torch.float32)), self.head(self.merge(parts))


def _layers_of(sequence: nn.Sequential) -> list[nn.Module]:
    return [layer for layer in sequence if not isinstance(layer, nn.Identity)]


class _Concatenation(nn.Module):
    """Features and encoded maps, one after the other."""

    def forward(self, parts: list[Tensor]) -> Tensor:
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


class _SumOfConvolutions(nn.ModuleList):
    """A convolution of what `_Concatenation` gives, without making that: each part has its own layer."""

    def forward(self, parts: list[Tensor]) -> Tensor:
        total, *others = (layer(part) for layer, part in zip(self, parts, strict=True))
        for other in others:
            total += other
        return total
