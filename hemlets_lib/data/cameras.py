"""The four cameras of Human3.6M, as they stood in each subject's session: published calibration. And others.

World space is the data set's own: millimetres, z up, the floor near z = 0, the room's middle about the
origin. The rotation takes world to camera, X_cam = R (X_world - position).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from jaxtyping import Float

from hemlets_lib.geometry import Camera

__all__ = ["CAMERA_NAMES", "SESSIONS", "calibrated_camera", "h36m_camera", "look_at"]

# Focal length (x, y), principal point (x, y), k1 k2 k3, p1 p2.
# Source: `w0` of metadata.xml in the code release of Human3.6M.
# fmt: off
_INTRINSICS: Mapping[str, tuple[float, ...]] = MappingProxyType({
    "54138969": (1145.0494, 1143.7811, 512.5415, 515.4515,
                 -0.207099, 0.247775, -0.003075, -0.001424, -0.000976),
    "55011271": (1149.6757, 1147.5917, 508.8486, 508.0649,
                 -0.194214, 0.240409, 0.006820, -0.002741, -0.001619),
    "58860488": (1149.1407, 1148.7990, 519.8158, 501.4026,
                 -0.208338, 0.255488, -0.002460, -0.000760, 0.001484),
    "60457274": (1145.5114, 1144.7739, 514.9682, 501.8820,
                 -0.198384, 0.218324, -0.008948, -0.001813, -0.000587),
})
# fmt: on
CAMERA_NAMES = tuple(_INTRINSICS)

# For each subject's session the four cameras in the order above: Euler angles in radians, R = Rx Ry Rz
# (world to camera), and the camera's centre in the world in mm.
_EXTRINSICS: Mapping[str, tuple[tuple[float, ...], ...]] = MappingProxyType(
    {
        "S1": (
            (1.7577648, 0.0257504, -2.7279563, 1841.1071, 4955.2847, 1563.4454),
            (1.7864215, 0.0022484, -0.3813295, 1761.2786, -5078.0068, 1606.2650),
            (1.7869882, -0.0457389, 2.7265820, -1846.7777, 5215.0464, 1491.9724),
            (1.8507455, 0.0619456, 0.4130197, -1794.7897, -3722.6990, 1574.8927),
        ),
        "S5": (
            (1.7654155, 0.0209750, -2.7007827, 2097.3916, 4880.9448, 1605.7324),
            (1.7852876, 0.0122746, -0.3968552, 2031.7008, -5167.9331, 1612.9231),
            (1.7853183, -0.0617711, 2.7587273, -1620.5948, 5171.6587, 1496.4370),
            (1.8282725, 0.0841525, 0.3882926, -1637.1737, -3867.3174, 1547.0332),
        ),
        "S6": (
            (1.7677520, 0.0080364, -2.7262544, 1935.4518, 4950.2456, 1618.0839),
            (1.7888579, 0.0185264, -0.4029854, 1969.8040, -5128.7388, 1632.7788),
            (1.7786383, -0.0686152, 2.7356728, -1769.5964, 5185.3613, 1476.9934),
            (1.8258440, 0.0920537, 0.3970659, -1721.6687, -3884.1313, 1540.4879),
        ),
        "S7": (
            (1.7648026, 0.0147529, -2.7037654, 1974.5129, 4926.3545, 1597.8326),
            (1.7904332, 0.0161754, -0.3991682, 1937.0585, -5119.7900, 1631.5665),
            (1.7795725, -0.0651965, 2.7557332, -1741.8112, 5208.2495, 1464.8246),
            (1.8292936, 0.0906745, 0.3854159, -1734.7106, -3832.4214, 1548.5830),
        ),
        "S8": (
            (1.7643017, 0.0202042, -2.7183345, 2150.6519, 4896.1611, 1611.9047),
            (1.7862966, 0.0125247, -0.3734087, 2219.9656, -5148.4531, 1613.0441),
            (1.7852597, -0.0625533, 2.7458544, -1571.2216, 5137.0186, 1498.1761),
            (1.8289779, 0.0850986, 0.3735542, -1476.9133, -3896.7412, 1547.9722),
        ),
        "S9": (
            (1.7549911, 0.0413329, -2.7001139, 2044.4585, 4935.1172, 1481.2275),
            (1.7780091, -0.0073292, -0.3720143, 1990.9597, -5123.8105, 1568.8048),
            (1.7927109, -0.0386320, 2.7588037, -1670.9922, 5211.9858, 1528.3879),
            (1.8394290, 0.0636653, 0.4095022, -1696.0435, -3827.0999, 1591.4127),
        ),
        "S11": (
            (1.7590541, 0.0387368, -2.7059082, 2098.4402, 4926.5547, 1500.2786),
            (1.7745033, -0.0014173, -0.3984446, 2083.1824, -4912.1729, 1561.0786),
            (1.8020574, -0.0409502, 2.7071732, -1609.8153, 5177.3359, 1537.8967),
            (1.8363106, 0.0652260, 0.4039996, -1590.7380, -3854.1689, 1578.0176),
        ),
    }
)
SESSIONS = tuple(_EXTRINSICS)


def h36m_camera(name: str, subject: str = "S1") -> Camera:
    """One of Human3.6M's four cameras, as it stood in a subject's session; float64.

    Args:
        name: One of `CAMERA_NAMES`.
        subject: Whose session, one of `SESSIONS`; the cameras were set up anew for each.

    Raises:
        ValueError: If there is no such camera or subject.
    """
    if name not in _INTRINSICS:
        raise ValueError(f"`name` must be one of {', '.join(CAMERA_NAMES)}, got {name!r}")
    if subject not in _EXTRINSICS:
        raise ValueError(
            f"`subject` must be one of {', '.join(_EXTRINSICS)}, got {subject!r}. "
            "For other people use S1's set-up."
        )
    return calibrated_camera(_INTRINSICS[name], _EXTRINSICS[subject][CAMERA_NAMES.index(name)])


def calibrated_camera(intrinsics: Sequence[float], extrinsics: Sequence[float]) -> Camera:
    """A camera from the numbers that Human3.6M's metadata.xml has of it; float64.

    Args:
        intrinsics: Focal lengths and principal point (x, y each), k1 k2 k3, p1 p2; 9 numbers.
        extrinsics: Euler angles in radians, R = Rx Ry Rz from world to camera, and the camera's centre in the
            world in mm; 6 numbers.
    """
    numbers = torch.tensor(intrinsics, dtype=torch.float64)
    pose = torch.tensor(extrinsics, dtype=torch.float64)
    return Camera(
        focal_px=numbers[:2], centre_px=numbers[2:4], k_radial=numbers[4:7], p_tangential=numbers[7:],
        rotation=_rotation(*pose[:3].tolist()), position_mm=pose[3:],
    )  # fmt: skip


def look_at(
    position_mm: Sequence[float],
    target_mm: Sequence[float],
    *,
    focal_px: float,
    centre_px: tuple[float, float],
) -> Camera:
    """A pinhole camera that stands upright and has a point in the middle of its picture; float64.

    Args:
        position_mm: Where it stands, world.
        target_mm: What it looks at, world; not straight above or below.
        focal_px: Focal length.
        centre_px: Principal point (x, y).

    Raises:
        ValueError: If it would look straight up or down.
    """
    position = torch.tensor(position_mm, dtype=torch.float64)
    forward = torch.tensor(target_mm, dtype=torch.float64) - position
    right = torch.linalg.cross(forward, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    if float(right.norm()) == 0:
        raise ValueError(
            f"`target_mm` must not lie straight above or below the camera, got {tuple(target_mm)} seen from "
            f"{tuple(position_mm)}: there is no upright picture of it"
        )
    rows = (right, torch.linalg.cross(forward, right), forward)
    return Camera(
        focal_px=torch.full((2,), focal_px, dtype=torch.float64),
        centre_px=torch.tensor(centre_px, dtype=torch.float64),
        rotation=torch.stack([row / row.norm() for row in rows]),
        position_mm=position,
    )


def _rotation(rx: float, ry: float, rz: float) -> Float[torch.Tensor, "3 3"]:
    def turn(axis: int, angle: float) -> torch.Tensor:
        matrix = torch.eye(3, dtype=torch.float64)
        i, j = (axis + 1) % 3, (axis + 2) % 3
        matrix[i, i] = matrix[j, j] = math.cos(angle)
        matrix[j, i], matrix[i, j] = math.sin(angle), -math.sin(angle)
        return matrix

    return turn(0, rx) @ turn(1, ry) @ turn(2, rz)
