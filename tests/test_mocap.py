from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hemlets_lib.data.mocap.asf import read_acclaim_motion, read_acclaim_skeleton
from hemlets_lib.data.mocap.bvh import read_bvh_rig
from hemlets_lib.data.mocap.readers import NOSE_FORWARD_MM, MocapError, read_amc, read_bvh, read_mocap
from hemlets_lib.data.mocap.rig import euler_matrix
from hemlets_lib.skeleton import HEMLETS18

# --- Small files -----------------------------------------------------------------------------------

# Bones as name: parent, direction, length (mm, y up, x left, z front), dof. A body in a T pose.
BODY = {
    "lhipjoint": ("root", (1, 0, 0), 100, ""),
    "lfemur": ("lhipjoint", (0, -1, 0), 400, "rx ry rz"),
    "ltibia": ("lfemur", (0, -1, 0), 400, "rx"),
    "lfoot": ("ltibia", (0, 0, 1), 100, ""),
    "rhipjoint": ("root", (-1, 0, 0), 100, ""),
    "rfemur": ("rhipjoint", (0, -1, 0), 400, "rx ry rz"),
    "rtibia": ("rfemur", (0, -1, 0), 400, "rx"),
    "rfoot": ("rtibia", (0, 0, 1), 100, ""),
    "lowerback": ("root", (0, 1, 0), 100, "rx ry rz"),
    "upperback": ("lowerback", (0, 1, 0), 100, ""),
    "thorax": ("upperback", (0, 1, 0), 100, ""),
    "lowerneck": ("thorax", (0, 1, 0), 80, "rx ry rz"),
    "upperneck": ("lowerneck", (0, 1, 0), 80, ""),
    "head": ("upperneck", (0, 1, 0), 120, "rx ry rz"),
    "lclavicle": ("thorax", (1, 0, 0), 200, "ry rz"),
    "lhumerus": ("lclavicle", (1, 0, 0), 280, "rx ry rz"),
    "lradius": ("lhumerus", (1, 0, 0), 170, "rx"),
    "lwrist": ("lradius", (1, 0, 0), 80, ""),
    "lhand": ("lwrist", (1, 0, 0), 50, ""),
    "rclavicle": ("thorax", (-1, 0, 0), 200, "ry rz"),
    "rhumerus": ("rclavicle", (-1, 0, 0), 280, "rx ry rz"),
    "rradius": ("rhumerus", (-1, 0, 0), 170, "rx"),
    "rwrist": ("rradius", (-1, 0, 0), 80, ""),
    "rhand": ("rwrist", (-1, 0, 0), 50, ""),
}

# The same body's joints with the root 900 mm up: world millimetres, x front, y left, z up.
T_POSE = {
    "pelvis": (0, 0, 900),
    "left_hip": (0, 100, 900),
    "left_knee": (0, 100, 500),
    "left_ankle": (0, 100, 100),
    "right_hip": (0, -100, 900),
    "right_knee": (0, -100, 500),
    "right_ankle": (0, -100, 100),
    "torso": (0, 0, 1100),
    "neck": (0, 0, 1280),
    "nose": (NOSE_FORWARD_MM, 0, 1360),
    "head": (0, 0, 1480),
    "left_shoulder": (0, 200, 1200),
    "left_elbow": (0, 480, 1200),
    "left_wrist": (0, 730, 1200),
    "right_shoulder": (0, -200, 1200),
    "right_elbow": (0, -480, 1200),
    "right_wrist": (0, -730, 1200),
    "thorax": (0, 0, 1200),
}


def asf_text(bones=BODY, *, axes=None, angle="deg", length_unit=25.4) -> str:
    """An .asf; with a length unit of 25.4 its lengths are millimetres."""
    lines = ["# hand-written", ":version 1.10", ":name T", ":units", "  mass 1.0", f"  length {length_unit}"]
    lines += [f"  angle {angle}", ":documentation", "  begin of nothing", ":root"]
    lines += [
        "  order TX TY TZ RX RY RZ",
        "  axis XYZ",
        "  position 0 0 0",
        "  orientation 0 0 0",
        ":bonedata",
    ]
    for i, (name, (_, direction, length, dof)) in enumerate(bones.items(), start=1):
        lines += ["begin", f"  id {i}", f"  name {name}", "  direction {} {} {}".format(*direction)]
        lines += [f"  length {length}", f"  axis {(axes or {}).get(name, '0 0 0 XYZ')}"]
        if dof:
            lines += [f"  dof {dof}", *["  limits (-90.0 90.0)", *["  (-90.0 90.0)"] * dof.count(" ")]]
        lines += ["end"]
    lines += [":hierarchy", "  begin"]
    for parent in ("root", *bones):
        if children := [name for name, bone in bones.items() if bone[0] == parent]:
            lines += [f"    {parent} {' '.join(children)}"]
    return "\n".join([*lines, "  end", ""])


