"""Compiled functions on as many threads as torch has, without a threading library of their own.

numba's own threads do not survive a fork (GNU OpenMP ends the process) or do not bear two callers at a time
(its work queue does too), and both happen: loaders fork their workers, and a server may call from several
threads. Compiled functions that release Python's lock need neither: Python's threads run them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import torch

__all__ = ["in_shares"]

_pool: ThreadPoolExecutor | None = None


def _forget_pool() -> None:
    """A forked process has none of its parent's threads, and would wait for them for ever."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def in_shares(function: Callable[..., object], units: int, *arguments: Any, most: int) -> None:
    """Calls `function(first, last, *arguments)` for equal shares of the units, a share per thread.

    Args:
        function: Releases Python's lock, and leaves the same behind however the units are shared out.
        units: How many there are.
        arguments: Passed on.
        most: Threads worth starting for so much work. `torch.get_num_threads()` is never exceeded.
    """
    global _pool
    shares = max(1, min(torch.get_num_threads(), units, most))
    bounds = [units * share // shares for share in range(shares + 1)]
    waiting = []
    for first, last in pairwise(bounds[1:]):
        try:
            if _pool is None:
                _pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="hemlets-kernel")
            waiting.append(_pool.submit(function, first, last, *arguments))
        except RuntimeError:  # no thread to be had, or Python is ending
            function(first, last, *arguments)
    function(bounds[0], bounds[1], *arguments)
    for each in waiting:
        each.result()
