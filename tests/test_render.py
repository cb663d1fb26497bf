"""The renderer's laws: what is near hides what is far, mirrors mirror, and joints lie in the body."""

from __future__ import annotations

from dataclasses import fields

import numba
import numpy as np
import pytest

from hemlets_lib.data.motion import SUBJECTS
from hemlets_lib.data.render import Appearance, Prop, appearance, backdrop, raster, render_person
from hemlets_lib.data.render.figure import pose_rings
from hemlets_lib.data.render.tubes import dress, topology
from hemlets_lib.skeleton import HEMLETS18

H, W = 72, 56
MAGENTA = np.array([255, 0, 255], dtype=np.uint8)
BACKGROUND = np.broadcast_to(MAGENTA, (H, W, 3)).copy()
CAMERA = {"focal_px": (150.0, 155.0), "centre_px": (26.0, 33.0), "size": (H, W)}
OUTFIT = Appearance()  # skin, shirt and hair of quite different hues

# x to the person's left, y up, z forward; mm above the pelvis.
STANDING = {
    "pelvis": (0, 0, 0), "torso": (0, 233, 5), "neck": (0, 483, 15),
    "nose": (0, 555, 75), "head": (0, 665, 30),
    "left_hip": (133, 0, 0), "left_knee": (150, -442, 15), "left_ankle": (155, -895, -10),
    "left_shoulder": (145, 405, 5), "left_elbow": (200, 132, -10), "left_wrist": (215, -110, 60),
}  # fmt: skip


def pose(yaw: float = 0.0, **moved: tuple[float, float, float]) -> np.ndarray:
    """A standing person 4 m before the camera, turned by `yaw` degrees from facing it; (18, 3)."""
    places = {name: np.array(place, dtype=np.float64) for name, place in STANDING.items()}
    for name in [name for name in places if name.startswith("left_")]:
        places[name.replace("left_", "right_")] = places[name] * (-1, 1, 1)
    places |= {name: np.array(place, dtype=np.float64) for name, place in moved.items()}
    places["thorax"] = (places["left_shoulder"] + places["right_shoulder"]) / 2
    body = np.stack([places[name] for name in HEMLETS18.joint_names])
    c, s = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    return body @ np.array([[c, 0, s], [0, -1, 0], [s, 0, -c]]).T + (0, 0, 4000)


POSES = {
    "standing": pose(30),
    "from behind": pose(200),
    "arm stretched": pose(-70, left_elbow=(420, 420, 20), left_wrist=(665, 470, 40)),
    "sitting": pose(
        40, left_knee=(160, 20, 440), left_ankle=(160, -430, 470), right_knee=(-160, 20, 440),
        right_ankle=(-160, -430, 400),
    ),
    "hand to the head": pose(10, right_elbow=(-230, 250, 190), right_wrist=(-130, 470, 160)),
}  # fmt: skip


def draw(joints: np.ndarray, **changed: object) -> np.ndarray:
    options = {**CAMERA, "appearance": OUTFIT, "background": BACKGROUND, **changed}
    return render_person(joints, **options)


def pixel_of(point: np.ndarray) -> tuple[int, int]:
    """(row, column) of a point in the test camera."""
    (fx, fy), (cx, cy) = CAMERA["focal_px"], CAMERA["centre_px"]
    return round(fy * point[1] / point[2] + cy), round(fx * point[0] / point[2] + cx)


def brightness_free(colour: np.ndarray) -> np.ndarray:
    """A colour without its brightness: shading changes that, never the hue by much."""
    return colour.astype(np.float64) / max(1.0, float(colour.sum()))


def box(centre: np.ndarray, half: float, colour: tuple[int, int, int] = (20, 40, 220)) -> Prop:
    return Prop(centre, np.full(3, half), np.eye(3), colour)


def test_same_input_same_picture_and_the_background_is_kept() -> None:
    background = BACKGROUND.copy()
    first = draw(POSES["standing"], background=background)
    np.testing.assert_array_equal(first, draw(POSES["standing"], background=background))
    np.testing.assert_array_equal(background, BACKGROUND)
    assert first.dtype == np.uint8
    assert first.shape == (H, W, 3)


@pytest.mark.parametrize("name", POSES)
@pytest.mark.parametrize("outfit", ["S5", "S9"])
def test_every_joint_lies_inside_the_body(name: str, outfit: str) -> None:
    picture = draw(POSES[name], appearance=SUBJECTS[outfit].appearance).astype(int)
    for joint, point in zip(HEMLETS18.joint_names, POSES[name], strict=True):
        difference = np.abs(picture[pixel_of(point)] - MAGENTA.astype(int)).sum()
        assert difference > 100, f"{joint} of {name!r} shows the background"