def amc_text(frames, bones=BODY, *, numbers=None, unit=":DEGREES") -> str:
    """An .amc; each frame maps bones to their numbers, zeros where left out (root: 0 900 0 0 0 0)."""
    lines = ["#!OML:ASF", ":FULLY-SPECIFIED", unit]
    for number, frame in zip(numbers or range(1, len(frames) + 1), frames, strict=True):
        lines += [str(number), f"root {frame.get('root', '0 900 0 0 0 0')}"]
        for name, (_, _, _, dof) in bones.items():
            if dof:
                lines += [f"{name} {frame.get(name, ' '.join('0' * len(dof.split())))}"]
    return "\n".join([*lines, ""])


@pytest.fixture
def pair(tmp_path):
    """Writes 07.asf and 07_03.amc and returns the latter's path."""

    def write(asf: str, amc: str) -> Path:
        (tmp_path / "07.asf").write_text(asf)
        (tmp_path / "07_03.amc").write_text(amc, encoding="utf-8")
        return tmp_path / "07_03.amc"

    return write


def joint(take, name):
    return take.joints_world_mm[:, HEMLETS18.index(name)]


def spread(take, first, second) -> float:
    """How much the distance of two joints varies over a take, millimetres."""
    return float(np.ptp(np.linalg.norm(joint(take, first) - joint(take, second), axis=-1)))


ARM = """HIERARCHY
ROOT Shoulder
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Elbow
  {
    OFFSET 3 0 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT Wrist
    {
      OFFSET 2 0 0
      CHANNELS 3 Zrotation Xrotation Yrotation
      End Site
      {
        OFFSET 1 0 0
      }
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.02
0 0 0 0 0 0  0 0 0  0 0 0
1 2 3 90 0 0  0 0 90  0 0 0
"""

# The body of BODY in centimetres, under MotionBuilder's names: joint, offset, children or end.
MOTIONBUILDER = (
    "Hips", (0, 0, 0),
    ("LeftUpLeg", (10, 0, 0), ("LeftLeg", (0, -40, 0), ("LeftFoot", (0, -40, 0), (0, 0, 10)))),
    ("RightUpLeg", (-10, 0, 0), ("RightLeg", (0, -40, 0), ("RightFoot", (0, -40, 0), (0, 0, 10)))),
    ("Spine", (0, 10, 0), ("Spine1", (0, 10, 0), ("Spine2", (0, 10, 0),
        ("Neck", (0, 8, 0), ("Head", (0, 8, 0), (0, 12, 0))),
        ("LeftShoulder", (5, 0, 0), ("LeftArm", (15, 0, 0), ("LeftForeArm", (28, 0, 0),
            ("LeftHand", (25, 0, 0), (5, 0, 0))))),
        ("RightShoulder", (-5, 0, 0), ("RightArm", (-15, 0, 0), ("RightForeArm", (-28, 0, 0),
            ("RightHand", (-25, 0, 0), (-5, 0, 0))))),
    ))),
)  # fmt: skip


def bvh_text(tree=MOTIONBUILDER, *, frames=({},), prefix="", scale=1.0, height=90.0) -> str:
    """A .bvh; each frame maps joints to their Z X Y rotations, zeros where left out."""
    order: list[str] = []

    def lines_of(node, keyword):
        name, offset, *below = node
        order.append(name)
        channels = "6 Xposition Yposition Zposition " if keyword == "ROOT" else "3 "
        yield f"{keyword} {prefix}{name}"
        yield "{"
        yield "OFFSET {:.6g} {:.6g} {:.6g}".format(*np.multiply(offset, scale))
        yield f"CHANNELS {channels}Zrotation Xrotation Yrotation"
        for child in below:
            if isinstance(child[0], str):
                yield from lines_of(child, "JOINT")
            else:
                yield "End Site {{ OFFSET {:.6g} {:.6g} {:.6g} }}".format(*np.multiply(child, scale))
        yield "}"

    lines = ["HIERARCHY", *lines_of(tree, "ROOT"), "MOTION", f"Frames: {len(frames)}", "Frame Time: 0.04"]
    for frame in frames:
        lines += [f"0 {height * scale} 0 " + " ".join(frame.get(name, "0 0 0") for name in order)]
    return "\n".join([*lines, ""])


# --- Golden ----------------------------------------------------------------------------------------


def test_euler_matrix_by_hand():
    # Rz(90) Rx(90): y goes to z by Rx, and stays there; z goes to -y, then to x.
    expected = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    np.testing.assert_allclose(euler_matrix(np.radians([90.0, 90.0, 0.0]), "zxy"), expected, atol=1e-15)


def test_bvh_arm_by_hand(tmp_path):
    (tmp_path / "arm.bvh").write_text(ARM)
    rig = read_bvh_rig(tmp_path / "arm.bvh")
    assert rig.names == ("Shoulder", "Elbow", "Wrist") and rig.parents == (-1, 0, 1)
    assert rig.fps == 50.0
    # Second frame: the shoulder at (1, 2, 3) turns x to y; the elbow turns x to -z, and z stays z.
    expected = [[[0, 0, 0], [3, 0, 0], [5, 0, 0]], [[1, 2, 3], [1, 5, 3], [1, 5, 1]]]
    np.testing.assert_allclose(rig.starts, expected, atol=1e-12)
    tip = rig.carry(rig.rest_ends[2], 2)
    np.testing.assert_allclose(tip, [[6, 0, 0], [1, 5, 0]], atol=1e-12)


