"""CMU's ASF/AMC pair: the skeleton in one file, its motion in another.

The .asf lists the bones: direction and length in the rest pose, the axes each turns about, and
which of the three rotations it has at all. The .amc gives per frame the root's place and rotation,
and each bone's rotations. A bone starts where its parent ends.

Source: H. Lander, 'Working with Motion Capture File Formats', Game Developer, January 1998; the
ASF/AMC page of the CMU Graphics Lab Motion Capture Database (mocap.cs.cmu.edu).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from hemlets_lib.data.mocap.rig import MocapError, Rig, euler_matrix, parse_numbers, read_lines

__all__ = ["Acclaim", "AcclaimBone", "read_acclaim_motion", "read_acclaim_skeleton"]

_ROOT_CHANNELS = ("tx", "ty", "tz", "rx", "ry", "rz")
_ROTATIONS = ("rx", "ry", "rz")
_MM_PER_INCH = 25.4
_MAX_DIGITS = 18  # of a frame number, which is 64 bits wide


@dataclass
class AcclaimBone:
    """One bone of an .asf: its rest vector, its own axes, and its channels in the .amc's order."""

    name: str
    line: int
    direction: tuple[float, ...] = (0.0, 0.0, 0.0)
    length: float | None = None
    axis: tuple[float, ...] = (0.0, 0.0, 0.0)
    axis_order: str = "xyz"
    channels: tuple[str, ...] = ()
    parent: str = ""


@dataclass
class Acclaim:
    """An .asf file. `length_unit` divides lengths into inches; CMU's is 0.45."""

    path: Path
    root: AcclaimBone
    length_unit: float = 1.0
    degrees: bool = True
    position: tuple[float, ...] = (0.0, 0.0, 0.0)
    bones: dict[str, AcclaimBone] = field(default_factory=dict)

    @property
    def unit_mm(self) -> float:
        """Millimetres per length unit: 56.4 for CMU, (1 / 0.45) inches."""
        return _MM_PER_INCH / self.length_unit


def _sections(path: Path) -> Iterator[tuple[str, int, list[tuple[int, list[str]]]]]:
    """The file cut at its ':keyword' lines: keyword, its line, the lines of words below it."""
    keyword, start = "", 0
    body: list[tuple[int, list[str]]] = []
    for number, line in read_lines(path):
        if line.startswith("#"):
            continue
        words = line.split()
        if line.startswith(":"):
            if keyword:
                yield keyword, start, body
            keyword, start, body = words[0][1:].lower(), number, []
            words = words[1:]
        if words:
            body.append((number, words))
    yield keyword, start, body


def read_acclaim_skeleton(path: Path) -> Acclaim:
    """Reads an .asf file.

    Raises:
        MocapError: If it is missing, malformed, or cut short; names the file and the line.
    """
    skeleton = Acclaim(path, AcclaimBone("root", 0, length=0.0, channels=_ROOT_CHANNELS))
    seen = set()
    for keyword, start, body in _sections(path):
        seen.add(keyword)
        if keyword == "units":
            _read_units(skeleton, body)
        elif keyword == "root":
            _read_root(skeleton, body)
        elif keyword == "bonedata":
            _read_bones(skeleton, start, body)
        elif keyword == "hierarchy":
            _read_hierarchy(skeleton, start, body)
        # Documentation, version, name, skin: nothing that moves.
    for needed in ("root", "bonedata", "hierarchy"):
        if needed not in seen:
            raise MocapError.at(
                path, None, expected=f"a section ':{needed}'", got="none", hint="The file may be cut short."
            )
    for bone in skeleton.bones.values():
        if not bone.parent:
            raise MocapError.at(
                path, bone.line, expected=f"a place for {bone.name!r} in :hierarchy", got="none"
            )
    skeleton.bones = _parents_first(skeleton)
    return skeleton


def _read_units(skeleton: Acclaim, body: list[tuple[int, list[str]]]) -> None:
    for line, words in body:
        if words[0] == "length":
            (skeleton.length_unit,) = parse_numbers(skeleton.path, line, words[1:], count=1, what="length")
            if skeleton.length_unit <= 0:
                raise MocapError.at(skeleton.path, line, expected="a length unit above 0", got=words[1])
        elif words[0] == "angle":
            if words[1:] not in (["deg"], ["rad"]):
                raise MocapError.at(
                    skeleton.path, line, expected="'angle deg' or 'angle rad'", got=" ".join(words)
                )
            skeleton.degrees = words[1] == "deg"


