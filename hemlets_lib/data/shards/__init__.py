"""Samples on disk: one indexed format for every source.

`records` is a sample as a row, `manifest` what a folder holds, `build` makes and `dataset` checks and reads.
"""

from hemlets_lib.data.shards.build import build_shards
from hemlets_lib.data.shards.dataset import ShardCheck, ShardDataset, verify_shards

__all__ = ["ShardCheck", "ShardDataset", "build_shards", "verify_shards"]