@pytest.mark.parametrize(
    ("channels", "elbow"),
    [("Zrotation Yrotation Xrotation", (0, 0, -3)), ("Yrotation Zrotation Xrotation", (0, 3, 0))],
)
def test_bvh_channel_order_is_the_order_of_the_matrices(tmp_path, channels, elbow):
    # Both turns by 90 degrees. Rz Ry x = Rz (-z) = -z; Ry Rz x = Ry y = y.
    text = ARM.replace("Zposition Zrotation Xrotation Yrotation", f"Zposition {channels}", 1)
    (tmp_path / "arm.bvh").write_text(text.replace("1 2 3 90 0 0  0 0 90", "0 0 0 90 90 0  0 0 0"))
    np.testing.assert_allclose(read_bvh_rig(tmp_path / "arm.bvh").starts[1, 1], elbow, atol=1e-12)


def test_bvh_position_channels_stand_in_for_the_offset(tmp_path):
    text = ARM.replace("CHANNELS 3 Zrot", "CHANNELS 6 Yposition Zposition Xposition Zrot", 1)
    text = text.replace("0 0 0 0 0 0  0 0 0", "0 0 0 0 0 0  0 0 3  0 0 0").replace(
        "0  0 0 90", "0  0 0 4  0 0 90"
    )
    (tmp_path / "arm.bvh").write_text(text)
    starts = read_bvh_rig(tmp_path / "arm.bvh").starts
    np.testing.assert_allclose(starts[:, 1], [[3, 0, 0], [1, 6, 3]], atol=1e-12)


@pytest.mark.parametrize(
    ("axis", "dof", "angles", "tip"),
    [
        ("0 0 0 XYZ", "rz", "90", (0, 5, 0)),
        ("0 0 90 XYZ", "rx", "90", (0, 0, -5)),  # its own x points along y, which turns x to -z
        ("0 0 90 XYZ", "rx rz", "90 90", (0, 0, -5)),  # own x first, then own z = z, about which -z rests
        ("0 0 90 ZYX", "rx rz", "90 90", (0, 5, 0)),  # own z first: x to y, which is own x and rests
        ("0 0 90 XYZ", "rz rx", "0 90", (0, 0, -5)),  # numbers come in the order of dof
    ],
)
def test_asf_arm_by_hand(tmp_path, axis, dof, angles, tip):
    bones = {"upper": ("root", (2, 0, 0), 3, dof), "fore": ("upper", (1, 0, 0), 2, "")}
    (tmp_path / "a.asf").write_text(asf_text(bones, axes={"upper": axis}))
    (tmp_path / "a.amc").write_text(amc_text([{"root": "0 0 0 0 0 0", "upper": angles}], bones))
    rig = read_acclaim_motion(
        tmp_path / "a.amc", read_acclaim_skeleton(tmp_path / "a.asf"), capture_fps=120.0
    )
    np.testing.assert_allclose(rig.carry(rig.rest_ends[2], 2)[0], tip, atol=1e-12)


def test_amc_t_pose_by_hand(pair):
    take = read_mocap(pair(asf_text(), amc_text([{}])))
    assert take.joints_world_mm.shape == (1, 18, 3) and take.joints_world_mm.dtype == np.float64
    for name, expected in T_POSE.items():
        np.testing.assert_allclose(joint(take, name)[0], expected, atol=1e-9, err_msg=name)
    assert (take.fps, take.action, take.subject) == (120.0, "07_03", "07")


def test_bvh_t_pose_by_hand(tmp_path):
    (tmp_path / "anna_wave.bvh").write_text(bvh_text())
    take = read_mocap(tmp_path / "anna_wave.bvh")
    # BVH bones start where joints are: this neck leaves the chest (Spine2, 1200) at 1280.
    for name, expected in T_POSE.items():
        np.testing.assert_allclose(joint(take, name)[0], expected, atol=1e-9, err_msg=name)
    assert (take.fps, take.action, take.subject) == (25.0, "anna_wave", "anna")


def test_amc_left_arm_hangs_down(pair):
    take = read_amc(pair(asf_text(), amc_text([{"lhumerus": "0 0 -90"}])))
    np.testing.assert_allclose(joint(take, "left_elbow")[0], (0, 200, 920), atol=1e-9)
    np.testing.assert_allclose(joint(take, "left_wrist")[0], (0, 200, 670), atol=1e-9)
    np.testing.assert_allclose(joint(take, "right_wrist")[0], T_POSE["right_wrist"], atol=1e-9)


