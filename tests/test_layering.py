"""The order of the layers, read from the imports: a module may use what lies below it, never above.

Imports inside functions count too. Type-checking imports do not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "hemlets_lib"

# From the ground up. Within a layer, modules may use each other as long as no circle arises.
LAYERS: tuple[tuple[str, ...], ...] = (
    (
        "callouts",
        "console",
        "fusion",
        "heap",
        "ledger",
        "limits",
        "pages",
        "paper",
        "results",
        "roofline",
        "rotation",
        "scaling",
        "skeleton",
        "timing",
        "viewer_scripts",
    ),
    ("geometry", "heatmaps", "kernels"),
    ("triplets", "lifting", "ambiguity"),
    (
        "model",
        "model_config",
        "fused_model",
        "pretrained",
        "rivals",
        "losses",
        "metrics",
        "protocols",
        "scores",
        "augment",
        "targets",
        "data",
    ),
    ("checkpoint", "export", "recipes", "tensor_files", "weights"),
    (
        "train",
        "memory",
        "batches",
        "memory",
        "run_folder",
        "run_state",
        "watchers",
        "evaluate",
        "prediction",
        "channels",
        "official_evaluation",
        "people",
        "hard_poses",
        "pose_records",
        "predict_files",
    ),
    ("experiments", "notebooks", "notebook_pages", "runs", "doctor", "bench"),
    ("cli",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
GROUND = {
    "ambiguity", "callouts", "console", "geometry", "heatmaps", "ledger", "lifting", "pages", "paper",
    "results", "skeleton", "triplets",
}  # fmt: skip
# Beside the tower: what each may use. Of the tower, only the command line may use them.
BESIDE = {
    "viz": GROUND,
    "viz_3d": GROUND | {"viz"},
    "viz_network": GROUND | {"viz", "model"},
    "viz_training": GROUND | {"viz", "data", "model", "prediction", "recipes", "run_folder"},
    "viz_experiments": GROUND | {"viz", "experiments"},
    "viz_data": GROUND | {"viz", "data"},
    "viz_evaluation": GROUND | {"viz", "scores"},
    "viz_ledger": GROUND | {"viz", "viz_experiments", "experiments"},
    "viz_scale": GROUND | {"viz", "scaling"},
    "viz_scorecard": GROUND | {"viz", "experiments"},
    "viz_speed": GROUND | {"viz", "limits"},
    "viz_teaching": GROUND | {"viz", "viz_3d", "data"},
    "viz_prediction": GROUND | {"viz", "viz_3d", "data", "hard_poses", "people"},
    "prediction_pages": GROUND
    | {"viz", "viewer_scripts", "viz_3d", "viz_prediction", "data", "hard_poses", "people", "pose_records"},
    "explorers": GROUND
    | {"viz", "viz_3d", "data", "augment", "checkpoint", "metrics", "model", "prediction"},
    "exercises": GROUND | {"experiments"},  # intervals and corrections that chapters 07, 08 and 12 teach
}
ONLY_IN = {
    "plotly": {"viz_3d", "explorers"},
    "ipywidgets": {"viz_3d", "explorers"},
    "anywidget": {"viz_3d", "explorers"},
    "papermill": {"notebooks"},
}
NOT_AT_IMPORT = {
    "datasets",
    "roma",
    "papermill",
    "nbconvert",
    "nbformat",
    "plotly",
    "ipywidgets",
    "anywidget",
}
MAY_IMPORT_AT_ONCE = {"viz_3d", "explorers"}  # they are for notebooks, where these are installed


def module_name(path: Path) -> str:
    """`data` for everything under data/, and so on."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports(node: ast.AST, *, at_import: bool) -> Iterator[tuple[str, int]]:
    """Every absolute module named by an import, with its line; with `at_import`, not inside functions."""
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child):
            continue
        if at_import and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.Import):
            yield from ((alias.name, child.lineno) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: relative import; write `from hemlets_lib...`"
            if child.module == "hemlets_lib":
                yield from ((f"hemlets_lib.{alias.name}", child.lineno) for alias in child.names)
            else:
                yield child.module or "", child.lineno
        else:
            yield from imports(child, at_import=at_import)


def allowed(importer: str, imported: str) -> bool:
    if importer == imported:
        return True
    if importer in BESIDE:
        return imported in BESIDE[importer]
    if imported in BESIDE:
        return importer == "cli"
    return LEVEL[imported] <= LEVEL[importer]


def inner_imports(source: str, *, at_import: bool) -> list[tuple[str, int]]:
    found = imports(ast.parse(source), at_import=at_import)
    return [(name.split(".")[1], line) for name, line in found if name.startswith("hemlets_lib.")]


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_uses_only_what_lies_below(path):
    importer = module_name(path)
    assert importer in LEVEL or importer in BESIDE, f"{importer}: give it a place in LAYERS or BESIDE"
    source = path.read_text(encoding="utf-8")
    wrong = [
        f"line {line}: {importer} must not use {imported}"
        for imported, line in inner_imports(source, at_import=False)
        if not allowed(importer, imported)
    ]
    for name, line in imports(ast.parse(source), at_import=False):
        package = name.split(".")[0]
        if package in ONLY_IN and importer not in ONLY_IN[package]:
            wrong.append(f"line {line}: only {', '.join(sorted(ONLY_IN[package]))} may use {package}")
    for name, line in imports(ast.parse(source), at_import=True):
        if name.split(".")[0] in NOT_AT_IMPORT and importer not in MAY_IMPORT_AT_ONCE:
            wrong.append(f"line {line}: import {name} inside the function that uses it")
    assert not wrong, "\n".join(wrong)


def test_no_circles():
    uses: dict[str, set[str]] = {}
    for path in FILES:
        found = inner_imports(path.read_text(encoding="utf-8"), at_import=True)
        uses.setdefault(module_name(path), set()).update(name for name, _ in found)

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"circle: {' -> '.join((*trail, module))}"
        for other in sorted(uses.get(module, set()) - {module}):
            visit(other, (*trail, module))

    for module in uses:
        visit(module, ())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from hemlets_lib import viz", [("viz", 1)]),
        ("import hemlets_lib.data.mocap.readers", [("data", 1)]),
        ("def f():\n    from hemlets_lib.cli import app", [("cli", 2)]),
        ("if TYPE_CHECKING:\n    from hemlets_lib.cli import app", []),
    ],
)
def test_the_reader_of_imports(source, expected):
    assert inner_imports(source, at_import=False) == expected


def test_the_order():
    assert allowed("losses", "triplets") and not allowed("triplets", "losses")
    assert allowed("explorers", "prediction") and not allowed("prediction", "explorers")
    assert not allowed("viz", "model") and allowed("cli", "viz")
