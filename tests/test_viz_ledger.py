"""Pictures of choices: peaks in the maps they belong to, errors and bands where the numbers are."""

import pytest
import torch

from hemlets_lib.experiments.differences import Difference
from hemlets_lib.skeleton import HEMLETS18
from hemlets_lib.triplets import VARIANTS, encode_triplets
from hemlets_lib.viz import png_bytes
from hemlets_lib.viz_ledger import Sweep, effects_figure, tolerance_figure, variants_figure


@pytest.fixture
def maps():
    joints = torch.linspace(-0.4, 0.4, 36).reshape(1, 18, 2)
    return {
        name: encode_triplets(
            joints, torch.full((1, 14), rule.max_state), skeleton=HEMLETS18, size=16, variant=name
        )[0, 2]
        for name, rule in VARIANTS.items()
    }


def variants(maps):
    states = {name: VARIANTS[name].max_state for name in maps}
    return variants_figure(
        torch.zeros(20, 20, 3), maps, states, HEMLETS18, part=2, joints_crop=torch.zeros(18, 3)
    )


def test_maps_of_one_level_stand_in_one_column(maps):
    figure = variants(maps)
    rows = [figure.axes[start : start + 6] for start in range(0, 18, 6)]
    titles = [[axes.get_title() for axes in row] for row in rows]
    three = ["", "", "map −1", "map 0", "map +1", ""]
    assert titles == [three, three, ["", "map −2", "map −1", "map 0", "map +1", "map +2"]]
    assert [row[0].get_ylabel() for row in rows] == ["hemlets\nstate +1", "2s\nstate +1", "5s\nstate +2"]
    empty = [[not axes.axison for axes in row] for row in rows]
    assert empty == [[False, True, False, False, False, True]] * 2 + [[False] * 6]


def test_each_panel_has_its_own_map(maps):
    panels = variants(maps).axes[6:12]  # 2s: both ends, in maps −1 and +1
    drawn = [float(panels[column].images[-1].get_array().max()) for column in (2, 3, 4)]
    assert drawn == pytest.approx([float(each.max()) for each in maps["2s"]])
    assert drawn[1] == 0 < min(drawn[0], drawn[2])


def test_no_variant_is_refused():
    with pytest.raises(ValueError, match="`maps` must hold at least one variant's maps, got none"):
        variants({})


SWEEP = Sweep(
    "the threshold", "ε", {0.5: [150.0], 0.1: [170.0, 171.0, 175.0], 0.9: []},
    {"at state 0": {0.1: 11.0, 0.5: 63.0}}, default=0.5,
)  # fmt: skip


def test_errors_and_shares_stand_at_their_value():
    figure = tolerance_figure([SWEEP, Sweep("noise", "ν", {})], levels_mm={"none": 188.0})
    above, empty, below, _ = figure.axes
    seeds = {float(line.get_xdata()[0]): list(line.get_ydata()) for line in above.lines[:2]}
    assert seeds == {0.1: [170.0, 171.0, 175.0], 0.5: [150.0]}  # 0.9 has not run, and is not drawn
    (means,) = [bars.lines[0] for bars in above.containers]
    assert list(means.get_xdata()) == [0.1, 0.5] and list(means.get_ydata()) == [172.0, 150.0]
    assert above.get_xlim() == below.get_xlim() == (pytest.approx(0.052), pytest.approx(0.948))
    level = next(line for line in above.lines if line.get_label() == "none")
    assert set(level.get_ydata()) == {188.0}
    assert [list(axis) for axis in below.lines[0].get_data()] == [[0.1, 0.5], [11.0, 63.0]]
    assert [text.get_text() for text in empty.texts] == ["not run"]
    assert above.get_ylim() == empty.get_ylim() and len(png_bytes(figure)) > 10_000


def test_only_a_mean_of_several_seeds_has_an_interval():
    above = tolerance_figure([SWEEP]).axes[0]
    (bars,) = above.containers
    lengths = [abs(high - low) for (_, low), (_, high) in bars.lines[2][0].get_segments()]
    assert lengths == [pytest.approx(2 * 6.572, abs=0.01), 0.0]


@pytest.mark.parametrize(("sweeps", "levels"), [([], 0), ([SWEEP], 4)])
def test_what_cannot_be_drawn(sweeps, levels):
    message = rf"at least one of `sweeps` and at most 3 of `levels_mm`, got {len(sweeps)} and {levels}"
    with pytest.raises(ValueError, match=message):
        tolerance_figure(sweeps, levels_mm={str(number): 1.0 for number in range(levels)})


def test_the_band_is_as_wide_as_the_seeds_lie_apart():
    found = [Difference("half σ", {0: 4.0}, "width"), Difference("twice σ", {}, "width")]
    with_band, without = (effects_figure(found, spread=spread, unit="mm") for spread in (3.2, None))
    (band,) = with_band.axes[0].patches
    assert (band.get_x(), band.get_width()) == (-3.2, 6.4)
    assert any("± 3.2 mm" in text.get_text() for text in with_band.axes[0].texts)
    assert not without.axes[0].patches