def test_nodding_moves_the_head_and_not_the_neck(pair):
    take = read_amc(pair(asf_text(), amc_text([{}, {"lowerneck": "30 0 0"}, {"head": "30 0 0"}])))
    assert np.ptp(joint(take, "neck"), axis=0).max() < 1e-9
    assert (np.diff(joint(take, "nose")[[0, 1]], axis=0)[0, [0, 2]] * [1, -1] > 0).all()  # forward, down
    # The head bone turns 75 mm of nose and 120 mm of head about the base of the skull.
    turned = np.array([[np.cos(np.pi / 6), 0, -np.sin(np.pi / 6)], [np.sin(np.pi / 6), 0, np.cos(np.pi / 6)]])
    np.testing.assert_allclose(joint(take, "nose")[2], (0, 0, 1360) + 75 * turned[0], atol=1e-9)
    np.testing.assert_allclose(joint(take, "head")[2], (0, 0, 1360) + 120 * turned[1], atol=1e-9)


# --- Laws ------------------------------------------------------------------------------------------


def test_amc_and_bvh_of_the_same_motion_agree(pair, tmp_path):
    # The .amc's x, y, z turn in that order about fixed axes: Rz Ry Rx, here with one angle at a time
    # or two that the .bvh's Z X Y order writes in the same way.
    frames = [("20 0 0", "0 20 0"), ("0 -35 0", "0 0 -35"), ("0 0 50", "50 0 0"), ("15 0 40", "40 15 0")]
    amc = [{"lowerback": a, "lhumerus": a, "rfemur": a} for a, _ in frames]
    bvh = [{"Hips": "0 0 0", "Spine": b, "LeftArm": b, "RightUpLeg": b} for _, b in frames]
    # In the .asf the lower back turns about the root, in this .bvh about its end: put the joint there.
    bones = BODY | {
        "lowerback": ("root", (0, 1, 0), 100, ""),
        "upperback": ("lowerback", (0, 1, 0), 100, "rx ry rz"),
    }
    amc = [{"upperback" if k == "lowerback" else k: v for k, v in frame.items()} for frame in amc]
    (tmp_path / "same.bvh").write_text(bvh_text(frames=bvh))
    first = read_amc(pair(asf_text(bones), amc_text(amc, bones)))
    second = read_bvh(tmp_path / "same.bvh")
    np.testing.assert_allclose(first.joints_world_mm, second.joints_world_mm, atol=1e-6)


def test_units_do_not_change_the_take(pair):
    in_mm = read_amc(pair(asf_text(), amc_text([{"ltibia": "40", "root": "10 900 20 5 6 7"}])))
    small = {name: (p, d, length / 100, dof) for name, (p, d, length, dof) in BODY.items()}
    frame = {
        "ltibia": str(np.radians(40)),
        "root": "0.1 9 0.2 " + " ".join(str(np.radians(a)) for a in (5, 6, 7)),
    }
    amc = amc_text([frame], small, unit=":RADIANS")
    other = read_amc(pair(asf_text(small, angle="rad", length_unit=0.254), amc))
    np.testing.assert_allclose(other.joints_world_mm, in_mm.joints_world_mm, atol=1e-9)


@pytest.mark.parametrize("unit_mm", [1.0, 10.0, 25.4, 25.4 / 0.45, 1000.0])
def test_bvh_unit_is_guessed_from_the_legs(tmp_path, unit_mm):
    (tmp_path / "a.bvh").write_text(bvh_text(scale=10.0 / unit_mm))
    take = read_bvh(tmp_path / "a.bvh")
    np.testing.assert_allclose(joint(take, "left_wrist")[0], T_POSE["left_wrist"], atol=0.01)
    np.testing.assert_allclose(joint(take, "nose")[0], T_POSE["nose"], atol=0.01)


def test_bvh_unit_can_be_given(tmp_path):
    (tmp_path / "doll.bvh").write_text(bvh_text())
    np.testing.assert_allclose(
        joint(read_bvh(tmp_path / "doll.bvh", unit_mm=1.0), "left_wrist")[0], (0, 73, 120)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit_mm": 0.0}, r"`unit_mm` must be a finite number of mm above 0, got 0\.0"),
        ({"unit_mm": float("nan")}, r"`unit_mm` must be a finite number of mm above 0, got nan"),
        ({"unit_mm": float("inf")}, r"`unit_mm` must be a finite number of mm above 0, got inf"),
        ({"up": "x"}, r"`up` must be 'y' or 'z', got 'x'"),
    ],
)
def test_bvh_options_out_of_range(tmp_path, options, message):
    (tmp_path / "a.bvh").write_text(bvh_text())
    with pytest.raises(ValueError, match=message):
        read_bvh(tmp_path / "a.bvh", **options)


def test_numbers_that_overflow_are_refused(tmp_path, pair):
    (tmp_path / "a.bvh").write_text(bvh_text().replace("\n0 90.0 0 ", "\n0 1e308 0 "))
    with pytest.raises(
        MocapError, match=r"a\.bvh: expected joints at finite places, got .* in frame 1\. A num"
    ):
        read_bvh(tmp_path / "a.bvh")
    with pytest.raises(MocapError, match=r"07_03\.amc: expected joints at finite places, got .* in frame 2"):
        read_amc(pair(asf_text(length_unit=0.1), amc_text([{}, {"root": "0 0 1e308 0 0 0"}])))


