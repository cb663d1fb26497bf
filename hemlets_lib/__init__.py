"""HEMlets: part-centric heatmap triplets for 3D human pose (Zhou et al., ICCV 2019).

    from hemlets_lib import HEMLETS18, encode_triplets, polarity

The names below are the library's public face; each lives in the module that its import names. They
are loaded when first used, so that importing the package, or asking the command line for help, does
not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hemlets_lib.checkpoint import load_checkpoint, save_checkpoint
    from hemlets_lib.heatmaps import render_heatmaps, soft_argmax_3d
    from hemlets_lib.lifting import lift
    from hemlets_lib.losses import hemlets_loss
    from hemlets_lib.metrics import auc_3d, mpjpe, pa_mpjpe, pck_3d
    from hemlets_lib.model import HEMletsNet, ModelConfig
    from hemlets_lib.prediction import predict
    from hemlets_lib.skeleton import HEMLETS18, Skeleton
    from hemlets_lib.triplets import (
        decode_triplets,
        encode_triplets,
        part_lengths,
        part_states,
        polarity,
    )

_HOMES = {
    "HEMLETS18": "skeleton",
    "HEMletsNet": "model",
    "ModelConfig": "model",
    "Skeleton": "skeleton",
    "auc_3d": "metrics",
    "decode_triplets": "triplets",
    "encode_triplets": "triplets",
    "hemlets_loss": "losses",
    "lift": "lifting",
    "load_checkpoint": "checkpoint",
    "mpjpe": "metrics",
    "pa_mpjpe": "metrics",
    "part_lengths": "triplets",
    "part_states": "triplets",
    "pck_3d": "metrics",
    "polarity": "triplets",
    "predict": "prediction",
    "render_heatmaps": "heatmaps",
    "save_checkpoint": "checkpoint",
    "soft_argmax_3d": "heatmaps",
}

__all__ = [
    "HEMLETS18",
    "HEMletsNet",
    "ModelConfig",
    "Skeleton",
    "auc_3d",
    "decode_triplets",
    "encode_triplets",
    "hemlets_loss",
    "lift",
    "load_checkpoint",
    "mpjpe",
    "pa_mpjpe",
    "part_lengths",
    "part_states",
    "pck_3d",
    "polarity",
    "predict",
    "render_heatmaps",
    "save_checkpoint",
    "soft_argmax_3d",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
