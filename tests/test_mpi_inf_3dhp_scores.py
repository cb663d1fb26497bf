"""MPI-INF-3DHP from its files to its table: scenes and activities, against the official rules worked anew.

The other side reads the files with h5py and follows the data set's evaluation by the numbers of its own 17
joints (mpii_evaluate_errors.m, mpii_compute_3d_pck.m): root upon root, the universal poses, 14 joints,
strictly less than 150 mm, and 31 thresholds from 0 on. It uses nothing of the library.
"""

from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from downloads import mpi_inf_3dhp as written

from hemlets_lib.data.readers.contract import Take
from hemlets_lib.data.readers.mpi_inf_3dhp.reader import MpiInf3dhp
from hemlets_lib.geometry import crop_to_cam
from hemlets_lib.protocols import PROTOCOLS, Protocol, Row
from hemlets_lib.scores import MEAN_OF_COLUMNS, Poses, score_poses
from hemlets_lib.skeleton import HEMLETS18, MPI_INF_3DHP17

# Their order: head top, neck, right arm, left arm, right leg, left leg; pelvis 14, spine 15, head 16.
SCORED, PELVIS = list(range(14)), 14
SCENES = {"Studio GS": ("TS1", "TS2"), "Studio no GS": ("TS3", "TS4"), "Outdoor": ("TS5", "TS6")}
ACTIVITY = {
    1: "Standing/Walking", 2: "Exercising", 3: "Sitting", 4: "Reaching/Crouching", 5: "On The Floor",
    6: "Sports", 7: "Misc",
}  # fmt: skip
BY_ACTIVITY = Protocol(
    "3dhp by activity",
    "MPI-INF-3DHP by activity",
    rows=(Row("3DPCK", "pck_3d"), Row("AUC", "auc_3d"), Row("MPJPE", "mpjpe")),
    subjects=PROTOCOLS["mpi_inf_3dhp"].subjects,
    joints=PROTOCOLS["mpi_inf_3dhp"].joints,
)


def perturbed(truth, seed):
    """(17, 3) in their order, moved by what lies on both sides of many thresholds."""
    rng = np.random.default_rng(seed)
    return truth + rng.normal(0, 1, truth.shape) * rng.uniform(5, 160, (17, 1))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A test set with several valid frames a sequence, of more than one activity, in random order."""
    root = tmp_path_factory.mktemp("scores")
    rng = np.random.default_rng(1)
    for number, frames in zip(range(1, 7), (9, 4, 6, 3, 7, 5), strict=True):
        joints = written.poses28_cam_mm(frames, seed=40 + number)[:, written.RELEVANT17]
        valid = sorted(rng.choice(frames, size=frames - 1, replace=False).tolist())
        written.write_annot_data(
            root / f"TS{number}" / "annot_data.mat",
            joints,
            written.project(joints, written.STUDIO if number <= 4 else written.OUTDOOR),
            valid,
            rng.integers(1, 8, len(valid)).tolist(),
            scale=0.9 + 0.05 * number,
        )
    return root


@pytest.fixture(scope="module")
def frames(root):
    """Straight from the files: (sequence, frame) -> (activity, universal pose about the pelvis)."""
    found = {}
    for number in range(1, 7):
        with h5py.File(root / f"TS{number}/annot_data.mat") as file:
            for frame in np.flatnonzero(np.ravel(file["valid_frame"])):
                pose = file["univ_annot3"][frame, 0]
                activity = ACTIVITY[int(file["activity_annotation"][frame, 0])]
                found[f"TS{number}", int(frame)] = (activity, pose - pose[PELVIS])
    return found


def errors_of(frames, guess):
    """Their rules: {(sequence, frame): 14 distances}."""
    return {
        key: np.linalg.norm((guess[key] - guess[key][PELVIS]) - truth, axis=-1)[SCORED]
        for key, (_, truth) in frames.items()
    }


def pck_auc_mpjpe(errors):
    pooled = np.concatenate(errors)
    curve = [100 * np.mean(pooled < threshold) for threshold in range(0, 151, 5)]
    return 100 * np.mean(pooled < 150), np.mean(curve), pooled.mean()


def read_metas_and_poses(root, split="test"):
    takes = [take for take in MpiInf3dhp(root).takes(split) if isinstance(take, Take)]
    metas, poses = [], []
    for take in takes:
        for place, frame in enumerate(take.frames):
            metas.append(replace(take.meta, frame=int(frame)))
            poses.append(torch.from_numpy(take.joints_cam_mm[place]))
    return tuple(metas), torch.stack(poses)


def scored(root, guess, protocol):
    """Ours: guesses in their order, camera space, go in as a network's would."""
    metas, target = read_metas_and_poses(root)
    theirs = torch.from_numpy(np.stack([guess[meta.subject, meta.frame] for meta in metas]))
    predicted, known = MPI_INF_3DHP17.remap(theirs, HEMLETS18)
    assert known.all()
    return score_poses(Poses(predicted, target, metas), protocol)


def test_every_valid_frame_is_read_once(root, frames):
    metas, _ = read_metas_and_poses(root)
    assert sorted((meta.subject, meta.frame) for meta in metas) == sorted(frames)
    assert {(m.subject, m.frame): m.action for m in metas} == {key: act for key, (act, _) in frames.items()}


