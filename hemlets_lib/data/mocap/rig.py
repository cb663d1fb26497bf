"""What every motion capture file is read into: a rig, the bones of one body over time.

A rig has a rest pose, in which nothing is rotated, and for every frame the rotation and the place of
every bone. A point of the rest pose that is fixed to a bone is carried along by it; all joints of
the skeleton are such points (`readers.py` says which). Lengths are in the file's own unit and axes
are the file's own: units and "up" are settled once, in `readers.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

__all__ = ["MocapError", "Rig", "euler_matrix", "parse_numbers", "read_lines"]


class MocapError(ValueError):
    """A motion capture file that cannot be read; the message names the file and the line."""

    @classmethod
    def at(cls, path: Path, line: int | None, *, expected: str, got: str, hint: str = "") -> MocapError:
        place = f"{path}" if line is None else f"{path}, line {line}"
        return cls(f"{place}: expected {expected}, got {got}." + (f" {hint}" if hint else ""))


@dataclass(frozen=True, eq=False)
class Rig:
    """N bones over F frames; a bone is a joint and the stretch of body that turns with it.

    Args:
        path: The file, for messages.
        names: The bones; every parent comes before its children.
        parents: Each bone's parent, -1 for the root.
        rest_starts: Where each bone begins (its joint) in the rest pose.
        rest_ends: Where it ends in the rest pose; the start again for a bone without extent.
        rotations: From the rest pose to each frame.
        starts: Where each bone begins in each frame.
        fps: Frames per second.
    """

    path: Path
    names: tuple[str, ...]
    parents: tuple[int, ...]
    rest_starts: Float[np.ndarray, "N 3"]
    rest_ends: Float[np.ndarray, "N 3"]
    rotations: Float[np.ndarray, "F N 3 3"]
    starts: Float[np.ndarray, "F N 3"]
    fps: float

    def index(self, bone: str) -> int:
        """The place of a bone.

        Raises:
            MocapError: If the rig has no such bone.
        """
        if bone not in self.names:
            raise MocapError.at(
                self.path, None, expected=f"a bone named {bone!r}", got=f"bones {', '.join(self.names)}"
            )
        return self.names.index(bone)

    def carry(self, rest_point: Float[np.ndarray, "3"], bone: int) -> Float[np.ndarray, "F 3"]:
        """Where a point of the rest pose goes when it moves with a bone."""
        lever = rest_point - self.rest_starts[bone]
        return self.starts[:, bone] + self.rotations[:, bone] @ lever


def euler_matrix(radians: Float[np.ndarray, "*batch 3"], order: str) -> Float[np.ndarray, "*batch 3 3"]:
    """The product of three rotations about the axes, for column vectors.

    Args:
        radians: One angle per letter of `order`, in that order.
        order: Three of "xyz"; the letter written first is the matrix written first. "zyx" is
            R = Rz Ry Rx: it turns about x first, then y, then z.
    """
    product = np.broadcast_to(np.eye(3), (*radians.shape[:-1], 3, 3))
    for angle, letter in zip(np.moveaxis(radians, -1, 0), order, strict=True):
        axis = "xyz".index(letter)
        second, third = (axis + 1) % 3, (axis + 2) % 3
        turn = np.zeros((*angle.shape, 3, 3))
        turn[..., axis, axis] = 1.0
        turn[..., second, second] = turn[..., third, third] = np.cos(angle)
        turn[..., third, second] = np.sin(angle)
        turn[..., second, third] = -np.sin(angle)
        product = product @ turn
    return product


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text file that say something, with their numbers from 1.

    Returns:
        (line number, line without surrounding blanks), blank lines left out.

    Raises:
        MocapError: If the file is missing or empty.
    """
    if not path.is_file():
        raise MocapError.at(path, None, expected="a motion capture file", got="no such file")
    text = path.read_text(encoding="utf-8-sig", errors="replace")  # a binary file fails at its first word
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line]
    if not lines:
        raise MocapError.at(path, None, expected="a motion capture file", got="an empty file")
    return lines


def parse_numbers(path: Path, line: int, words: Sequence[str], *, count: int, what: str) -> list[float]:
    """Exactly `count` finite numbers.

    Args:
        path: The file, for messages.
        line: Where the words stand, for messages.
        words: What was read.
        count: How many are due.
        what: What they are, for messages.

    Raises:
        MocapError: If there are more or fewer, or one is not a finite number.
    """
    if len(words) != count:
        raise MocapError.at(
            path, line, expected=f"{count} numbers for {what}", got=f"{len(words)}",
            hint="The file may be cut short.",
        )  # fmt: skip
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        wrong = next(word for word in words if not _is_number(word))
        raise MocapError.at(path, line, expected=f"a number for {what}", got=repr(wrong)) from None
    if not np.isfinite(numbers).all():
        raise MocapError.at(path, line, expected=f"finite numbers for {what}", got=" ".join(words))
    return numbers


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
