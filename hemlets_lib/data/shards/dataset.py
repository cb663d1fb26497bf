"""The one format for samples on disk: Arrow shards with a manifest that says what they are.

A folder holds `shard-00000.arrow`, `shard-00001.arrow`, … of equally many samples (the last may hold
fewer) and `manifest.json` (`manifest`). Shards are opened by Hugging Face `datasets`
(`Dataset.from_file`): indexed and memory-mapped, so a set may exceed memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hemlets_lib.data.sample import Meta, Sample
from hemlets_lib.data.shards.manifest import read_manifest, sha256, span_length
from hemlets_lib.data.shards.records import sample_from_record

__all__ = ["ShardCheck", "ShardDataset", "verify_shards"]


@dataclass(frozen=True)
class ShardCheck:
    """What `verify_shards` found: good samples, their bytes, and what is wrong."""

    root: Path
    num_rows: int
    num_bytes: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def _open_shard(path: Path, line: Mapping[str, Any]) -> Any:
    """One shard, memory-mapped, its pictures left encoded.

    Raises:
        ValueError: If it is missing, is not as large as the manifest says, or is not Arrow.
    """
    from datasets import Dataset
    from datasets import Image as ImageFeature

    remedy = "Run the same `hemlets data build` again: it makes damaged shards anew and keeps the others."
    if not path.is_file():
        raise ValueError(f"{path}: expected a shard of {line['rows']} samples, found no file. {remedy}")
    if (size := path.stat().st_size) != line["bytes"]:
        raise ValueError(f"{path}: expected {line['bytes']} bytes, got {size}: it is truncated. {remedy}")
    try:
        opened = Dataset.from_file(str(path))
        if len(opened) != line["rows"]:
            raise ValueError(f"it holds {len(opened)} samples instead of {line['rows']}")
        return opened.cast_column("image", ImageFeature(decode=False))
    except Exception as error:  # pyarrow and datasets raise many kinds for a damaged file
        raise ValueError(
            f"{path}: expected an Arrow shard, got a damaged file ({error}). {remedy}"
        ) from error


def verify_shards(root: str | Path) -> ShardCheck:
    """Checks a folder: every shard's hash and count, and that its first and last samples decode.

    Returns:
        What was found; problems are listed, not raised.

    Raises:
        FileNotFoundError: If there is no manifest.
        ValueError: If the manifest cannot be read.
    """
    root = Path(root)
    manifest = read_manifest(root)
    problems, rows, size, done = [], 0, 0, 0
    for line in manifest["shards"]:
        path = root / line["name"]
        try:
            shard = _open_shard(path, line)
            if sha256(path) != line["sha256"]:
                raise ValueError(f"{path}: not what was written (its SHA-256 differs). Build it again.")
            for at in {0, len(shard) - 1} if len(shard) else ():
                sample_from_record(shard[at], name=f"{path} sample {at}")
        except ValueError as error:
            problems.append(str(error))
            continue
        rows, size, done = rows + line["rows"], size + line["bytes"], done + span_length(line)
    listed = {line["name"] for line in manifest["shards"]}
    strangers = [path for path in sorted(root.glob("*.arrow")) if path.name not in listed]
    problems += [f"{path}: not in the manifest" for path in strangers]
    if done < manifest["num_rows"] and not problems:
        problems.append(
            f"{root}: holds {done} of {manifest['num_rows']} samples: the build was interrupted. Repeat it."
        )
    return ShardCheck(root=root, num_rows=rows, num_bytes=size, problems=tuple(problems))


class ShardDataset:
    """The samples of a folder of shards, by number; a map-style data set for torch's `DataLoader`.

    Opening checks that the build is complete and each shard has its right size (`verify_shards` compares
    hashes too). Shards stay on disk and are memory-mapped, also in worker processes.

    Args:
        root: The folder that `build_shards` wrote.

    Raises:
        FileNotFoundError: If there are no shards there.
        ValueError: If the build was interrupted, or a shard is missing or damaged.
    """

    def __init__(self, root: str | Path) -> None:
        from datasets import concatenate_datasets

        self.root = Path(root)
        self.manifest = read_manifest(self.root)
        lines = self.manifest["shards"]
        if not self.manifest["complete"]:
            raise ValueError(
                f"{self.root}: expected {self.manifest['num_rows']} samples, got an unfinished build of "
                f"{sum(line['rows'] for line in lines)}. Run the same `hemlets data build` again."
            )
        self._rows = concatenate_datasets([_open_shard(self.root / line["name"], line) for line in lines])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"`index` must be within the {len(self)} samples of {self.root}, got {index}")
        index = int(index) % len(self)
        return sample_from_record(self._rows[index], name=f"{self.root} sample {index}")

    @property
    def config(self) -> Mapping[str, Any]:
        """What made these samples."""
        return self.manifest["identity"]["source"]

    def metas(self) -> list[Meta]:
        """Where each sample comes from, without decoding pictures; for choosing by subject or action."""
        names = [field.name for field in fields(Meta)]
        columns = self._rows.select_columns(names)[:]
        return [Meta(*values) for values in zip(*(columns[name] for name in names), strict=True)]

    def joints(self) -> tuple[Float[Tensor, "N J 3"], Bool[Tensor, "N J"]]:
        """Every sample's labels in its crop, without decoding pictures; for choosing by pose.

        Returns:
            `joints_crop` and `joint_valid` of all samples.
        """
        columns = self._rows.select_columns(["joints_crop", "joint_valid"]).with_format("numpy")[:]
        joints_crop = torch.from_numpy(np.stack(columns["joints_crop"]).astype(np.float32))
        valid = torch.from_numpy(np.stack(columns["joint_valid"]).astype(bool))
        return joints_crop.reshape(len(valid), -1, 3), valid
