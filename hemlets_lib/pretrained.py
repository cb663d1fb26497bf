"""Weights made elsewhere: torchvision's ImageNet backbones, and the names in the authors' release."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights

__all__ = ["from_official", "load_imagenet_backbone", "official_key", "torchvision_state"]

# Our stages and the authors'. `FBI` (forward or backward information) is their earlier name for HEMlets.
OFFICIAL_PREFIXES = MappingProxyType(
    {
        "backbone.": "backbone.",
        "feature_branch.": "conv_feature.conv_",
        "hemlets_branch.": "conv_FBI.conv_",
        "encoder.": "FBI_encoder.",
        "head.": "conv_tail.",
    }
)
OFFICIAL_GRID = (
    "volume_reg.dis_map"  # (1, 18, 64), the bins of their integral; ours are Grid.CORNER_ALIGNED's
)


def load_imagenet_backbone(backbone: nn.Module, name: str, *, allow_missing: bool = False) -> bool:
    """Fills a backbone with torchvision's ImageNet weights (V1), from its cache or by download.

    Args:
        backbone: `HEMletsNet.backbone`, changed in place.
        name: Which network it is, `ModelConfig.backbone`.
        allow_missing: Where there are no weights to be had, warn and keep the random ones.

    Returns:
        Whether weights were loaded.

    Raises:
        ValueError: If the network is not one of torchvision's.
        RuntimeError: If the file is neither in the cache nor can be downloaded.

    Source: Paper silent. Sun et al. [28] start from ImageNet, as is common.
    """
    if name == "tiny":
        raise ValueError(
            "`name`: backbone 'tiny' has no ImageNet weights; expected 'resnet50' or 'resnet18'."
        )
    try:
        state = torchvision_state(
            get_model_weights(name)["IMAGENET1K_V1"], f"ImageNet weights for backbone {name!r}"
        )
    except RuntimeError as error:
        if not allow_missing:
            raise RuntimeError(f"{error} Or pass allow_missing=True to train from random weights.") from error
        warnings.warn(f"{error} The backbone keeps its random weights.", stacklevel=2)
        return False
    backbone.load_state_dict({key: value for key, value in state.items() if not key.startswith("fc.")})
    return True


def torchvision_state(weights: Any, what: str, *, progress: bool = False) -> dict[str, Tensor]:
    """Weights that torchvision offers, from torch's cache or by download; unpickled as tensors only.

    Args:
        weights: An entry of one of torchvision's `…_Weights`.
        what: What messages call them.
        progress: Draw a bar while downloading.

    Returns:
        Name → tensor, on the CPU.

    Raises:
        RuntimeError: If the file is neither in the cache nor can be downloaded; says where to put it.
    """
    try:
        return weights.get_state_dict(
            progress=progress, check_hash=True, map_location="cpu", weights_only=True
        )
    except Exception as error:  # no network: OSError; a damaged file: UnpicklingError, KeyError, …
        raise RuntimeError(
            f"{what} could not be loaded ({type(error).__name__}: {error}). "
            f"Tried {torch.hub.get_dir()}/checkpoints, then {weights.url}. "
            f"To work offline, put {weights.url.rpartition('/')[2]} into that folder."
        ) from error


def official_key(name: str) -> str:
    """The authors' state-dict name for one of the preset `official`'s.

    Raises:
        ValueError: If the name belongs to none of the network's stages.
    """
    for ours, theirs in OFFICIAL_PREFIXES.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    raise ValueError(f"`name` must start with one of {', '.join(OFFICIAL_PREFIXES)}, got {name!r}.")


def from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' state dict under our names, for `HEMletsNet.from_preset("official")`.

    A `module.` before every name, left by data-parallel training, is dropped. So are the bins of their
    integral, a constant that this library computes. Their order of the HEMlets branch's 60 channels
    is not documented; joints do not depend on it.

    Returns:
        The same tensors under the names of `HEMletsNet`.

    Raises:
        ValueError: If a name belongs to none of the network's stages.
    """
    renamed = {}
    for key, value in state.items():
        key = key.removeprefix("module.")
        if key == OFFICIAL_GRID:
            continue
        prefixes = [(ours, theirs) for ours, theirs in OFFICIAL_PREFIXES.items() if key.startswith(theirs)]
        if not prefixes:
            raise ValueError(
                f"`state` must have the official names ({', '.join(OFFICIAL_PREFIXES.values())}), "
                f"got {key!r}. Pass the state dict itself, not the file's outer dict."
            )
        ours, theirs = prefixes[0]
        renamed[ours + key.removeprefix(theirs)] = value
    return renamed