def test_a_byte_order_mark_is_no_content(tmp_path):
    (tmp_path / "arm.bvh").write_text("\ufeff" + ARM, encoding="utf-8")
    assert read_bvh_rig(tmp_path / "arm.bvh").names[0] == "Shoulder"


@pytest.mark.parametrize(
    ("frames", "time"),
    [
        ("Frames:2", "Frame Time:0.02"),
        ("Frames : 2", "Frame\tTime:\t0.02"),
        ("FRAMES:\t2", "frame  time : 0.02"),
    ],
)
def test_blanks_in_the_header_of_a_bvh_do_not_matter(tmp_path, frames, time):
    (tmp_path / "arm.bvh").write_text(ARM.replace("Frames: 2", frames).replace("Frame Time: 0.02", time))
    rig = read_bvh_rig(tmp_path / "arm.bvh")
    assert rig.fps == 50.0 and len(rig.starts) == 2


@pytest.mark.parametrize("prefix", ["mixamorig:", "mixamorig_", "Anna:"])
def test_bvh_prefixes_do_not_matter(tmp_path, prefix):
    (tmp_path / "a.bvh").write_text(bvh_text(prefix=prefix))
    np.testing.assert_allclose(joint(read_bvh(tmp_path / "a.bvh"), "neck")[0], T_POSE["neck"], atol=1e-9)


def test_bvh_names_can_be_given(tmp_path):
    text = bvh_text().replace("LeftArm", "arm_l").replace("Spine1", "belly").replace("Head", "skull")
    (tmp_path / "a.bvh").write_text(text)
    take = read_bvh(tmp_path / "a.bvh", names={"left_shoulder": "arm_l", "torso": "belly", "head": "skull"})
    for name, expected in T_POSE.items():
        np.testing.assert_allclose(joint(take, name)[0], expected, atol=1e-9, err_msg=name)


def test_bvh_neck_on_top_of_the_chest_joint(tmp_path):
    # As in the cgspeed files: Neck at the chest's own place, the base of the neck at Neck1.
    text = bvh_text().replace(
        "JOINT Neck\n{\nOFFSET 0 8 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n",
        "JOINT Neck\n{\nOFFSET 0 0 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n"
        "JOINT Neck1\n{\nOFFSET 0 8 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n",
    )
    text = text.replace("JOINT LeftShoulder", "}\nJOINT LeftShoulder").rstrip("\n") + " 0 0 0\n"
    (tmp_path / "a.bvh").write_text(text)
    np.testing.assert_allclose(joint(read_bvh(tmp_path / "a.bvh"), "neck")[0], T_POSE["neck"], atol=1e-9)


def test_bvh_with_z_up(tmp_path):
    # The T pose written with z up: (x, y, z) there is (front, left, up).
    def turned(node):
        if not isinstance(node[0], str):
            return (node[2], node[0], node[1])
        name, offset, *below = node
        return (name, (offset[2], offset[0], offset[1]), *[turned(child) for child in below])

    text = bvh_text(turned(MOTIONBUILDER)).replace("\n0 90.0 0 ", "\n0 0 90.0 ")
    (tmp_path / "a.bvh").write_text(text)
    take = read_bvh(tmp_path / "a.bvh", up="z")
    for name, expected in T_POSE.items():
        np.testing.assert_allclose(joint(take, name)[0], expected, atol=1e-9, err_msg=name)


@pytest.mark.parametrize(("numbers", "fps"), [([1, 2, 3], 120.0), ([1, 5, 9], 30.0), ([7, 9, 11], 60.0)])
def test_fps_follows_the_frame_numbers(pair, numbers, fps):
    assert read_amc(pair(asf_text(), amc_text([{}] * 3, numbers=numbers))).fps == fps


def test_capture_rate_action_and_subject_can_be_given(pair):
    path = pair(asf_text(), amc_text([{}] * 2))
    take = read_amc(path, path.with_name("07.asf"), capture_fps=60.0, action="Walking", subject="S7")
    assert (take.fps, take.action, take.subject) == (60.0, "Walking", "S7")


