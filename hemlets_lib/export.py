"""The network as a file that runs without this library: PyTorch's own format, or ONNX.

    export_network(model, "nano.onnx")

    session = onnxruntime.InferenceSession("nano.onnx")
    joints, triplets, heatmaps = session.run(None, {"images": images})

    network = torch.export.load("nano.pt2").module()
    joints, triplets, heatmaps = network(images)

What goes in and comes out is as in `HEMletsNet.forward`: `images` (B, 3, S, S) float32, normalised, of any
number; `joints` (B, J, 3) in crop space, `triplets` (B, K, S, H, W), `heatmaps` (B, J, H, W), the latter two
with an intermediate branch only. The fused layers are exported. The file says of itself what it is: the
config, the normalisation and where it comes from, as JSON under the name `hemlets`.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hemlets_lib.data.sample import IMAGENET_MEAN, IMAGENET_STD
from hemlets_lib.fused_model import FusedNet
from hemlets_lib.model import HEMletsNet
from hemlets_lib.results import provenance

__all__ = ["METADATA", "SUFFIXES", "export_network"]

SUFFIXES = {"torch": ".pt2", "onnx": ".onnx"}
METADATA = "hemlets"  # the name under which a file keeps what it says of itself
_NEEDED_FOR_ONNX = ("onnx", "onnxscript", "onnxruntime")
_TOLERANCE = 1e-4
_PICTURES = (2, 1, 3)  # when traced, and when tried


def export_network(model: HEMletsNet, path: str | Path) -> float:
    """Writes a network in the format that the file's name ends in, and holds it against the network.

    Args:
        model: Fused or not; a copy of it on the CPU is exported.
        path: Ends in `.pt2` (torch.export) or `.onnx`; its folder must exist.

    Returns:
        By how much the file's outputs differ from the network's, at most, for random pictures.

    Raises:
        ValueError: If the name ends in something else, or the network is not in float32.
        RuntimeError: If ONNX's packages are missing, or the outputs differ by more than 1e-4; nothing is
            written then.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES.values():
        raise ValueError(f"`path` must end in {' or '.join(SUFFIXES.values())}, got {path}.")
    if isinstance(model, FusedNet) and model.precision != "float32":
        raise ValueError(
            f"`model` must be in float32, got {model.precision}. Export the network that it was made of."
        )
    if path.suffix == SUFFIXES["onnx"] and (lacking := [n for n in _NEEDED_FOR_ONNX if not find_spec(n)]):
        raise RuntimeError(
            f"ONNX needs the packages {', '.join(_NEEDED_FOR_ONNX)}; not installed: {', '.join(lacking)}. "
            "pip install 'hemlets[export]', or export to .pt2, which needs nothing."
        )
    fused = copy.deepcopy(model) if isinstance(model, FusedNet) else model.fuse()
    network = _Outputs(fused).cpu().eval()
    shape, generator = (3, model.config.image_size, model.config.image_size), torch.Generator().manual_seed(0)
    traced, *tried = (torch.randn(count, *shape, generator=generator) for count in _PICTURES)
    with _beside(path) as temporary, torch.no_grad(), _quiet():
        program = torch.export.export(network, (traced,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        write = _write_torch if path.suffix == SUFFIXES["torch"] else _write_onnx
        write(program, temporary, network.names, _about(model))
        run = _run_torch if path.suffix == SUFFIXES["torch"] else _run_onnx
        differences = [
            float((found - expected).abs().max())
            for images, outputs in zip(tried, run(temporary, tried), strict=True)
            for found, expected in zip(outputs, network(images), strict=True)
        ]
        if not max(differences) <= _TOLERANCE:  # not a number either
            raise RuntimeError(
                f"{path}: expected the exported network to give the same to {_TOLERANCE:g}, got a difference "
                f"of {max(differences):.1e}; nothing was written. Another version of torch or ONNX may help."
            )
    return max(differences)


class _Outputs(nn.Module):
    """What the network gives, without what it does not: a tuple of tensors, and their names."""

    def __init__(self, model: FusedNet) -> None:
        super().__init__()
        self.model = model
        self.names = ("joints", *(("triplets", "heatmaps") if model.config.intermediate else ()))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        output = self.model(images)._asdict()
        return tuple(output[name] for name in self.names)


def _about(model: HEMletsNet) -> str:
    """JSON: all that is needed to use the file, and where it comes from."""
    content = {
        "config": model.config.to_dict(),
        "images": {"levels": [0, 1], "channels": "RGB", "mean": IMAGENET_MEAN, "std": IMAGENET_STD},
        "provenance": provenance(Path(__file__).resolve().parent),
    }
    return json.dumps(content)


def _write_torch(program: Any, path: Path, names: Sequence[str], about: str) -> None:
    torch.export.save(program, path, extra_files={METADATA: about})


def _write_onnx(program: Any, path: Path, names: Sequence[str], about: str) -> None:
    made = torch.onnx.export(
        program, dynamo=True, input_names=["images"], output_names=names, verbose=False,
        dynamic_shapes=({0: "batch"},),
    )  # fmt: skip
    assert made is not None
    made.model.metadata_props[METADATA] = about
    made.save(path, external_data=False)


def _run_torch(path: Path, batches: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
    network = torch.export.load(path).module()
    return [network(images) for images in batches]


def _run_onnx(path: Path, batches: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    runs = [session.run(None, {"images": images.numpy()}) for images in batches]
    return [tuple(map(torch.from_numpy, outputs)) for outputs in runs]


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A file with the same ending in the same folder, which takes the other's place if all went well."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would hide the file from colleagues
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's notes on itself; what it got wrong, the comparison of outputs shows."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
