"""Readers of downloaded data sets: every form of every data set, by name.

`contract` is what they have in common, `files` and `pictures` how files are opened, `joint_orders` what the
data sets call their joints; each other module reads forms of one data set.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from hemlets_lib.data.readers.contract import Finding, Reader, Skipped, Take
from hemlets_lib.data.readers.files import DownloadError

__all__ = ["READERS", "DownloadError", "Finding", "Reader", "Skipped", "Take"]


def _by_name() -> Mapping[str, Mapping[str, type[Reader]]]:
    found: dict[str, dict[str, type[Reader]]] = {}
    for module in sorted(each.name for each in pkgutil.iter_modules(__path__)):
        for reader in getattr(importlib.import_module(f"{__name__}.{module}"), "READERS", ()):
            found.setdefault(reader.dataset, {})[reader.form] = reader
    return MappingProxyType(found)


READERS: Mapping[str, Mapping[str, type[Reader]]] = _by_name()
"""Data set → form → reader."""
