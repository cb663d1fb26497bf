"""Real motion capture: CMU's ASF/AMC and BVH, as takes.

`rig` is what the two formats share, `asf` and `bvh` parse them, `readers` finds the 18 joints.
"""

from hemlets_lib.data.mocap.readers import (
    CMU_CAPTURE_FPS,
    MocapError,
    find_mocap,
    read_amc,
    read_bvh,
    read_mocap,
)

__all__ = ["CMU_CAPTURE_FPS", "MocapError", "find_mocap", "read_amc", "read_bvh", "read_mocap"]
