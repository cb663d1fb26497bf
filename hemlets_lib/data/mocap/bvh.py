"""BVH: a tree of joints with offsets, then one line of numbers per frame.

Every joint lists its channels, in any order; rotations multiply in the order listed, for column
vectors (`Zrotation Xrotation Yrotation` is Rz Rx Ry). Position channels give the joint's place
relative to its parent and stand in for its OFFSET, as the exporters that write them for every joint
mean it; for the usual root, whose OFFSET is zero, that is the same as adding.

Source: H. Lander, 'Working with Motion Capture File Formats', Game Developer, January 1998;
M. Meredith and S. Maddock, 'Motion Capture File Formats Explained', University of Sheffield, 2001.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from hemlets_lib.data.mocap.rig import MocapError, Rig, euler_matrix, parse_numbers, read_lines

__all__ = ["read_bvh_rig"]

_FRAME_TIME_S = (1e-4, 1.0)  # beyond, a header is in another unit or damaged
_CHANNELS = tuple(f"{axis}{kind}" for kind in ("position", "rotation") for axis in "xyz")


@dataclass
class _Joint:
    name: str
    parent: int
    offset: tuple[float, ...] | None = None
    channels: tuple[str, ...] = ()
    tip: tuple[float, ...] | None = None  # where the bone ends: the End Site's or first child's offset


def read_bvh_rig(path: Path) -> Rig:
    """Reads a .bvh file; lengths and axes stay as they are in the file.

    Raises:
        MocapError: If it is missing, malformed, or cut short; names the file and the line.
    """
    lines = read_lines(path)
    joints, after = _read_hierarchy(path, lines)
    motion, fps = _read_motion(path, lines[after:], num_channels=sum(len(j.channels) for j in joints))
    return _move(path, joints, motion, fps)


class _Words:
    """The words of the hierarchy one after another, each with its line."""

    def __init__(self, path: Path, lines: list[tuple[int, str]]) -> None:
        self.path = path
        self.words = [(word, line) for line, text in lines for word in text.split()]
        self.at = 0

    @property
    def line(self) -> int:
        return self.words[min(self.at, len(self.words) - 1)][1]

    def take(self, expected: str) -> str:
        if self.at == len(self.words):
            raise MocapError.at(
                self.path,
                self.line,
                expected=expected,
                got="the end of the file",
                hint="It may be cut short.",
            )
        self.at += 1
        return self.words[self.at - 1][0]

    def require(self, word: str) -> None:
        line = self.line
        if (got := self.take(repr(word))).lower() != word.lower():
            raise MocapError.at(self.path, line, expected=repr(word), got=repr(got))

    def numbers(self, count: int, what: str) -> tuple[float, ...]:
        line = self.line
        words = [self.take(f"{count} numbers for {what}") for _ in range(count)]
        return tuple(parse_numbers(self.path, line, words, count=count, what=what))


def _read_hierarchy(path: Path, lines: list[tuple[int, str]]) -> tuple[list[_Joint], int]:
    """The joints, parents first, and how many lines they took."""
    after = next((i + 1 for i, (_, line) in enumerate(lines) if line.upper() == "MOTION"), len(lines))
    words = _Words(path, lines[:after])
    words.require("HIERARCHY")
    words.require("ROOT")
    joints = [_Joint(words.take("the root's name"), -1)]
    words.require("{")
    open_joints = [0]
    while open_joints:
        joint, line = joints[open_joints[-1]], words.line
        keyword = words.take("OFFSET, CHANNELS, JOINT, End Site or '}'").lower()
        if keyword == "offset":
            joint.offset = words.numbers(3, f"OFFSET of {joint.name!r}")
            parent = joints[joint.parent]
            if joint.parent >= 0 and parent.tip is None:
                parent.tip = joint.offset
        elif keyword == "channels":
            _read_channels(words, joint, line)
        elif keyword == "joint":
            name = words.take("a joint's name")
            if name in {other.name for other in joints}:
                raise MocapError.at(path, line, expected="joint names used once", got=f"{name!r} again")
            joints.append(_Joint(name, open_joints[-1]))
            words.require("{")
            open_joints.append(len(joints) - 1)
        elif keyword == "end":
            words.require("Site")
            words.require("{")
            words.require("OFFSET")
            joint.tip = words.numbers(3, f"End Site of {joint.name!r}")
            words.require("}")
        elif keyword == "}":
            if joint.offset is None:
                raise MocapError.at(path, line, expected=f"an OFFSET in joint {joint.name!r}", got="none")
            open_joints.pop()
        else:
            raise MocapError.at(
                path, line, expected="OFFSET, CHANNELS, JOINT, End Site or '}'", got=repr(keyword)
            )
    words.require("MOTION")
    return joints, after


def _read_channels(words: _Words, joint: _Joint, line: int) -> None:
    (count,) = words.numbers(1, f"the count of CHANNELS of {joint.name!r}")
    channels = [words.take("a channel's name").lower() for _ in range(int(count))]
    if unknown := [channel for channel in channels if channel not in _CHANNELS]:
        raise MocapError.at(
            words.path, line, expected="channels such as Xposition or Zrotation", got=f"{unknown[0]!r}",
            hint=f"Joint {joint.name!r} announces {int(count)} channels.",
        )  # fmt: skip
    for kind in ("position", "rotation"):
        of_kind = [channel for channel in channels if channel.endswith(kind)]
        if len(of_kind) not in (0, 3) or len(set(of_kind)) != len(of_kind):
            raise MocapError.at(
                words.path, line, expected=f"no {kind} channel or X, Y and Z once each",
                got=" ".join(of_kind), hint=f"Joint {joint.name!r}.",
            )  # fmt: skip
    joint.channels = tuple(channels)


def _read_motion(
    path: Path, lines: list[tuple[int, str]], *, num_channels: int
) -> tuple[Float[np.ndarray, "F C"], float]:
    announced = _header_number(path, lines[:1], "Frames")
    seconds = _header_number(path, lines[1:2], "Frame Time")
    if not _FRAME_TIME_S[0] <= seconds <= _FRAME_TIME_S[1]:
        raise MocapError.at(
            path, lines[1][0], expected=f"a frame time of {_FRAME_TIME_S[0]:g} to {_FRAME_TIME_S[1]:g} s",
            got=f"{seconds:g}", hint="Write the seconds from one frame to the next.",
        )  # fmt: skip
    rows = lines[2:]
    frames = [
        parse_numbers(path, line, text.split(), count=num_channels, what=f"frame {frame}")
        for frame, (line, text) in enumerate(rows, start=1)
    ]
    if len(frames) != announced or not frames:
        raise MocapError.at(
            path, lines[0][0], expected=f"{announced:g} frames, and at least 1", got=f"{len(frames)}",
            hint="The file may be cut short.",
        )  # fmt: skip
    return np.array(frames), 1.0 / seconds


def _header_number(path: Path, lines: list[tuple[int, str]], keyword: str) -> float:
    """The number in `keyword: number`, which stands in the first line; blanks and tabs do not matter."""
    line, text = lines[0] if lines else (None, "")
    name, colon, value = text.partition(":")
    if line is None or not colon or name.lower().split() != keyword.lower().split():
        got = repr(text[:40]) if lines else "the end of the file"
        raise MocapError.at(path, line, expected=f"'{keyword}:' after MOTION", got=got)
    return parse_numbers(path, line, value.split(), count=1, what=f"{keyword}:")[0]


def _move(path: Path, joints: list[_Joint], motion: Float[np.ndarray, "F C"], fps: float) -> Rig:
    """Forward kinematics, all frames at once."""
    num_frames = len(motion)
    rest_starts, rest_ends = np.zeros((2, len(joints), 3))
    starts = np.zeros((num_frames, len(joints), 3))
    rotations = np.zeros((num_frames, len(joints), 3, 3))
    column = 0
    for i, joint in enumerate(joints):
        columns = {channel: column + place for place, channel in enumerate(joint.channels)}
        column += len(joint.channels)
        turns = [channel for channel in joint.channels if channel.endswith("rotation")]
        turn = np.broadcast_to(np.eye(3), (num_frames, 3, 3))
        if turns:
            degrees = motion[:, [columns[channel] for channel in turns]]
            turn = euler_matrix(np.radians(degrees), "".join(channel[0] for channel in turns))
        place = np.broadcast_to(np.array(joint.offset), (num_frames, 3))
        if "xposition" in columns:
            place = motion[:, [columns[f"{axis}position"] for axis in "xyz"]]
        rest_starts[i] = joint.offset
        if joint.parent < 0:
            starts[:, i], rotations[:, i] = place, turn
        else:
            above = rotations[:, joint.parent]
            rest_starts[i] += rest_starts[joint.parent]
            starts[:, i] = starts[:, joint.parent] + np.einsum("fab,fb->fa", above, place)
            rotations[:, i] = above @ turn
        rest_ends[i] = rest_starts[i] + (joint.tip or (0.0, 0.0, 0.0))
    names = tuple(joint.name for joint in joints)
    parents = tuple(joint.parent for joint in joints)
    return Rig(path, names, parents, rest_starts, rest_ends, rotations, starts, fps)
