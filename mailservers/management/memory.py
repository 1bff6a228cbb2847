"""How a serving process keeps its memory: what large messages needed is given back at once.

glibc gives each thread a heap of its own, and raises the size from which memory is asked of the system (and given
back) each time a large block is freed, up to 32 MB: a few large blocks in half a dozen threads, and a hundred
megabytes stay. Fixed limits end that. Blocks below GIVEN_BACK_OVER, all that small messages need, are kept and used
again as before.
"""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h
GIVEN_BACK_OVER = 2 * 1024 * 1024  # octets in one block
KEPT_FREE = 8 * 1024 * 1024  # octets at the end of a heap
HEAPS = 2  # Python runs one thread at a time anyhow


def limit_heaps() -> None:
    """Before threads start. Where the C library is another, nothing happens."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, HEAPS)
        mallopt(M_MMAP_THRESHOLD, GIVEN_BACK_OVER)
        mallopt(M_TRIM_THRESHOLD, KEPT_FREE)