def _read_root(skeleton: Acclaim, body: list[tuple[int, list[str]]]) -> None:
    path = skeleton.path
    for line, words in body:
        if words[0] == "order":
            skeleton.root.channels = tuple(word.lower() for word in words[1:])
            if sorted(skeleton.root.channels) != sorted(_ROOT_CHANNELS):
                raise MocapError.at(
                    path, line, expected="an order of TX TY TZ RX RY RZ", got=" ".join(words[1:])
                )
        elif words[0] == "axis":
            skeleton.root.axis_order = _axis_order(path, line, words[-1])
        elif words[0] == "position":
            skeleton.position = tuple(parse_numbers(path, line, words[1:], count=3, what="position"))
        elif words[0] == "orientation":
            skeleton.root.axis = tuple(parse_numbers(path, line, words[1:], count=3, what="orientation"))


def _axis_order(path: Path, line: int, word: str) -> str:
    if sorted(word.lower()) != ["x", "y", "z"]:
        raise MocapError.at(path, line, expected="an axis order such as XYZ", got=repr(word))
    return word.lower()


def _read_bones(skeleton: Acclaim, start: int, body: list[tuple[int, list[str]]]) -> None:
    path, bone = skeleton.path, None
    for line, words in body:
        keyword, values = words[0], words[1:]
        if keyword == "begin":
            bone = AcclaimBone("", line)
            continue
        if bone is None:
            raise MocapError.at(path, line, expected="'begin' before a bone", got=repr(keyword))
        if keyword == "end":
            if not bone.name or bone.length is None or not any(bone.direction):
                raise MocapError.at(
                    path, line, expected="a bone with name, direction and length before 'end'",
                    got=f"name {bone.name!r}, direction {bone.direction}, length {bone.length}",
                )  # fmt: skip
            if bone.name in skeleton.bones:
                raise MocapError.at(path, line, expected="bone names used once", got=f"{bone.name!r} again")
            skeleton.bones[bone.name], bone = bone, None
        elif keyword == "name":
            bone.name = " ".join(values)
        elif keyword == "direction":
            bone.direction = tuple(parse_numbers(path, line, values, count=3, what="direction"))
        elif keyword == "length":
            (bone.length,) = parse_numbers(path, line, values, count=1, what="length")
        elif keyword == "axis":
            bone.axis = tuple(parse_numbers(path, line, values[:-1], count=3, what="axis"))
            bone.axis_order = _axis_order(path, line, values[-1])
        elif keyword == "dof":
            bone.channels = tuple(word.lower() for word in values)
            if len(set(bone.channels)) != len(values) or not set(bone.channels) <= set(_ROTATIONS):
                raise MocapError.at(
                    path, line, expected="a dof out of rx ry rz", got=" ".join(values),
                    hint="Bones that change length or come off their parent are not read.",
                )  # fmt: skip
        # id, limits, bodymass, cofmass: not needed to place the bone.
    if bone is not None or not skeleton.bones:
        last = body[-1][0] if body else start
        raise MocapError.at(
            path, last, expected="bones, each closed by 'end'", got="the end of :bonedata",
            hint="The file may be cut short.",
        )  # fmt: skip


def _read_hierarchy(skeleton: Acclaim, start: int, body: list[tuple[int, list[str]]]) -> None:
    path = skeleton.path
    for line, words in body:
        if words[0] in ("begin", "end"):
            continue
        for name in words:
            if name != "root" and name not in skeleton.bones:
                raise MocapError.at(path, line, expected="a bone listed in :bonedata", got=repr(name))
        for child in words[1:]:
            if child == "root" or skeleton.bones[child].parent:
                raise MocapError.at(path, line, expected="one parent per bone", got=f"another for {child!r}")
            skeleton.bones[child].parent = words[0]
    if not body or body[-1][1] != ["end"]:
        raise MocapError.at(
            path, body[-1][0] if body else start, expected="'end' after the hierarchy",
            got="the end of the file", hint="The file may be cut short.",
        )  # fmt: skip


def _parents_first(skeleton: Acclaim) -> dict[str, AcclaimBone]:
    ordered: dict[str, AcclaimBone] = {}
    waiting = dict(skeleton.bones)
    while waiting:
        ready = [name for name, bone in waiting.items() if bone.parent == "root" or bone.parent in ordered]
        if not ready:
            raise MocapError.at(
                skeleton.path,
                None,
                expected="every bone to hang from the root",
                got=f"a loop in {sorted(waiting)}",
            )
        ordered.update({name: waiting.pop(name) for name in ready})
    return ordered


def read_acclaim_motion(path: Path, skeleton: Acclaim, *, capture_fps: float) -> Rig:
    """Reads an .amc file and turns the skeleton's bones by it.

    Frame numbers may skip, as in a take thinned from 120 to 30 frames per second (1, 5, 9, ...):
    the step between them divides `capture_fps`.

    Args:
        path: The motion.
        skeleton: The body it moves.
        capture_fps: Frames per second if frame numbers rise by 1.

    Raises:
        MocapError: If it is missing, malformed, or cut short; names the file and the line.
    """
    values, numbers, degrees = _read_frames(path, skeleton)
    steps = np.unique(np.diff(numbers))
    if len(steps) > 1 or (len(steps) == 1 and steps[0] <= 0):
        odd = 1 + int(np.argmax(np.diff(numbers) != numbers[1] - numbers[0]))
        raise MocapError.at(
            path, None, expected="frame numbers that rise in equal steps",
            got=f"{numbers[odd - 1]} followed by {numbers[odd]}", hint="Some frames may have been lost.",
        )  # fmt: skip
    step = int(steps[0]) if len(steps) else 1
    return _move(path, skeleton, values, degrees=degrees, fps=capture_fps / step)


