"""Compiled functions on as many threads as torch has, without a threading library of their own.

numba's own threads do not survive a fork (GNU OpenMP ends the process) or do not bear two callers at a time
(its work queue does too), and both happen: loaders fork their workers, and a server may call from several
threads. Compiled functions that release Python's lock need neither: Python's threads run them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import pairwise
from typing import Any

import torch

__all__ = ["in_shares"]

_pool: ThreadPoolExecutor | None = None
_making = threading.Lock()


def _forget_pool() -> None:
    """A forked process has none of its parent's threads, and would wait for them for ever."""
    global _pool, _making
    _pool, _making = None, threading.Lock()  # whose holder may have been one of them


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
    shares = max(1, min(torch.get_num_threads(), units, most))
    bounds = [units * share // shares for share in range(shares + 1)]
    waiting: list[Future[object]] = []
    try:
        for first, last in pairwise(bounds[1:]):
            waiting.append(_submitted(function, first, last, *arguments))
        function(bounds[0], bounds[1], *arguments)
    finally:  # also where one has failed: none may go on writing once this returns
        wait(waiting)
    for each in waiting:
        each.result()


def _submitted(function: Callable[..., object], *arguments: Any) -> Future[object]:
    """A share that a thread of the pool is at, or that is done already where there is no thread to be had."""
    global _pool
    once = _Once(function)
    try:
        with _making:
            if _pool is None:
                _pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="hemlets-kernel")
        return _pool.submit(once, *arguments)
    except RuntimeError:  # or Python is ending. The pool may have the share in its queue all the same
        done: Future[object] = Future()
        once(*arguments)
        done.set_result(None)
        return done


class _Once:
    """A function that can be called once; later calls do nothing."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._left = [function]

    def __call__(self, *arguments: Any) -> None:
        try:
            function = self._left.pop()
        except IndexError:
            return
        function(*arguments)
