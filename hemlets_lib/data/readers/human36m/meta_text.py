"""`matlab_meta.txt`: poses and camera of one take of Human3.6M as text, handed round by Sun et al.

    12                                frames
    size 1000 1002                    of the picture; each line begins with a word that is passed over
    R r11 r21 r31 r12 …               world to camera, column by column, as MATLAB stores it
    T x y z                           the camera's centre in the world, mm
    f fx fy                           px
    c cx cy                           px
    k k1 k2 k3
    p p1 p2
    joints 1 2 3 4 7 8 …              17 of the 32, from 1
    pose x1 y1 z1 x2 …                a line for each frame: 32 joints in world space, mm

Source: `parsing_hm36_gt_file` of JimmySuen/integral-human-pose. It does not say what the words are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from hemlets_lib.data.readers.files import DownloadError, as_array
from hemlets_lib.data.readers.human36m.facts import JOINT_NAMES_32
from hemlets_lib.data.readers.human36m.images import check_rotation
from hemlets_lib.geometry import Camera

__all__ = ["count_poses", "parse_meta_text"]

_LENGTHS = (1, 2, 9, 3, 2, 2, 3, 2, 17)  # numbers in each line before the poses
_JOINTS_32 = len(JOINT_NAMES_32)
_LONGEST_LINE = 1 << 16  # bytes; a pose takes a thousand


def count_poses(path: Path) -> int:
    """How many frames a file holds, from its head and its last line.

    Raises:
        DownloadError: If it is missing or cut short, or its head is not as it should be.
    """
    if not path.is_file() or not path.stat().st_size:
        raise DownloadError("the file is missing or empty")
    with path.open("rb") as file:
        head = b"".join(file.readline(_LONGEST_LINE) for _ in range(len(_LENGTHS) + 1))
        file.seek(max(0, path.stat().st_size - _LONGEST_LINE))
        last = file.read().rstrip().rpartition(b"\n")[2]
    count, _ = _head(head.decode("utf-8", "replace").splitlines(), path.name)
    if len(last.split()) <= 3 * _JOINTS_32:
        raise DownloadError("the last line holds no whole pose: the file is cut short")
    return count


def parse_meta_text(text: str, *, where: str) -> tuple[Float[np.ndarray, "F 17 3"], Camera]:
    """The content of a `matlab_meta.txt`.

    Args:
        text: As the module's docstring shows it.
        where: The file, for messages.

    Returns:
        The 17 joints in world space, mm; and the camera.

    Raises:
        DownloadError: If a line is missing or holds too few numbers, or something else than numbers.
    """
    lines = text.splitlines()
    count, numbers = _head(lines, where)
    poses = lines[len(_LENGTHS) :]
    if len(poses) < count:
        raise DownloadError(f"{where}: expected {count} lines of poses, got {len(poses)}.")
    rows = [
        _numbers(line, 3 * _JOINTS_32, where=f"{where}, line {at}")
        for at, line in enumerate(poses[:count], len(_LENGTHS) + 1)
    ]
    chosen = numbers[8]
    if ((chosen < 1) | (chosen > _JOINTS_32) | (chosen % 1 != 0)).any():
        raise DownloadError(
            f"{where}: expected the numbers of 17 joints, 1 to {_JOINTS_32}, got {chosen.tolist()}."
        )
    joints = np.stack(rows).reshape(-1, _JOINTS_32, 3)[:, chosen.astype(int) - 1]
    rotation = numbers[2].reshape(3, 3).T.copy()
    check_rotation(rotation, where=where)
    camera = Camera(
        focal_px=torch.from_numpy(numbers[4]),
        centre_px=torch.from_numpy(numbers[5]),
        k_radial=torch.from_numpy(numbers[6]),
        p_tangential=torch.from_numpy(numbers[7]),
        rotation=torch.from_numpy(rotation),
        position_mm=torch.from_numpy(numbers[3]),
    )
    return joints, camera


def _head(lines: list[str], where: str) -> tuple[int, list[Float[np.ndarray, "N"]]]:
    """How many frames there are, and the numbers of each line before the poses."""
    if len(lines) <= len(_LENGTHS):
        raise DownloadError(
            f"{where}: expected {len(_LENGTHS)} lines and a line for each frame, got {len(lines)} lines."
        )
    found = [
        _numbers(line, length, where=f"{where}, line {at}", passed_over=at > 1)
        for at, (line, length) in enumerate(zip(lines, _LENGTHS, strict=False), 1)
    ]
    count = float(found[0][0])
    if not (count.is_integer() and count > 0):
        raise DownloadError(f"{where}, line 1: expected how many frames there are, got {lines[0][:40]!r}.")
    if not (found[4] > 0).all():
        raise DownloadError(f"{where}, line 5: expected focal lengths above 0 px, got {found[4].tolist()}.")
    return int(count), found


def _numbers(line: str, length: int, *, where: str, passed_over: bool = True) -> Float[np.ndarray, "N"]:
    words = line.split()[1:] if passed_over else line.split()
    if len(words) < length:
        raise DownloadError(f"{where}: expected {length} numbers after a word, got {len(words)}.")
    try:
        values = [float(word) for word in words[:length]]
    except ValueError:
        raise DownloadError(f"{where}: expected numbers, got {line[:40]!r}.") from None
    return as_array(values, (length,), name="numbers", where=where, finite=True)
