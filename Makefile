# Needs only make and Python 3.11 or newer; each target sets up .venv when that is needed.
# Another interpreter: make demo PYTHON=/path/to/python3.12
# Own material:        make demo MOCAP=folder PHOTOS=folder

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint lab book app clean

# All paths are relative, so that the project may lie in a folder with spaces in its name.
VENV_PYTHON := .venv/bin/python
MOCAP ?=
PHOTOS ?=

help:  ## show this list
	@grep -E '^[a-z]+: .*## |^[a-z]+:  ## ' Makefile | sed -E 's/^([a-z]+):.*## /  make \1	/'

setup:  ## make or update .venv (the others do it by themselves)
	@python="$(PYTHON)"; \
	if [ -z "$$python" ]; then \
	  for candidate in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	      python="$$candidate"; break; \
	    fi; \
	  done; \
	fi; \
	if [ -z "$$python" ]; then \
	  echo "No Python 3.11 or newer found. Install one, or name it: make demo PYTHON=/path/to/python3.11" >&2; \
	  exit 1; \
	fi; \
	"$$python" tools/setup_env.py

demo: setup  ## execute the notebooks on the samples, or on MOCAP=folder PHOTOS=folder
	@$(VENV_PYTHON) -m hemlets_lib.cli demo $(if $(MOCAP),--mocap "$(MOCAP)") $(if $(PHOTOS),--photos "$(PHOTOS)")

test: setup  ## lint, types, tests, and every notebook executed
	@$(VENV_PYTHON) tools/run_checks.py

lint: setup  ## lint and types only
	@$(VENV_PYTHON) tools/run_checks.py --lint

lab: setup  ## open JupyterLab on the notebooks; LAB_ARGS="--no-browser --port 9000" for more
	@echo "Opening JupyterLab on notebooks/ (Ctrl-C twice ends it)"
	@$(VENV_PYTHON) -m jupyterlab --notebook-dir notebooks $$([ "$$(id -u)" = 0 ] && echo --allow-root) $(LAB_ARGS)

book: setup  ## build the web book into build/book, to read offline; BOOK_ARGS="--out folder" for more
	@$(VENV_PYTHON) book/build.py $(BOOK_ARGS)

app: setup  ## serve the explorers as an app, without code; APP_ARGS="--no-browser --port=9000" for more
	@echo "Serving notebooks/11_explorers.ipynb as an app (Ctrl-C ends it)"
	@$(VENV_PYTHON) tools/serve_app.py $(APP_ARGS)

clean:  ## remove .venv and caches; runs/ and shards/ stay
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache hemlets.egg-info
