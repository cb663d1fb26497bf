"""The suite in a real browser: notebooks in JupyterLab, explorers, pages, the app."""