@pytest.mark.parametrize("seed", range(3))
def test_a_joint_lies_below_its_own_surface(seed: int) -> None:
    # The surface's nearest vertex on the ray through a wrist is the hand's width away, not the body's.
    joints = POSES["arm stretched"]
    vertices, spheres = pose_rings(joints, dress(Appearance.random(np.random.default_rng([7, seed]))))
    distance = np.linalg.norm(vertices[:, None] - joints[None], axis=-1).min(0)
    limbs = [
        HEMLETS18.index(f"{side}_{j}")
        for side in ("left", "right")
        for j in ("knee", "ankle", "elbow", "wrist")
    ]
    assert distance[limbs].max() < 100
    assert (spheres[:, 3] > 0).all()
    assert vertices.shape == dress(OUTFIT).rest.shape


def test_what_is_in_front_hides_what_is_behind() -> None:
    joints = POSES["arm stretched"]
    wrist = joints[HEMLETS18.index("left_wrist")]
    at, ray = pixel_of(wrist), wrist / np.linalg.norm(wrist)
    alone = draw(joints)
    hidden = draw(joints, props=[box(wrist - 200 * ray, 60)])
    behind = draw(joints, props=[box(wrist + 300 * ray, 60)])
    np.testing.assert_allclose(
        brightness_free(hidden[at]), brightness_free(np.array([20, 40, 220])), atol=0.06
    )
    np.testing.assert_array_equal(behind[at], alone[at])
    assert (behind != alone).any(), "the box behind the wrist shows beside it"


def test_an_arm_before_the_chest_shows_and_one_behind_it_does_not() -> None:
    chest = draw(pose())
    before = pose(right_elbow=(-230, 200, 130), right_wrist=(0, 250, 260))
    after = pose(right_elbow=(-230, 200, -130), right_wrist=(0, 250, -260))
    at = pixel_of(before[HEMLETS18.index("right_wrist")])
    skin, top = (brightness_free(np.array(colour)) for colour in (OUTFIT.skin, OUTFIT.top))
    assert np.linalg.norm(brightness_free(draw(before)[at]) - skin) < 0.06
    at = pixel_of(after[HEMLETS18.index("right_wrist")])
    assert np.linalg.norm(brightness_free(draw(after)[at]) - top) < 0.06
    assert np.abs(chest[at].astype(int) - draw(after)[at]).max() < 12


@pytest.mark.parametrize("name", POSES)
def test_a_mirrored_person_makes_a_mirrored_picture(name: str) -> None:
    light = np.array([0.4, -0.8, -0.5])
    mirror = np.array([-1.0, 1, 1])
    mirrored = (POSES[name] * mirror)[list(HEMLETS18.flip_permutation)]
    picture = draw(POSES[name], light_direction=light)
    cx, cy = CAMERA["centre_px"]
    other = draw(mirrored, light_direction=light * mirror, centre_px=(W - 1 - cx, cy))[:, ::-1]
    difference = np.abs(picture.astype(int) - other).max(-1)
    assert difference.mean() < 0.2
    assert (difference > 24).mean() < 0.005  # samples on an edge may fall to either side


def test_moving_the_principal_point_moves_the_picture() -> None:
    cx, cy = CAMERA["centre_px"]
    picture = draw(POSES["standing"])
    moved = draw(POSES["standing"], centre_px=(cx + 4, cy - 3))
    difference = np.abs(moved[:-3, 4:].astype(int) - picture[3:, :-4]).max(-1)
    assert (difference > 1).mean() < 0.005  # rounding may move a sample on an edge to either side


def test_twice_the_size_twice_the_distance_is_the_same_picture() -> None:
    picture, other = draw(POSES["sitting"]), draw(2 * POSES["sitting"])
    covered = (picture != MAGENTA).any(-1)
    assert np.abs(picture.astype(int) - other).max(-1)[covered].mean() < 4


def test_front_and_back_differ_by_the_face() -> None:
    camera = {"focal_px": (1100.0, 1100.0), "centre_px": (27.5, 200.0)}
    front, back = (draw(pose(yaw), **camera) for yaw in (0, 180))
    joints = pose()
    at = joints[HEMLETS18.index("nose")]
    row, column = (round(1100 * at[k] / at[2] + c) for k, c in ((1, 200.0), (0, 27.5)))
    skin, hair = (brightness_free(np.array(colour)) for colour in (OUTFIT.skin, OUTFIT.hair))
    face, nape = front[row - 8, column], back[row - 16, column]
    assert np.linalg.norm(brightness_free(face) - skin) < np.linalg.norm(brightness_free(face) - hair)
    assert face.sum() > 2 * nape.sum(), "hair is darker than skin"


def test_the_floor_darkens_under_the_feet_only() -> None:
    grey = np.full((H, W, 3), 160, dtype=np.uint8)
    joints = POSES["standing"]
    floor = ((0.0, joints[:, 1].max() + 80, 4000.0), (0.0, -1.0, 0.0))
    plain, shaded = (draw(joints, background=grey, floor=given) for given in (None, floor))
    drop = plain.astype(int) - shaded
    feet = pixel_of(joints[HEMLETS18.index("left_ankle")])[0] + 3
    assert drop[feet : feet + 3].max() > 25
    assert (
        drop[: pixel_of(joints[0])[0]].max() <= 30
    )  # the body itself: its light from below changes a little
    assert (drop[:10, :8] == 0).all()


