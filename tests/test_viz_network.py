"""The block diagram says what the network's config and parameters say."""

from dataclasses import replace

import pytest
import torch
from matplotlib.figure import Figure

from hemlets_lib.model import PRESETS, HEMletsNet, count_parameters
from hemlets_lib.viz import png_bytes
from hemlets_lib.viz_network import STAGE_LOOKS, draw_stage_bars, network_figure


def draw(config):
    skeleton, n = config.skeleton, config.heatmap_size
    maps = (
        {
            "triplets": torch.rand(skeleton.num_parts, config.num_states, n, n),
            "heatmaps": torch.rand(skeleton.num_joints, n, n),
        }
        if config.intermediate
        else {}
    )
    image, joints = torch.zeros(40, 40, 3, dtype=torch.uint8), torch.rand(skeleton.num_joints, 3) - 0.5
    return network_figure(config, image=image, joints=joints, **maps)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("name", PRESETS)
def test_the_shapes_along_the_arrows_are_those_of_the_network(name):
    config, shown = PRESETS[name], {}
    with torch.device("meta"):
        network = HEMletsNet(config).eval()
    for stage, module in network.named_children():
        module.register_forward_hook(lambda _, __, out, stage=stage: shown.update({stage: out.shape[1:]}))
    with torch.inference_mode():
        output = network(torch.empty(1, 3, config.image_size, config.image_size, device="meta"))
    shown |= {"joints": output.joints.shape[1:], "head": (config.skeleton.num_joints, *config.volume_size)}
    if config.intermediate:
        n = config.heatmap_size
        both = shown["feature_branch"][0] + shown["encoder"][0]
        shown |= {"triplets": output.triplets.shape[1:], "fused": (both, n, n)}
    written = "\n".join(texts(draw(config))).split("\n")
    for stage, shape in shown.items():
        assert " × ".join(map(str, shape)) in written, stage


def test_the_baseline_has_neither_maps_nor_their_stages():
    whole, short = draw(PRESETS["paper"]), draw(PRESETS["baseline"])
    assert {"HEMlets branch", "encoder", "cat"} <= set(texts(whole))
    assert not {"HEMlets branch", "encoder", "cat"} & set(texts(short))
    small_pictures = len(whole.axes[0].child_axes), len(short.axes[0].child_axes)
    assert small_pictures == (6, 2)


def test_five_maps_per_part_find_room():
    figure = draw(replace(PRESETS["nano"], variant="5s"))
    assert {"map −2", "map +2", "88 × 24 × 24"} <= set(texts(figure))
    assert png_bytes(figure).startswith(b"\x89PNG")


def test_maps_that_are_missed():
    with pytest.raises(ValueError, match="`triplets` and `heatmaps` must be given for 'nano'"):
        network_figure(
            PRESETS["nano"], image=torch.zeros(4, 4, 3, dtype=torch.uint8), joints=torch.zeros(18, 3)
        )


def test_every_stage_has_its_own_look():
    assert list(STAGE_LOOKS) == [name for name, _ in HEMletsNet.from_preset("nano").named_children()]
    assert len({look.colour for look in STAGE_LOOKS.values()}) == len(STAGE_LOOKS)
    assert len({look.hatch for look in STAGE_LOOKS.values()}) == len(STAGE_LOOKS)


def test_bars_add_up_and_name_each_stage_once():
    counts = count_parameters(HEMletsNet.from_preset("nano"))
    axes = Figure().subplots()
    rows = {"nano": counts, "without": {"backbone": 100_000}}
    draw_stage_bars(axes, rows, label_from=200_000, style="{:,.0f}", totals=True)
    ends = [bar.get_x() + bar.get_width() for bar in axes.patches]
    assert max(ends) == sum(counts.values())
    written = [text.get_text() for text in axes.texts]
    expected = [f"{count:,}" for count in counts.values() if count >= 200_000]
    assert written == [*expected, f"{sum(counts.values()):,}", "100,000"]
    assert axes.get_legend_handles_labels()[1] == [look.title for look in STAGE_LOOKS.values()]
