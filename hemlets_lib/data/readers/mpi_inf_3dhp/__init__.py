"""MPI-INF-3DHP: its training part and its test part, in one folder or apart."""

from __future__ import annotations

from hemlets_lib.data.readers.contract import Reader
from hemlets_lib.data.readers.mpi_inf_3dhp.reader import MpiInf3dhp

__all__ = ["READERS"]

READERS: tuple[type[Reader], ...] = (MpiInf3dhp,)
