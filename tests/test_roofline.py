"""What a computation would take at a machine's limits: counted by hand for a few operations."""

from __future__ import annotations

import pytest
import torch

from hemlets_lib.limits import Limits, measure_limits, threads
from hemlets_lib.roofline import roofline, total

# 1 GFLOP/s and 1 GB/s: a million operations or bytes are a millisecond.
SLOW = Limits("cpu", 1, {"float32": 1.0, "bfloat16": 4.0}, 1.0)
PRODUCTS, NORMALISATION, OPTIMISER, COPIES, REST = (
    "convolutions and products", "normalisation", "optimiser", "copies and casts", "the rest",
)  # fmt: skip


def works(function, limits=SLOW):
    return {each.kind: each for each in roofline(function, limits)}


def test_a_product_is_counted_by_hand():
    one, other = torch.ones(100, 200), torch.ones(200, 50)
    (found,) = works(lambda: one @ other).values()
    assert found.kind == PRODUCTS and found.calls == 1
    assert found.gflop == pytest.approx(2 * 100 * 200 * 50 / 1e9)
    assert found.gb == pytest.approx(4 * (100 * 200 + 200 * 50 + 100 * 50) / 1e9)
    assert found.compute_ms == pytest.approx(2.0) and found.memory_ms == pytest.approx(0.14)
    assert found.bound_ms == pytest.approx(2.0)


def test_a_lower_precision_has_its_own_peak_and_fewer_bytes():
    one = torch.ones(100, 100, dtype=torch.bfloat16)
    found = works(lambda: one @ one)[PRODUCTS]
    assert found.compute_ms == pytest.approx(2.0 / 4) and found.memory_ms == pytest.approx(0.06)


def test_backward_counts_twice_as_much():
    weights = torch.ones(50, 50, requires_grad=True)
    values = torch.ones(50, 50, requires_grad=True)
    forward = works(lambda: values @ weights)[PRODUCTS]
    both = works(lambda: (values @ weights).sum().backward())[PRODUCTS]
    assert both.gflop == pytest.approx(3 * forward.gflop)


def test_views_and_reserved_memory_move_nothing():
    values = torch.ones(1000)
    assert not works(lambda: (values.view(10, 100).mT[3:].expand(2, -1, -1), torch.empty(1000)))


def test_in_place_and_repeated_values():
    values = torch.ones(1000)
    found = works(lambda: values.add_(torch.tensor(1.0).expand(1000)))[REST]
    assert found.gb == pytest.approx((4000 + 4 + 4000) / 1e9)  # read, a single number, written


def test_what_is_only_written_is_not_read():
    one, other = torch.ones(2, 1000)
    found = works(lambda: torch.add(one, one, out=other))[REST]
    assert found.gb == pytest.approx(3 * 4000 / 1e9)


def test_kinds_of_operations():
    weights = torch.ones(300, requires_grad=True)
    weights.grad = torch.ones(300)
    optimiser = torch.optim.Adam([weights], fused=True)
    optimiser.step()
    found = works(optimiser.step)
    assert found[OPTIMISER].gb == pytest.approx(4 * 300 * 8 / 1e9, rel=0.01)  # gradients count as written
    layer, maps = torch.nn.BatchNorm2d(4), torch.ones(2, 4, 8, 8)
    assert works(lambda: layer(maps))[NORMALISATION].calls == 1
    assert works(lambda: maps.bfloat16())[COPIES].gb == pytest.approx(2 * 4 * 64 * (4 + 2) / 1e9)


def test_an_operation_is_bound_by_the_longer_of_the_two():
    values = torch.ones(100, 100)
    fast = Limits("cpu", 1, {"float32": 1e6, "bfloat16": 1e6}, 1.0)
    parts = roofline(lambda: (values @ values, values + values), fast)
    whole = total(parts)
    assert whole.bound_ms == pytest.approx(whole.memory_ms) == pytest.approx(0.24)
    assert whole.calls == 2 and whole.kind == "all"


def test_limits_are_of_this_machine(monkeypatch):
    monkeypatch.setattr("hemlets_lib.limits._SIZES", {"cpu": (64,)})
    monkeypatch.setattr("hemlets_lib.limits._COPIED_MIB", {"cpu": 1})
    with threads(1):
        found, rows = measure_limits(rounds=1)
    assert found.threads == 1 and {row["unit"] for row in rows} == {"GFLOP/s", "GB/s"}
    for name, peak in found.gflops.items():
        assert peak == max(row["rate"] for row in rows if row["dtype"] == name) > 0
    assert found.to_dict()["copy_gb_per_s"] == found.copy_gb_per_s > 0
    with pytest.raises(ValueError, match=r"`device` must be one of 'cpu', got 'tpu'"):
        measure_limits("tpu")