# --- Errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("length 400", "length long", r"07\.asf, line 27: expected a number for length, got 'long'"),
        ("length 400", "length nan", r"07\.asf, line 27: expected finite numbers for length, got nan"),
        ("direction 0 -1 0", "direction 0 -1", r"07\.asf, line \d+: expected 3 numbers for direction, got 2"),
        ("axis 0 0 0 XYZ", "axis 0 0 0 XXZ", r"expected an axis order such as XYZ, got 'XXZ'"),
        (
            "dof rx ry rz",
            "dof rx ry l",
            r"expected a dof out of rx ry rz, got rx ry l\. Bones that change length",
        ),
        ("angle deg", "angle turn", r"line 7: expected 'angle deg' or 'angle rad', got angle turn"),
        ("length 25.4", "length 0", r"line 6: expected a length unit above 0, got 0"),
        (
            "order TX TY TZ RX RY RZ",
            "order TX TY TZ RX RY",
            r"line 11: expected an order of TX TY TZ RX RY RZ",
        ),
        ("name lfemur", "name ltibia", r"expected bone names used once, got 'ltibia' again"),
        ("  name lfemur\n", "", r"expected a bone with name, direction and length before 'end', got name ''"),
        (
            "    root lhipjoint",
            "    root pelvis",
            r"line 228: expected a bone listed in :bonedata, got 'pelvis'",
        ),
        (" lhipjoint rhipjoint", " lhipjoint", r"expected a place for 'rhipjoint' in :hierarchy, got none"),
        (
            "upperneck head\n",
            "upperneck head lfoot\n",
            r"expected one parent per bone, got another for 'lfoot'",
        ),
        (
            "root lhipjoint",
            "lfoot lhipjoint\n root",
            r"expected every bone to hang from the root, got a loop in \['lfemur",
        ),
        (
            ":hierarchy",
            ":skin",
            r"07\.asf: expected a section ':hierarchy', got none\. The file may be cut short",
        ),
    ],
)
def test_malformed_asf(pair, old, new, message):
    text = asf_text()
    assert old in text
    with pytest.raises(MocapError, match=message):
        read_amc(pair(text.replace(old, new, 1), amc_text([{}])))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.6, 0.9, 0.95, 0.99])
def test_truncated_asf(pair, share):
    text = asf_text()
    with pytest.raises(MocapError, match=r"07\.asf.*: expected .*, got "):
        read_amc(pair(text[: int(share * len(text))], amc_text([{}])))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "lfemur 0 0 0",
            "lfemur 0 0",
            r"07_03\.amc, line 6: expected 3 numbers for 'lfemur', got 2\. The file may",
        ),
        ("lfemur 0 0 0", "lfemur 0 0 0 0", r"line 6: expected 3 numbers for 'lfemur', got 4"),
        ("lfemur 0 0 0", "lfemur 0 O 0", r"line 6: expected a number for 'lfemur', got 'O'"),
        ("lfemur 0 0 0", "lfemur 0 nan 0", r"line 6: expected finite numbers for 'lfemur', got 0 nan 0"),
        ("lfemur 0 0 0", "lfemur 0 1.#QNAN 0", r"line 6: expected a number for 'lfemur', got '1\.#QNAN'"),
        (
            "lfemur",
            "ltail",
            r"line 6: expected a moving bone of 07\.asf, got an unknown bone 'ltail'\. The \.asf may",
        ),
        ("lfemur 0", "lfoot 0", r"line 6: expected a moving bone of 07\.asf, got a bone without dof 'lfoot'"),
        ("lfemur 0 0 0\n", "", r"line 18: expected every moving bone in frame 1, got none of \['lfemur'\]"),
        (
            "lfemur 0 0 0",
            "lfemur 0 0 0\nlfemur 0 0 0",
            r"line 7: expected 'lfemur' once in frame 1, got it twice",
        ),
        ("\n1\n", "\n²\n", r"line 4: expected a frame number before the first bone, got '²'"),
        ("\n1\n", f"\n{'9' * 5000}\n", r"line 4: expected a frame number before the first bone, got '999"),
        ("\n1\n", "\n", r"line 4: expected a frame number before the first bone, got 'root 0 900"),
        (
            "\n3\n",
            "\n4\n",
            r"07_03\.amc: expected frame numbers that rise in equal steps, got 2 followed by 4",
        ),
        ("\n3\n", "\n2\n", r"expected frame numbers that rise in equal steps, got 2 followed by 2"),
    ],
)
def test_malformed_amc(pair, old, new, message):
    text = amc_text([{}] * 3)
    assert old in text
    with pytest.raises(MocapError, match=message):
        read_amc(pair(asf_text(), text.replace(old, new, 1)))


def test_truncated_amc(pair):
    text = amc_text([{}] * 3)
    whole_lines = text[: text.rindex("lhumerus")]
    with pytest.raises(
        MocapError, match=r"line 43: expected every moving bone in frame 3, .* may be cut short"
    ):
        read_amc(pair(asf_text(), whole_lines))
    with pytest.raises(MocapError, match=r"line 44: .* an unknown bone 'lhum'\. .* may be cut short"):
        read_amc(pair(asf_text(), whole_lines + "lhum"))
    with pytest.raises(MocapError, match=r"line 3: expected at least one frame, got none"):
        read_amc(pair(asf_text(), text[: text.index("1\n")]))
    with pytest.raises(MocapError, match=r"07_03\.amc: expected a motion capture file, got an empty file"):
        read_amc(pair(asf_text(), ""))