def test_a_perfect_prediction(root, frames):
    perfect = {key: truth + np.array([3.0, -70, 2500]) for key, (_, truth) in frames.items()}
    found = scored(root, perfect, PROTOCOLS["mpi_inf_3dhp"])
    for heading in SCENES:
        assert found.tables["3DPCK"].means[heading] == pytest.approx(100)
        assert found.tables["AUC"].means[heading] == pytest.approx(100 * 30 / 31)


def test_a_perturbed_prediction_by_scene(root, frames):
    guess = {key: perturbed(truth, i) for i, (key, (_, truth)) in enumerate(frames.items())}
    theirs = errors_of(frames, guess)
    found = scored(root, guess, PROTOCOLS["mpi_inf_3dhp"])
    for heading, sequences in SCENES.items():
        pck, auc, _ = pck_auc_mpjpe(
            [value for (sequence, _), value in theirs.items() if sequence in sequences]
        )
        assert 20 < pck < 95  # or it would tell nothing
        assert found.tables["3DPCK"].means[heading] == pytest.approx(pck, abs=1e-9)
        assert found.tables["AUC"].means[heading] == pytest.approx(auc, abs=1e-9)
    pck, auc, _ = pck_auc_mpjpe(list(theirs.values()))
    assert found.tables["3DPCK"].mean_of_frames == pytest.approx(pck, abs=1e-9)  # Table 3's 'All'
    assert found.tables["AUC"].mean_of_frames == pytest.approx(auc, abs=1e-9)
    assert found.counts["joints counted"] == 14 * len(frames)


def test_a_perturbed_prediction_by_activity(root, frames):
    guess = {key: perturbed(truth, 50 + i) for i, (key, (_, truth)) in enumerate(frames.items())}
    theirs = errors_of(frames, guess)
    found = scored(root, guess, BY_ACTIVITY)
    present = {activity for activity, _ in frames.values()}
    assert set(found.tables["3DPCK"].means) == present and len(present) >= 5
    for activity in present:
        pck, auc, mpjpe = pck_auc_mpjpe([theirs[key] for key, (act, _) in frames.items() if act == activity])
        assert found.tables["3DPCK"].means[activity] == pytest.approx(pck, abs=1e-9)
        assert found.tables["AUC"].means[activity] == pytest.approx(auc, abs=1e-9)
        assert found.tables["MPJPE"].means[activity] == pytest.approx(mpjpe, abs=1e-9)
    assert MEAN_OF_COLUMNS in found.table_markdown()


def test_a_distance_of_exactly_the_threshold_is_not_close(root, frames):
    """Strictly less, at every threshold; the wrists are off by 150 mm, the ankles by 145."""
    guess = {key: truth.copy() for key, (_, truth) in frames.items()}
    for pose in guess.values():
        pose[[4, 7], 1] += 150 * (1 + 1e-12)
        pose[[10, 13], 2] += 145 * (1 + 1e-12)
    found = scored(root, guess, PROTOCOLS["mpi_inf_3dhp"])
    assert found.tables["3DPCK"].mean_of_frames == pytest.approx(100 * 12 / 14)
    # Ten joints pass 30 thresholds, two pass one, two pass none; of 31.
    assert found.tables["AUC"].mean_of_frames == pytest.approx(100 * (10 * 30 + 2 * 1) / (14 * 31))


def test_pelvis_spine_and_head_do_not_count(root, frames):
    guess = {key: truth.copy() for key, (_, truth) in frames.items()}
    for pose in guess.values():
        pose[[15, 16]] += 1000.0
    found = scored(root, guess, PROTOCOLS["mpi_inf_3dhp"])
    assert found.tables["3DPCK"].mean_of_frames == pytest.approx(100)


def test_measured_poses_would_be_another_number(root, frames):
    """TS6 is 1.2 times as large: predicting true millimetres costs points in the official metric."""
    measured_metas, measured = read_metas_and_poses(root, "test_measured")
    metas, universal = read_metas_and_poses(root)
    assert measured_metas == metas
    largest = [meta.subject == "TS6" for meta in metas]
    found = score_poses(Poses(measured, universal, metas), PROTOCOLS["mpi_inf_3dhp"])
    right = score_poses(Poses(universal, universal, metas), PROTOCOLS["mpi_inf_3dhp"])
    assert found.tables["AUC"].means["Outdoor"] < right.tables["AUC"].means["Outdoor"] - 5
    relative = [(pose - pose[:, :1])[largest] for pose in (measured, universal)]
    torch.testing.assert_close(relative[0], relative[1] * 1.2)


def test_a_perfect_network_scores_perfectly_through_crop_and_camera(tmp_path):
    """Crop coordinates of the universal sample, back through its camera at the labelled depth of the root."""
    written.write_test(tmp_path)
    metas, predicted, target = [], [], []
    for take in MpiInf3dhp(tmp_path).takes("test"):
        if not isinstance(take, Take):
            continue
        sample = take.sample(0, size=64)
        depth_mm = sample.joints_cam_mm[0, 2].double()
        back = crop_to_cam(
            sample.joints_crop.double()[None], sample.camera, sample.affine.double()[None], size=64,
            root_depth_mm=depth_mm[None],
        )  # fmt: skip
        predicted.append(back[0])
        target.append(sample.joints_cam_mm.double())
        metas.append(sample.meta)
    found = score_poses(Poses(torch.stack(predicted), torch.stack(target), tuple(metas)), BY_ACTIVITY)
    assert len(metas) == 7 and found.tables["MPJPE"].mean_of_frames < 3  # annot2 is off by 0.3 px
    assert found.tables["3DPCK"].mean_of_frames == 100
