"""The fused soft-argmax against its readable form: `heatmaps.soft_argmax_3d`."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hemlets_lib.geometry import Grid
from hemlets_lib.heatmaps import soft_argmax_3d
from hemlets_lib.kernels import soft_argmax, soft_argmax_cpu, threads
from hemlets_lib.kernels.soft_argmax import is_fused, soft_argmax_3d_fused

INF, NAN = float("inf"), float("nan")
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    ),
]
LAYOUTS = ("rows", "channels", "neither")
TOLERANCE = {torch.float32: 2e-6, torch.bfloat16: 8e-3, torch.float16: 1e-3}  # of the gradient's largest


@pytest.fixture(autouse=True)
def small_volumes_too(monkeypatch):
    """Kernels for volumes of any size, and a thread for little work."""
    monkeypatch.setattr(soft_argmax, "_FEWEST_CELLS", 1)
    monkeypatch.setattr(soft_argmax, "_CELLS_PER_THREAD", 1)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def laid_out(volume, layout):
    """(B, J, D, H, W) volumes, the same numbers, as the head of a network leaves them, or as nobody does."""
    batch, joints, depth, *image = volume.shape
    if layout == "channels":
        flat = volume.reshape(batch, joints * depth, *image).to(memory_format=torch.channels_last)
        return flat.unflatten(1, (joints, depth))
    return volume.contiguous() if layout == "rows" else volume.mT.contiguous().mT


def with_gradient(function, volume, pull, grid=Grid.CELL_CENTRED):
    volume = volume.detach().requires_grad_()
    places = function(volume, grid=grid)
    return places.detach(), torch.autograd.grad(places, volume, pull)[0]


def assert_alike(volume, *, grid=Grid.CELL_CENTRED, layout="rows"):
    """Places and gradients of both forms, NaN where the readable form has NaN."""
    assert is_fused(volume)
    pull = torch.randn(*volume.shape[:-3], 3, device=volume.device)
    places, gradient = with_gradient(soft_argmax_3d_fused, laid_out(volume, layout), pull, grid)
    expected, expected_gradient = with_gradient(soft_argmax_3d, volume, pull, grid)
    assert places.dtype == torch.float32 and gradient.dtype == volume.dtype
    torch.testing.assert_close(places, expected, atol=1e-6, rtol=1e-6, equal_nan=True)
    largest = expected_gradient.float().nan_to_num(0).abs().amax().item()
    torch.testing.assert_close(
        gradient.float(),
        expected_gradient.float(),
        atol=max(TOLERANCE[volume.dtype] * largest, 1e-7),  # a place is not told more exactly
        rtol=TOLERANCE[volume.dtype],
        equal_nan=True,
    )


def test_exponential_is_exact_to_rounding():
    t = -np.concatenate([np.geomspace(1e-8, 87, 20_000), np.linspace(0, 87, 20_001)]).astype(np.float32)
    got = np.array([soft_argmax_cpu.exponential(each) for each in t])
    exact = np.exp(t.astype(np.float64))
    assert np.abs(got / exact - 1).max() < 1.2e-7
    assert soft_argmax_cpu.exponential(np.float32(0)) == 1


def test_exponential_at_the_ends():
    assert soft_argmax_cpu.exponential(np.float32(-87.01)) == 0
    assert soft_argmax_cpu.exponential(np.float32(-INF)) == 0
    for bits in (0x7FC00000, 0xFFC00000, 0x7F800001, 0xFFFFFFFF):  # NaN of either sign and any payload
        assert np.isnan(soft_argmax_cpu.exponential(np.uint32(bits).view(np.float32)))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("device", DEVICES)
def test_two_cells_by_hand(device, layout):
    """Probabilities 3/4 and 1/4 in cells (d, h, w) = (1, 2, 3) and (4, 2, 5) of 5 x 6 x 7."""
    volume = torch.full((2, 3, 5, 6, 7), -200.0, device=device)
    volume[..., 1, 2, 3] = float(np.log(3.0))
    volume[..., 4, 2, 5] = 0.0
    volume = laid_out(volume, layout).requires_grad_()
    places = soft_argmax_3d_fused(volume)
    x, y, z = places[1, 2].tolist()
    assert x == pytest.approx((0.75 * 3 + 0.25 * 5 + 0.5) / 7 - 0.5, abs=1e-6)
    assert y == pytest.approx(2.5 / 6 - 0.5, abs=1e-6)
    assert z == pytest.approx((0.75 * 1 + 0.25 * 4 + 0.5) / 5 - 0.5, abs=1e-6)

    places[1, 2, 0].backward()  # p (x - expected x): -1/2 of a cell, and 3/2
    assert volume.grad[1, 2, 1, 2, 3].item() == pytest.approx(0.75 * -0.5 / 7, rel=1e-5)
    assert volume.grad[1, 2, 4, 2, 5].item() == pytest.approx(0.25 * 1.5 / 7, rel=1e-5)
    assert volume.grad[0].abs().sum() == volume.grad[1, 0].abs().sum() == 0


@pytest.mark.parametrize("grid", Grid)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("device", DEVICES)
def test_places_and_gradients(device, dtype, layout, grid):
    assert_alike((torch.randn(2, 3, 9, 17, 35, device=device) * 4).to(dtype), grid=grid, layout=layout)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    shape=st.tuples(*(st.integers(1, most) for most in (3, 4, 20, 20, 40))),
    layout=st.sampled_from(LAYOUTS),
    dtype=st.sampled_from(sorted(TOLERANCE, key=str)),
    scale=st.sampled_from([0.0, 0.01, 1.0, 30.0]),
    seed=st.integers(0, 2**16),
)
def test_any_size_and_layout(shape, layout, dtype, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    volume = (torch.randn(shape, generator=generator) * scale).to(dtype)
    assert_alike(volume, layout=layout)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("level", [0.0, 1e4, -1e4, 3e38])
def test_the_level_of_logits(level, layout, device):
    volume = torch.randn(2, 3, 5, 6, 7, device=device)
    assert_alike(volume + level, layout=layout)
    assert_alike(torch.full_like(volume, level), layout=layout)
    assert_alike(volume * max(abs(level), 1), layout=layout)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_infinite_logits_and_such_as_are_none(dtype, layout, device):
    volume = torch.randn(2, 6, 5, 6, 7, device=device)
    volume[0, 0] = -INF  # nothing anywhere
    volume[0, 1, :3] = -INF  # slices with nothing, before others
    volume[0, 2, :, 2:] = -INF
    volume[0, 3, 2, 3, 4] = INF
    volume[0, 4, 4, 5, 6] = NAN
    volume[0, 5] = -INF
    volume[0, 5, 2, 2, 2] = torch.tensor(INF) - INF  # NaN with a sign, among -inf
    volume[1, 0] = NAN
    volume[1, 1] = -INF
    volume[1, 1, 1, 2, 3] = 4.0  # a single cell
    volume[1, 2, 0, 0, 0] = -NAN
    assert_alike(volume.to(dtype), layout=layout)
    found = soft_argmax_3d_fused(laid_out(volume.to(dtype), layout)).isnan().all(-1)
    assert found.tolist() == [
        [True, False, False, True, True, True],
        [True, False, True, False, False, False],
    ]


@pytest.mark.parametrize(
    "shape", [(5, 6, 7), (3, 5, 6, 7), (2, 2, 3, 5, 6, 7), (1, 1, 1, 1, 1), (2, 3, 8, 1, 1)]
)
@pytest.mark.parametrize("device", DEVICES)
def test_any_batch(shape, device):
    assert_alike(torch.randn(shape, device=device), layout="rows" if len(shape) != 5 else "channels")


def test_without_cells_or_people():
    for shape in ((0, 3, 5, 6, 7), (2, 0, 5, 6, 7), (2, 3, 0, 6, 7)):
        volume = torch.zeros(shape, requires_grad=True)
        places = soft_argmax_3d_fused(volume)
        torch.testing.assert_close(places, soft_argmax_3d(volume))
        places.sum().backward()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradient_lies_as_the_logits_and_nothing_else_is_kept(device, dtype):
    maps = torch.randn(2, 3 * 5, 6, 7, device=device).to(dtype).to(memory_format=torch.channels_last)
    maps.requires_grad_()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        places = soft_argmax_3d_fused(maps.unflatten(1, (3, 5)))
    assert sorted(each.numel() for each in kept) == [2 * 3 * 5, maps.numel()]  # statistics, and the logits
    assert {each.data_ptr() for each in kept} >= {maps.data_ptr()}  # themselves, not a copy
    places.sum().backward()
    assert maps.grad.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_number_of_threads_gives_the_same(layout, two_threads, monkeypatch):
    volume, pull = laid_out(torch.randn(2, 3, 9, 17, 35), layout), torch.randn(2, 3, 3)
    found = [with_gradient(soft_argmax_3d_fused, volume, pull)]
    for count in (1, 2, 3, 5):
        monkeypatch.setattr(torch, "get_num_threads", lambda count=count: count)
        found.append(with_gradient(soft_argmax_3d_fused, volume, pull))
    for places, gradient in found[1:]:
        assert torch.equal(places, found[0][0]) and torch.equal(gradient, found[0][1])


def test_a_person_alone_or_among_others_gets_the_same():
    volume = torch.randn(4, 3, 9, 17, 35)
    for layout in LAYOUTS:
        together = soft_argmax_3d_fused(laid_out(volume, layout))
        assert torch.equal(together[1:2], soft_argmax_3d_fused(laid_out(volume[1:2], layout)))


def test_shares_cover_all_units_once(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    done: list[tuple[int, int, str]] = []
    threads.in_shares(lambda first, last, name: done.append((first, last, name)), 10, "a", most=3)
    assert sorted(done) == [(0, 3, "a"), (3, 6, "a"), (6, 10, "a")]
    done.clear()
    threads.in_shares(lambda first, last: done.append((first, last, "")), 10, most=0)
    assert done == [(0, 10, "")]


def test_a_thread_that_cannot_be_had(monkeypatch):
    class Refusing:
        def submit(self, *_):
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(threads, "_pool", Refusing())
    assert_alike(torch.randn(2, 3, 5, 6, 7))


def test_several_callers_at_once(two_threads):
    volume, found = torch.randn(2, 3, 9, 17, 35), []
    callers = [threading.Thread(target=lambda: found.append(soft_argmax_3d_fused(volume))) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(found) == 8 and all(torch.equal(each, found[0]) for each in found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_computes_too(two_threads):
    """As the workers of a loader are, after their parent has used its threads."""
    volume = torch.randn(2, 3, 9, 17, 35)
    expected = soft_argmax_3d_fused(volume)
    assert threads._pool is not None
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # Python on forks beside threads: that is the test
        child = os.fork()
    if child == 0:
        same = False
        try:
            same = torch.equal(soft_argmax_3d_fused(volume), expected)
        finally:
            os._exit(0 if same else 1)
    deadline = time.monotonic() + 60
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > deadline:
            os.kill(child, 9)
            os.waitpid(child, 0)
            pytest.fail("the forked process hangs")
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(ended[1]) == 0


def test_which_form_is_used(monkeypatch):
    volume = torch.randn(1, 1, 2, 3, 4)
    assert is_fused(volume) and is_fused(volume.half()) and is_fused(torch.nn.Parameter(volume))
    assert not is_fused(volume.double()) and not is_fused(volume.to("meta")) and not is_fused(volume.long())
    monkeypatch.setattr(soft_argmax, "_FEWEST_CELLS", 25)
    assert not is_fused(volume) and not is_fused(torch.randn(100, 9, 2, 3, 4))  # however many there are
    assert torch.equal(soft_argmax_3d_fused(volume), soft_argmax_3d(volume))


def test_second_derivatives():
    """Through the readable form: the gradient's gradient is the same."""
    volume, pull = torch.randn(2, 2, 3, 4, 5), torch.randn(2, 2, 3)
    found = []
    for function in (soft_argmax_3d_fused, soft_argmax_3d):
        leaf = volume.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(function(leaf), leaf, pull, create_graph=True)
        found.append(torch.autograd.grad(gradient.square().sum(), leaf)[0])
    torch.testing.assert_close(found[0], found[1], atol=1e-7, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning")  # torch.func.jvp's own
def test_transforms_of_torch_func():
    volume = torch.randn(4, 2, 3, 4, 5)
    mapped = torch.func.vmap(soft_argmax_3d_fused)(volume)
    torch.testing.assert_close(mapped, soft_argmax_3d(volume))
    slopes = torch.func.grad(lambda v: soft_argmax_3d_fused(v).sum())(volume)
    torch.testing.assert_close(slopes, with_gradient(soft_argmax_3d, volume, torch.ones(4, 2, 3))[1])
    _, moved = torch.func.jvp(soft_argmax_3d_fused, (volume,), (volume,))
    assert moved.shape == (4, 2, 3)


class Head(torch.nn.Module):
    def forward(self, volume):
        return soft_argmax_3d_fused(volume)


def test_tracing_and_export_see_the_readable_form():
    volume = torch.randn(2, 3, 5, 6, 7)
    expected = soft_argmax_3d(volume)
    exported = torch.export.export(Head(), (volume,)).module()
    other = torch.randn(2, 3, 5, 6, 7)
    torch.testing.assert_close(exported(volume), expected)
    torch.testing.assert_close(exported(other), soft_argmax_3d(other))  # nothing was frozen
    traced = torch.fx.experimental.proxy_tensor.make_fx(lambda logits: soft_argmax_3d_fused(logits))(volume)
    torch.testing.assert_close(traced(other), soft_argmax_3d(other))


def test_without_a_writable_folder_the_kernels_still_compile(monkeypatch):
    compile_in_memory = numba.njit

    def no_locator(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return compile_in_memory(**options)

    monkeypatch.setattr(numba, "njit", no_locator)
    assert soft_argmax_cpu.compiled("contract")(lambda x: x + 1)(2) == 3


def test_a_worker_of_a_loader_computes_too(two_threads):
    """Forked by torch, with its own count of threads."""
    volumes = torch.randn(4, 3, 9, 17, 35)
    expected = soft_argmax_3d_fused(volumes)
    loader = torch.utils.data.DataLoader(
        volumes, batch_size=None, num_workers=1, collate_fn=soft_argmax_3d_fused,
        multiprocessing_context="fork" if "fork" in torch.multiprocessing.get_all_start_methods() else None,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert torch.equal(torch.stack(list(loader)), expected)


def test_without_numba(monkeypatch):
    soft_argmax._kernels.cache_clear()
    monkeypatch.setitem(sys.modules, "hemlets_lib.kernels.soft_argmax_cpu", None)
    volume = torch.randn(2, 3, 5, 6, 7)
    with pytest.warns(UserWarning, match="soft-argmax takes its readable, slower form: "):
        assert torch.equal(soft_argmax_3d_fused(volume), soft_argmax_3d(volume))
    assert torch.equal(soft_argmax_3d_fused(volume), soft_argmax_3d(volume))  # and says so once
    soft_argmax._kernels.cache_clear()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_where_triton_cannot_run_it_is_not_used():
    pytest.importorskip("triton")
    soft_argmax._kernels.cache_clear()
    with pytest.warns(UserWarning, match="soft-argmax takes its readable, slower form: "):
        assert soft_argmax._kernels("triton") is None
    soft_argmax._kernels.cache_clear()


def run_python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True,
        timeout=120, cwd=Path(__file__).parents[1], stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_numba_is_not_imported_before_it_is_needed():
    code = (
        "import sys, torch, hemlets_lib.kernels.soft_argmax as s; "
        "s.soft_argmax_3d_fused(torch.ones(9, 2, 3, 4)); "
        "print('numba' in sys.modules, 'triton' in sys.modules)"
    )
    assert run_python(code).split() == ["False", "False"]


INTERPRETED = """
import torch
from hemlets_lib.geometry import Grid
from hemlets_lib.heatmaps import soft_argmax_3d
from hemlets_lib.kernels.soft_argmax_triton import backward, forward

inf = float("inf")
torch.manual_seed(0)
for shape in ((2, 3, 5, 6, 7), (1, 2, 20, 40, 33), (1, 1, 1, 1, 1)):
    for dtype in (torch.float32, torch.bfloat16):
        for channels in (False, True):
            b, j, d, h, w = shape
            maps = (torch.randn(b, j * d, h, w) * 3).to(dtype)
            maps[0, 0, 0] = -inf if maps.numel() > 1 else 0
            if channels:
                maps = maps.to(memory_format=torch.channels_last)
            volume, pull = maps.unflatten(1, (j, d)), torch.randn(b, j, 3)
            grid, out = Grid.CELL_CENTRED, torch.full_like(volume, 7)
            statistics = forward(volume, grid)
            backward(volume, grid, statistics, pull, out)
            leaf = volume.clone().requires_grad_()
            places = soft_argmax_3d(leaf)
            torch.testing.assert_close(statistics[..., 2:], places, atol=1e-6, rtol=1e-6)
            expected = torch.autograd.grad(places, leaf, pull)[0]
            near = 2e-6 if dtype == torch.float32 else 8e-3
            torch.testing.assert_close(out, expected, atol=near * expected.abs().max().item(), rtol=near)
odd = torch.zeros(1, 4, 3, 5, 6)
odd[0, 0], odd[0, 1, 1, 1, 1], odd[0, 2, 1, 1, 1] = -inf, inf, inf - inf
print(forward(odd, Grid.CORNER_ALIGNED)[0, :, 2:].isnan().all(-1).tolist())
"""


def test_the_kernels_for_gpus_as_triton_interprets_them():
    pytest.importorskip("triton")
    code = "import warnings; warnings.simplefilter('ignore')\n" + INTERPRETED
    assert run_python(code, TRITON_INTERPRET="1").strip() == "[True, True, True, False]"


def test_a_share_that_fails_ends_no_sooner_than_the_others(two_threads):
    """What is written to must be left alone once the call is over."""
    written, failed = [], threading.Event()

    def work(first: int, last: int) -> None:
        if first == 0:
            failed.set()
            raise ArithmeticError("share 0")
        failed.wait(10)
        time.sleep(0.05)
        written.append((first, last))

    with pytest.raises(ArithmeticError, match="share 0"):
        threads.in_shares(work, 4, most=2)
    assert written == [(2, 4)]


def test_a_share_in_the_queue_of_a_pool_without_threads_is_done_once(monkeypatch, two_threads):
    """`submit` puts a share into its queue before it starts a thread for it, which may fail."""
    queue, done = [], []

    class Starved:
        def submit(self, function, *arguments):
            queue.append((function, arguments))
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "_pool", Starved())
    threads.in_shares(lambda first, last: done.append((first, last)), 4, most=2)
    for function, arguments in queue:  # a thread turns up after all
        function(*arguments)
    assert sorted(done) == [(0, 2), (2, 4)]