def test_asf_of_another_kind(pair):
    bones = {name: bone for name, bone in BODY.items() if name != "head"}
    with pytest.raises(MocapError, match=r"expected a bone named 'head', got bones root, lhipjoint"):
        read_amc(pair(asf_text(bones), amc_text([{}], bones)))


def test_asf_is_found_beside(pair, tmp_path):
    path = pair(asf_text(), amc_text([{}]))
    (tmp_path / "08.asf").write_text("not this one")
    assert read_mocap(path).subject == "07"
    (tmp_path / "07.asf").rename(tmp_path / "09.ASF")
    with pytest.raises(MocapError, match=r"07_03\.amc: expected its skeleton 07\.asf beside it, got 2 other"):
        read_mocap(path)
    (tmp_path / "08.asf").unlink()
    assert read_mocap(path).subject == "09"
    (tmp_path / "09.ASF").unlink()
    with pytest.raises(MocapError, match=r"got no \.asf file there\. Give it as asf_path"):
        read_mocap(path)


def test_wrong_kind_of_file(tmp_path):
    with pytest.raises(
        MocapError, match=r"expected a file ending in \.amc or \.bvh, got '\.asf'\. Give the motion"
    ):
        read_mocap(tmp_path / "07.asf")
    with pytest.raises(MocapError, match=r"a\.c3d: expected a file ending in \.amc or \.bvh, got '\.c3d'"):
        read_mocap(tmp_path / "a.c3d")
    for name in ("a.amc", "a.bvh"):
        with pytest.raises(MocapError, match=rf"{name}: expected a motion capture file, got no such file"):
            read_mocap(tmp_path / name)
    (tmp_path / "a.bvh").write_bytes(bytes(range(256)))
    with pytest.raises(MocapError, match=r"a\.bvh, line \d+: expected 'HIERARCHY'"):
        read_mocap(tmp_path / "a.bvh")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "OFFSET 3 0 0",
            "OFFSET 3 0",
            r"arm\.bvh, line 8: expected a number for OFFSET of 'Elbow', got 'CHANNELS'",
        ),
        ("OFFSET 3 0 0", "OFFSET 3 0 inf", r"line 8: expected finite numbers for OFFSET of 'Elbow'"),
        ("    OFFSET 3 0 0\n", "", r"expected an OFFSET in joint 'Elbow', got none"),
        (
            "3 Zrotation",
            "4 Zrotation",
            r"line 9: expected channels such as Xposition or Zrotation, got 'joint'\. Joint 'Elbow'",
        ),
        (
            "3 Zrotation Xrotation",
            "3 Zrotation Zrotation",
            r"expected no rotation channel or X, Y and Z once each",
        ),
        ("JOINT Wrist", "JOINT Elbow", r"line 10: expected joint names used once, got 'Elbow' again"),
        (
            "JOINT Wrist",
            "JOIN Wrist",
            r"line 10: expected OFFSET, CHANNELS, JOINT, End Site or '}', got 'join'",
        ),
        ("End Site", "End Point", r"line 14: expected 'Site', got 'Point'"),
        ("Frames: 2", "Frame: 2", r"line 22: expected 'Frames:' after MOTION, got 'Frame: 2'"),
        (
            "Frames: 2",
            "Frames: 3",
            r"line 22: expected 3 frames, and at least 1, got 2\. The file may be cut short",
        ),
        ("Frames: 2", "Frames: 1", r"line 22: expected 1 frames, and at least 1, got 2"),
        ("Frames: 2", "Frames: two", r"line 22: expected a number for Frames:, got 'two'"),
        (
            "Time: 0.02",
            "Time: 0",
            r"line 23: expected a frame time of 0\.0001 to 1 s, got 0\. Write the seconds",
        ),
        ("Time: 0.02", "Time: 1e-320", r"line 23: expected a frame time of 0\.0001 to 1 s"),
        ("Time: 0.02", "Time: 20", r"line 23: expected a frame time of 0\.0001 to 1 s, got 20"),
        ("Frame Time: 0.02", "Time: 0.02", r"line 23: expected 'Frame Time:' after MOTION, got 'Time: 0"),
        (
            "1 2 3 90 0 0 ",
            "1 2 3 90 0 ",
            r"line 25: expected 12 numbers for frame 2, got 11\. The file may be cut",
        ),
        ("1 2 3 90 0 0 ", "1 2 3 90 x 0 ", r"line 25: expected a number for frame 2, got 'x'"),
        ("1 2 3 90 0 0 ", "1 2 3 nan 0 0 ", r"line 25: expected finite numbers for frame 2"),
    ],
)
def test_malformed_bvh(tmp_path, old, new, message):
    assert old in ARM
    (tmp_path / "arm.bvh").write_text(ARM.replace(old, new, 1))
    with pytest.raises(MocapError, match=message):
        read_bvh_rig(tmp_path / "arm.bvh")


