"""Readers of downloaded data sets: every form of every data set, by name.

`contract` is what they have in common, `files` and `pictures` how files are opened, `joint_orders` what the
data sets call their joints; every other module or folder reads the forms of one data set.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hemlets_lib.data.readers import fbi, human36m, humaneva, lsp, mpi_inf_3dhp, mpii, ordinal
from hemlets_lib.data.readers.contract import Finding, Reader, Skipped, Take
from hemlets_lib.data.readers.files import DownloadError

__all__ = ["READERS", "DownloadError", "Finding", "Reader", "Skipped", "Take"]

READERS: Mapping[str, Mapping[str, type[Reader]]] = MappingProxyType(
    {
        module.READERS[0].dataset: MappingProxyType({reader.form: reader for reader in module.READERS})
        for module in (human36m, humaneva, mpi_inf_3dhp, mpii, lsp, ordinal, fbi)
    }
)
"""Data set → form → reader."""