def _read_frames(
    path: Path, skeleton: Acclaim
) -> tuple[dict[str, Float[np.ndarray, "F _"]], list[int], bool]:
    """Each bone's channels over the frames, the frame numbers, and whether angles are in degrees."""
    moving = {"root": skeleton.root} | {name: b for name, b in skeleton.bones.items() if b.channels}
    rows: dict[str, list[list[float]]] = {name: [] for name in moving}
    numbers: list[int] = []
    degrees, last = skeleton.degrees, 0

    def close_frame(line: int) -> None:
        if lacking := [name for name in moving if len(rows[name]) < len(numbers)]:
            raise MocapError.at(
                path, line, expected=f"every moving bone in frame {numbers[-1]}", got=f"none of {lacking}",
                hint="The file may be cut short.",
            )  # fmt: skip

    for line, text in read_lines(path):
        last = line
        if text.startswith(("#", ":")):
            if text.upper() in (":DEGREES", ":RADIANS"):
                degrees = text.upper() == ":DEGREES"
            continue
        name, *words = text.split()
        if name.isdecimal() and len(name) <= _MAX_DIGITS and not words:
            close_frame(line)
            numbers.append(int(name))
            continue
        if not numbers:
            raise MocapError.at(
                path, line, expected="a frame number before the first bone", got=repr(text[:40])
            )
        if name not in moving:
            kind = "a bone without dof" if name in skeleton.bones else "an unknown bone"
            raise MocapError.at(
                path, line, expected=f"a moving bone of {skeleton.path.name}", got=f"{kind} {name!r}",
                hint="The .asf may belong to another subject, or the file may be cut short.",
            )  # fmt: skip
        if len(rows[name]) == len(numbers):
            raise MocapError.at(path, line, expected=f"{name!r} once in frame {numbers[-1]}", got="it twice")
        count = len(moving[name].channels)
        rows[name].append(parse_numbers(path, line, words, count=count, what=repr(name)))
    if not numbers:
        raise MocapError.at(path, last, expected="at least one frame", got="none")
    close_frame(last)
    return {name: np.array(row) for name, row in rows.items()}, numbers, degrees


def _move(
    path: Path, skeleton: Acclaim, values: dict[str, Float[np.ndarray, "F _"]], *, degrees: bool, fps: float
) -> Rig:
    """Forward kinematics, all frames at once."""
    bones = [skeleton.root, *skeleton.bones.values()]
    names = ("root", *skeleton.bones)
    parents = (-1, *(names.index(bone.parent) for bone in bones[1:]))
    num_frames = len(values["root"])
    rest_starts, rest_ends = np.zeros((2, len(bones), 3))
    starts = np.zeros((num_frames, len(bones), 3))
    rotations = np.zeros((num_frames, len(bones), 3, 3))
    for i, (bone, parent) in enumerate(zip(bones, parents, strict=True)):
        # The bone turns about axes of its own, which lie at `axis` to the rest pose: C M C^-1.
        # 'XYZ' says x turns first, hence the reversed order of the matrices.
        order = bone.axis_order[::-1]
        axis = np.array([bone.axis["xyz".index(letter)] for letter in order])
        own_axes = euler_matrix(np.radians(axis) if skeleton.degrees else axis, order)
        angles = np.zeros((num_frames, 3))
        for place, letter in enumerate(order):
            if f"r{letter}" in bone.channels:
                angles[:, place] = values[bone.name][:, bone.channels.index(f"r{letter}")]
        turn = own_axes @ euler_matrix(np.radians(angles) if degrees else angles, order) @ own_axes.T
        if parent < 0:
            shift = [bone.channels.index(channel) for channel in ("tx", "ty", "tz")]
            rest_starts[i] = rest_ends[i] = skeleton.position
            starts[:, i] = values["root"][:, shift] + skeleton.position
            rotations[:, i] = turn
            continue
        direction = np.array(bone.direction)
        assert bone.length is not None  # checked when the bone was read
        rest_starts[i] = rest_ends[parent]
        rest_ends[i] = rest_starts[i] + bone.length * direction / math.hypot(*direction)
        lever = rest_ends[parent] - rest_starts[parent]
        starts[:, i] = starts[:, parent] + rotations[:, parent] @ lever
        rotations[:, i] = rotations[:, parent] @ turn
    return Rig(path, names, parents, rest_starts, rest_ends, rotations, starts, fps)
