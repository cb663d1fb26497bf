"""Memory that a training step frees, kept for the next step."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory"]

# mallopt's parameters, <malloc.h>
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_NEVER = 2**31 - 1
_STEP_BYTES = 2**28


def keep_freed_memory() -> bool:
    """Tells the C library to keep large blocks that are freed rather than hand them back to the system.

    By default each tensor of more than 32 MB is mapped anew, and the system clears its pages again, which
    takes time while other threads wait; `benchmarks/training.py` measures how much. Holds for the whole
    process, whose memory then stays at its peak. Does nothing where the C library is not glibc.

    Returns:
        Whether it was done.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    wanted = ((_MMAP_THRESHOLD, _NEVER), (_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, _STEP_BYTES))
    return all(mallopt(parameter, value) == 1 for parameter, value in wanted)