@pytest.mark.parametrize("left_off", [6, 20, 35, 45, 60, 70, 80, 100, 200, 300, 400, len(ARM)])
def test_truncated_bvh(tmp_path, left_off):
    (tmp_path / "arm.bvh").write_text(ARM[:-left_off])
    with pytest.raises(MocapError, match=r"arm\.bvh.*: expected .*, got "):
        read_bvh_rig(tmp_path / "arm.bvh")


def test_bvh_of_another_kind(tmp_path):
    path = tmp_path / "a.bvh"
    path.write_text(ARM)
    with pytest.raises(
        MocapError, match=r"a\.bvh: expected a joint 'LeftUpLeg' for 'left_hip', got joints Shoulder, E"
    ):
        read_bvh(path)
    path.write_text(bvh_text())
    with pytest.raises(MocapError, match=r"expected `names` for joints out of head, .*, got tail"):
        read_bvh(path, names={"tail": "Hips"})
    with pytest.raises(MocapError, match=r"expected a neck below the root, got 'Hips' as the root"):
        read_bvh(path, names={"neck": "Hips"})
    path.write_text(bvh_text().replace("End Site { OFFSET 0 12 0 }", "End Site { OFFSET 0 0 0 }"))
    with pytest.raises(
        MocapError, match=r"expected a head bone with a length, .* got 'Head' ending \[0\.0, 0\.0, 0\.0\]"
    ):
        read_bvh(path)
    path.write_text(bvh_text(scale=0.025))
    with pytest.raises(MocapError, match=r"expected a body of 1100 to 2300 mm .* Give unit_mm"):
        read_bvh(path)


# --- Real takes ------------------------------------------------------------------------------------

RIGID = [(child, parent) for child, parent in HEMLETS18.parent_names.items()]
RIGID = [pair for pair in RIGID if pair not in (("torso", "pelvis"), ("nose", "neck"))] + [("neck", "torso")]
TAKES = ("02_01", "02_03", "02_04", "02_05", "02_07", "02_10", "03_01", "03_02")


@pytest.fixture(scope="module")
def cmu(real_samples):
    return {name: read_mocap(real_samples / "cmu_mocap" / f"{name}.amc") for name in TAKES}


@pytest.mark.parametrize("name", TAKES)
def test_real_takes_have_rigid_bones(cmu, name):
    take = cmu[name]
    assert take.fps == 30.0 and take.subject == name[:2] and take.action == name
    assert np.isfinite(take.joints_world_mm).all()
    for child, parent in RIGID:
        assert spread(take, child, parent) < 0.1, (child, parent)
    # These two are not rigid, and not wild.
    assert spread(take, "torso", "pelvis") < 80 and spread(take, "nose", "neck") < 50


@pytest.mark.parametrize("name", TAKES)
def test_real_takes_are_left_and_right_handed(cmu, name):
    take = cmu[name]
    up = joint(take, "neck") - joint(take, "pelvis")
    left = joint(take, "left_hip") - joint(take, "right_hip")
    facing = np.cross(left, up)
    nose = joint(take, "nose") - (joint(take, "head") + joint(take, "neck")) / 2
    assert np.mean(np.sum(facing * nose, axis=-1) > 0) > 0.9
    right = np.cross(facing, up)
    assert (np.sum(right * (joint(take, "right_shoulder") - joint(take, "left_shoulder")), axis=-1) > 0).all()


def test_real_walk(cmu):
    take = cmu["02_01"]
    feet = np.minimum(joint(take, "left_ankle")[:, 2], joint(take, "right_ankle")[:, 2])
    assert 30 < feet.min() < feet.max() < 150
    # CMU's head bone ends inside the skull.
    assert 1500 < np.median(joint(take, "head")[:, 2] - feet) + feet.min() + 100 < 2000
    assert (joint(take, "head")[:, 2] > joint(take, "pelvis")[:, 2] + 500).all()
    assert (joint(take, "pelvis")[:, 2] > joint(take, "left_knee")[:, 2]).all()
    seconds = (len(take.joints_world_mm) - 1) / take.fps
    travel = joint(take, "pelvis")[-1] - joint(take, "pelvis")[0]
    assert 0.9 < np.linalg.norm(travel[:2]) / seconds / 1000 < 1.8  # m/s
    hips = joint(take, "left_hip") - joint(take, "right_hip")
    facing = np.cross(hips.mean(axis=0), (0.0, 0.0, 1.0))
    assert travel @ facing / np.linalg.norm(travel) / np.linalg.norm(facing) > 0.95


def test_real_run_is_faster_and_jump_leaves_the_ground(cmu):
    run = cmu["02_03"]
    speed = np.linalg.norm(np.diff(joint(run, "pelvis"), axis=0), axis=-1) * run.fps / 1000
    assert 2.0 < speed.mean() < 5.0
    jump = np.minimum(joint(cmu["02_04"], "left_ankle")[:, 2], joint(cmu["02_04"], "right_ankle")[:, 2])
    assert jump.max() > 400 > 150 > jump[0]
    wash = joint(cmu["02_10"], "head")[:, 2]
    assert wash.min() < 1100 < 1500 < wash.max()  # stoops
