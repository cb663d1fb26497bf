"""Human3.6M as it is downloaded: poses in CDF files, videos, and the calibration of the code release.

The archives unpack to `S1/MyPoseFeatures/…`; h36m-fetch flattens the same files to
`extracted/S1/Poses_D3_Positions_mono/…`. Both are read. Camera-space poses are taken from
`D3_Positions_mono`, or computed from `D3_Positions` (world space) where only that is there. The poses of the
universal skeleton, which fit no picture, are left alone.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

from hemlets_lib.data.readers.contract import Finding, Reader, Skipped, Take
from hemlets_lib.data.readers.files import DownloadError
from hemlets_lib.data.readers.human36m.facts import (
    ACTION_NUMBERS,
    CAMERA_NAMES,
    DATASET,
    DEFAULT_STEPS,
    FRAMES_PER_SECOND,
    JOINTS17_OF_32,
    SPLITS,
    TakeName,
    frames_taken,
    parse_take,
    why_corrupt,
)
from hemlets_lib.data.readers.human36m.files import (
    CAMERA_POSES,
    COORDINATES,
    SubjectFiles,
    num_poses,
    read_box_px,
    read_joints,
)
from hemlets_lib.data.readers.human36m.metadata import (
    METADATA_NAME,
    Metadata,
    calibration,
    find_metadata,
    read_metadata,
)
from hemlets_lib.data.readers.human36m.videos import (
    DISAGREE,
    REPROJECTION_PX,
    TakeKey,
    check_videos,
    disagreement_px,
    missing_files,
    shifted_note,
    video_takes,
)
from hemlets_lib.geometry import Camera

__all__ = ["Human36mOriginal"]

_TAKES_OF_SUBJECT = 2 * len(ACTION_NUMBERS)  # prepare_data_h36m.py of VideoPose3D expects 30 files
_NO_POSES = "its poses are missing"
_DAMAGED = "its poses cannot be read"
_COMPARED_FRAMES = 3  # of one take before each camera, spread over it


class Human36mOriginal(Reader):
    """The data set's own files; see the module's docstring."""

    dataset = DATASET
    form = "original"
    title = "Human3.6M, the original download (CDF and MP4)"
    layout = """\
