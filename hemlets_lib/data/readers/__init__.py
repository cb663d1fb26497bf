"""Readers of downloaded data sets: every form of every data set, by name.

`contract` is what they have in common, `files` and `pictures` how files are opened; each other module reads
the forms of one data set.
"""

from __future__ import annotations

from hemlets_lib.data.readers.contract import Finding, Reader, Skipped, Take
from hemlets_lib.data.readers.files import DownloadError

__all__ = ["DownloadError", "Finding", "Reader", "Skipped", "Take"]
