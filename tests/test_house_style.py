"""The house style of the library, checked on what is public: the names in each module's `__all__`."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "hemlets_lib"
LONGEST_FILE = 450
SELF_EVIDENT_PARAMETERS = 2  # one sentence may say enough about a function of so few
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
STYLE = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())


def exported(tree: ast.Module) -> list[str] | None:
    """The names in `__all__`, or None where there is none."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return list(ast.literal_eval(node.value))
    return None


def parameter_names(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [each.arg for each in named if each.arg not in ("self", "cls")]


def gives_back_several(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return function.returns is not None and ast.unparse(function.returns).startswith(("tuple[", "dict["))


def is_command(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A command's docstring is its help text; its arguments are described by their options."""
    return any(".command" in ast.unparse(decorator) for decorator in function.decorator_list)


def complaints(source: str) -> list[str]:
    """What is not as it should be in a module's public names."""
    tree = ast.parse(source)
    found = [] if ast.get_docstring(tree) else ["the module has no docstring"]
    names = exported(tree)
    if names is None:
        return [*found, "no __all__"]
    if len(set(names)) != len(names):
        found.append("__all__ names something twice")
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name in names and not ast.get_docstring(node):
            found.append(f"{node.name} has no docstring")
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name not in names:
            continue
        text = ast.get_docstring(node)
        if not text:
            found.append(f"{node.name}() has no docstring")
        elif not is_command(node):
            described = "Args:" in text or "rguments as in `" in text
            if len(parameter_names(node)) > SELF_EVIDENT_PARAMETERS and not described:
                found.append(f"{node.name}() takes several arguments: describe them under 'Args:'")
            if gives_back_several(node) and "Returns:" not in text:
                found.append(f"{node.name}() returns several things: describe them under 'Returns:'")
    return found


@STYLE
def test_public_names_are_documented(path):
    found = complaints(path.read_text(encoding="utf-8"))
    assert not found, "\n".join(found)


@STYLE
def test_files_stay_readable(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_FILE, f"{lines} lines; split it (comfortable: 80 to 350)"


def test_the_check_itself():
    source = '"""M."""\n__all__ = ["f", "g"]\n'
    source += 'def f(x, y, *, z):\n    """F."""\ndef g() -> tuple[int, int]:\n    """G."""\n'
    assert complaints(source) == [
        "f() takes several arguments: describe them under 'Args:'",
        "g() returns several things: describe them under 'Returns:'",
    ]
    assert complaints("x = 1") == ["the module has no docstring", "no __all__"]


def test_every_source_file_is_tracked():
    """A file that git ignores is there for its author and nobody else."""
    root = PACKAGE.parent
    if not (root / ".git").exists():
        pytest.skip("not a checkout")
    listing = ["git", "ls-files", "--others", "--ignored", "--exclude-standard"]
    folders = ["hemlets_lib", "tests", "notebooks"]
    done = subprocess.run([*listing, *folders], cwd=root, capture_output=True, text=True, check=True)
    ignored = [name for name in done.stdout.splitlines() if "_checkpoints" not in name]
    assert not [name for name in ignored if name.endswith((".py", ".ipynb"))]
