"""Serves a notebook with explorers as an app under Voila: `make app`, or `python tools/serve_app.py`.

Readers see the notebook's texts and widgets, not its code; each gets a kernel of their own. Nothing is
asked for from elsewhere: the template beside this file leaves out the style sheets that Voila's own loads
from a CDN, and only the extensions that the explorers need are loaded.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks" / "11_explorers.ipynb"
EXTENSIONS = (
    "anywidget",  # the figures of explorers
    "@jupyter-widgets/jupyterlab-manager",
    "@voila-dashboards/widgets-manager8",
)


def command(notebook: Path, more: list[str]) -> list[str]:
    """The call of Voila.

    Args:
        notebook: To serve.
        more: Arguments of Voila's, such as `--no-browser` and `--port=9000`.
    """
    allowed = [f"--VoilaConfiguration.extension_allowlist={name}" for name in EXTENSIONS]
    return [sys.executable, "-m", "voila", str(notebook), "--template=hemlets", *allowed, *more]


def main() -> int:
    """Serve until Ctrl-C; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebook", nargs="?", type=Path, default=NOTEBOOK, help="a notebook with widgets")
    arguments, more = parser.parse_known_args()
    if not arguments.notebook.is_file():
        print(f"expected a notebook, found none at {arguments.notebook}", file=sys.stderr)
        return 2
    search = [str(ROOT / "tools"), os.environ.get("JUPYTER_PATH", "")]  # Jupyter's, for voila/templates
    environment = {**os.environ, "JUPYTER_PATH": os.pathsep.join(filter(None, search))}
    with subprocess.Popen(command(arguments.notebook, more), env=environment) as server:
        try:
            return server.wait()
        except KeyboardInterrupt:  # the server has got it too, and ends its kernels
            return server.wait()


if __name__ == "__main__":
    raise SystemExit(main())