def test_one_sample_per_pixel_and_a_person_out_of_the_picture() -> None:
    assert (draw(POSES["standing"], supersample=1) != MAGENTA).any()
    np.testing.assert_array_equal(draw(POSES["standing"], centre_px=(9e3, 9e3)), BACKGROUND)


def test_triangles_face_outward() -> None:
    shape, dressed = topology(), dress(OUTFIT)
    vertices, _ = pose_rings(POSES["standing"], dressed)
    normals = raster._vertex_normals(vertices, shape.faces, shape.signs)
    ring = vertices.reshape(len(shape.rest_t), -1, 3)
    outward = (normals.reshape(ring.shape) * (ring - ring.mean(1, keepdims=True))).sum(-1)
    assert (outward > 0).mean() > 0.8  # not at the poles, where rings are points, nor inside bends


def test_every_checked_field_is_one_of_an_appearance() -> None:
    names = {field.name for field in fields(Appearance)}
    assert names >= {*appearance._RANGES, *appearance._COLOURS}


def test_random_outfits_repeat() -> None:
    first, again, other = (Appearance.random(np.random.default_rng([3, k])) for k in (0, 0, 1))
    assert first == again
    assert first != other
    assert hash(first) == hash(again)


@pytest.mark.parametrize("kind", ["studio", "green_screen", "outdoor"])
def test_backdrops_repeat_and_fill_any_size(kind: str) -> None:
    for horizon in (None, -40.0, 9.0, 200.0):
        first, again = (backdrop(kind, np.random.default_rng([1]), (H, W), horizon=horizon) for _ in range(2))
        np.testing.assert_array_equal(first, again)
        assert first.shape == (H, W, 3)
        assert first.dtype == np.uint8
        assert first.std() > 1


def test_without_a_writable_folder_the_kernel_still_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_in_memory = numba.njit

    def no_locator(cache: bool = False, **options: object) -> object:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return compile_in_memory(**options)

    monkeypatch.setattr(numba, "njit", no_locator)
    assert raster._compiled(lambda x: x + 1)(2) == 3


def moved_joint(value: float, axis: int) -> np.ndarray:
    joints = pose()
    joints[13, axis] = value
    return joints


@pytest.mark.parametrize(
    ("joints", "changed", "message"),
    [
        (pose()[:17], {}, r"must have shape \(18, 3\).*got \(17, 3\).*Skeleton\.remap"),
        (moved_joint(np.nan, 0), {}, r"must be finite.*joints \[13\].*fill in or drop the frame"),
        (
            moved_joint(-50.0, 2),
            {},
            r"at least 100 mm in front of the camera.*z = -50 mm.*move the camera back",
        ),
        (
            pose(),
            {"background": BACKGROUND[:, :-1]},
            r"`background`.*\(72, 56, 3\).*got.*\(72, 55, 3\).*backdrop",
        ),
        (pose(), {"background": BACKGROUND / 255.0}, r"`background` must be uint8.*float64"),
        (pose(), {"focal_px": (150.0, 0.0)}, r"`focal_px` must be two positive numbers.*in pixels"),
        (pose(), {"centre_px": (np.nan, 0.0)}, r"`centre_px` must be two finite numbers"),
        (pose(), {"light_direction": (0.0, 0.0, 0.0)}, r"`light_direction`.*towards the light"),
        (pose(), {"floor": ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))}, r"`floor` must be a point and a direction"),
        (pose(), {"supersample": 0}, r"`supersample` must be at least 1, got 0"),
    ],
)
def test_wrong_input_says_what_to_do(joints: np.ndarray, changed: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){message}"):
        draw(joints, **changed)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Appearance(skin=(0.8, 0.6, 0.5)), r"`Appearance\.skin`.*three whole numbers.*sRGB bytes"),
        (lambda: Appearance(girth=3.0), r"`Appearance\.girth` must lie in 0\.75 \.\.\. 1\.4, got 3\.0"),
        (lambda: Appearance(pattern="dots"), r"`Appearance\.pattern` must be one of 'plain'.*got 'dots'"),
        (
            lambda: Prop(np.zeros(3), np.array([1.0, 0, 1]), np.eye(3)),
            r"`Prop\.half_size_mm` must be positive",
        ),
        (
            lambda: Prop(np.zeros(3), np.ones(3), 2 * np.eye(3)),
            r"`Prop\.rotation` must be orthonormal.*half_size_mm",
        ),
        (lambda: Prop(np.zeros(2), np.ones(3), np.eye(3)), r"`Prop\.centre_mm`.*shape \(3,\)"),
        (
            lambda: backdrop("beach", np.random.default_rng(0), (4, 5)),
            r"`kind` must be one of 'studio'.*'beach'",
        ),
        (
            lambda: backdrop("studio", np.random.default_rng(0), (0, 5)),
            r"`size` must be \(H, W\).*got \(0, 5\)",
        ),
    ],
)
def test_wrong_clothes_props_and_backdrops_say_what_to_do(make, message: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){message}"):
        make()
