"""HumanEva-I: the data set's videos, with the joints that VideoPose3D's conversion gives."""

from __future__ import annotations

from hemlets_lib.data.readers.contract import Reader
from hemlets_lib.data.readers.humaneva.reader import HumanEvaMat, HumanEvaNpz

__all__ = ["READERS"]

READERS: tuple[type[Reader], ...] = (HumanEvaMat, HumanEvaNpz)