S1/MyPoseFeatures/D3_Positions_mono/Directions 1.54138969.cdf   (S1, S5, S6, S7, S8, S9, S11)
S1/MyPoseFeatures/D2_Positions/Directions 1.54138969.cdf        optional: pixels are projected otherwise
S1/Videos/Directions 1.54138969.mp4
metadata.xml                                                    optional, of the code release
or h36m-fetch's extracted/S1/Poses_D3_Positions_mono/…, extracted/S1/Videos/…"""
    source = (
        "Ionescu et al., PAMI 2014, and the data set's code release; extract_all.py of anibali/h36m-fetch"
    )
    splits = tuple(SPLITS)
    frames_per_second = FRAMES_PER_SECOND
    default_steps = DEFAULT_STEPS
    assumptions = (
        "`Pose` is one record of (frames, 96) or (frames, 64) numbers: met in files written by cdflib.",
        "metadata.xml holds `w0` with 300 numbers and the table `mapping`: met in files written here.",
        "D2_Positions agrees with D3_Positions_mono to 1 px in every take: checked on four real frames.",
        "Boxes (ground_truth_bb) are HDF5 with references to masks in `Masks`: met in files written by h5py.",
    )

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return any(subject.is_there for subject in cls(root)._subjects().values())

    def _subjects(self) -> dict[str, SubjectFiles]:
        extracted = self.root / "extracted"
        base = extracted if extracted.is_dir() else self.root
        return {name: SubjectFiles(base / name) for names in SPLITS.values() for name in names}

    def _metadata(self) -> Metadata | None:
        path = find_metadata(self.root)
        return None if path is None else read_metadata(path)

    def takes(self, split: str, *, step: int = 1) -> Iterator[Take | Skipped]:
        self.check_split(split)
        subjects = {name: each for name, each in self._subjects().items() if name in SPLITS[split]}
        if not any(subject.is_there for subject in subjects.values()):
            raise DownloadError(
                f"{self.root}: expected poses of {', '.join(subjects)} for the split '{split}', as "
                f"{next(iter(subjects))}/{CAMERA_POSES[0]}/*.cdf; found none."
            )
        metadata = self._metadata()
        for who, subject in subjects.items():
            if not subject.is_there:
                yield Skipped(who, "the subject's poses are missing")
                continue
            for name in subject.names():
                for camera_name in CAMERA_NAMES:
                    camera = calibration(metadata, who, camera_name)
                    yield from self._take(subject, who, name, camera_name, camera, step)

    def _take(
        self, subject: SubjectFiles, who: str, name: TakeName, camera_name: str, camera: Camera, step: int
    ) -> Iterator[Take | Skipped]:
        files = subject.files(name, camera_name)
        title = f"{who}/{name.take}.{camera_name}"
        poses, pixels, video = files["poses"], files["pixels"], files["video"]
        if poses is None or not poses.is_file():
            yield Skipped(title, why_corrupt(who, camera_name, take=name.take) or _NO_POSES)
            return
        try:
            joints = read_joints(poses, 3)
            joints_px = read_joints(pixels, 2) if pixels is not None and pixels.is_file() else None
        except DownloadError:
            yield Skipped(title, _DAMAGED)
            return
        yield from video_takes(
            form=self.form,
            subject=who,
            name=name,
            camera_name=camera_name,
            camera=camera,
            joints_cam_mm=subject.in_camera(joints, camera),
            joints_px=joints_px,
            video=video if video is not None and video.is_file() else None,
            step=step,
        )

    def check(self) -> Iterator[Finding]:
        metadata = None
        try:
            metadata = self._metadata()
        except DownloadError as error:
            yield Finding(METADATA_NAME, str(error))
        else:
            yield Finding(
                METADATA_NAME,
                note="cameras and names of takes read from there"
                if metadata
                else "not there, and not needed: hemlets has the published calibration of these subjects",
            )
        for who, subject in self._subjects().items():
            if not subject.is_there:
                used = ", ".join(split for split, names in SPLITS.items() if who in names)
                yield Finding(
                    subject.folder.relative_to(self.root).as_posix(),
                    f"expected {CAMERA_POSES[0]} or {CAMERA_POSES[1]} there, found neither; the split "
                    f"'{used}' needs {who}",
                )
                continue
            yield from self._check_subject(who, subject, metadata)

    def _check_subject(self, who: str, subject: SubjectFiles, metadata: Metadata | None) -> Iterator[Finding]:
        named = [parse_take(take) for take in (metadata.takes.get(who, {}) if metadata else {}).values()]
        takes = {(name.action, name.number): name for name in (*named, *subject.names()) if name is not None}
        if not named and len(takes) != _TAKES_OF_SUBJECT:
            yield Finding(
                self._where(subject.folder),
                f"expected {_TAKES_OF_SUBJECT} takes, each of {len(ACTION_NUMBERS)} actions twice, found "
                f"{len(takes)}: {', '.join(name.take for name in takes.values())}",
            )
        lengths: dict[TakeKey, int] = {}
        compared = dict.fromkeys(CAMERA_NAMES, False)
        expected: list[Path] = []
        for (action, number), name in takes.items():
            for camera_name in CAMERA_NAMES:
                files = subject.files(name, camera_name)
                if not why_corrupt(who, camera_name, take=name.take):
                    expected += [path for path in files.values() if path is not None]
                good = yield from self._check_poses(files)
                if "poses" in good:
                    lengths[action, number, camera_name] = good["poses"]
                if len(good) == 2 and good["poses"] == good["pixels"] and not compared[camera_name]:
                    compared[camera_name] = True
                    yield from self._compare(subject, files, calibration(metadata, who, camera_name))
        yield from missing_files(self.root, list(dict.fromkeys(expected)))
        yield from check_videos(self.root, who, subject.videos, lengths)
        if note := shifted_note(who):
            yield Finding(self._where(subject.folder), note=note)
        yield from self._check_boxes(subject)

    def _check_poses(self, files: dict[str, Path | None]) -> Generator[Finding, None, dict[str, int]]:
        """The headers of a take's poses; gives how many frames each kind has."""
        frames = {}
        for kind, coordinates in COORDINATES.items():
            path = files[kind]
            if path is not None and path.is_file():
                try:
                    frames[kind] = num_poses(path, coordinates)
                except DownloadError as error:
                    yield Finding(self._where(path), str(error))
        if len(set(frames.values())) > 1:
            assert files["pixels"] is not None
            yield Finding(
                self._where(files["pixels"]),
                f"expected {frames['poses']} frames, as in its 3D poses, got {frames['pixels']}",
            )
        return frames

    def _compare(
        self, subject: SubjectFiles, files: dict[str, Path | None], camera: Camera
    ) -> Iterator[Finding]:
        """A few frames of a take: are the 2D joints what the camera makes of the 3D joints?"""
        poses, pixels = files["poses"], files["pixels"]
        assert poses is not None and pixels is not None
        try:
            joints_cam, joints_px = read_joints(poses, 3), read_joints(pixels, 2)
        except DownloadError as error:
            yield Finding(self._where(poses), str(error))
            return
        few = frames_taken(len(joints_cam), max(1, len(joints_cam) // _COMPARED_FRAMES))
        joints_cam = subject.in_camera(joints_cam[few], camera)
        apart = disagreement_px(
            joints_cam[:, list(JOINTS17_OF_32)], joints_px[few][:, list(JOINTS17_OF_32)], camera
        )
        if apart >= REPROJECTION_PX:
            yield Finding(
                self._where(pixels),
                f"{DISAGREE}: up to {apart:.1f} px apart, expected less than {REPROJECTION_PX:g}. Are the "
                "cameras those of this data set?",
            )

    def _check_boxes(self, subject: SubjectFiles) -> Iterator[Finding]:
        """One of the data set's own boxes against the joints: is it the same person, in the same frame?"""
        if subject.boxes is None or subject.pixels is None:
            return
        for path in sorted(subject.boxes.glob("*.mat")):
            pixels = subject.pixels / f"{path.stem}.cdf"
            if parse_take(path.stem) is None or not pixels.is_file():
                continue
            try:
                low, high = read_box_px(path, 0)
                joints_px = read_joints(pixels, 2)[0]
            except DownloadError as error:
                yield Finding(self._where(path), str(error))
                return
            if not ((joints_px[0] >= low) & (joints_px[0] <= high)).all():
                yield Finding(
                    self._where(path),
                    f"expected the pelvis at {joints_px[0].round(1).tolist()} px in the box "
                    f"{low.tolist()} … {high.tolist()} of the first frame",
                )
            yield Finding(
                f"{self._where(subject.boxes)}/*.mat",
                note="boxes are not needed: persons are cropped by 2 m about the pelvis",
            )
            return

    def _where(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()
