"""How Sphinx turns the collected pages into the book. `make book` runs it; see build.py."""

from equations import RENDERER

project = "HEMlets, as notebooks"
author = "the HEMlets notebook suite"
language = "en"
extensions = ["myst_nb", "equations"]
smartquotes = False  # notebooks and book show the same characters

myst_enable_extensions = ["attrs_block", "colon_fence", "deflist", "dollarmath"]
myst_update_mathjax = False
nb_execution_mode = "off"  # the notebooks are committed executed; the book shows what is committed
nb_merge_streams = True
nb_render_markdown_format = "myst"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # would come from a CDN; a picture stands beside each widget
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"

html_theme = "furo"
html_title = project
html_math_renderer = RENDERER
html_static_path = ["static"]
html_css_files = ["book.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_search_summary = False  # would fetch pages, which a browser refuses to pages opened from disk
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5c8f", "color-brand-content": "#0b5c8f"},
    "dark_css_variables": {"color-brand-primary": "#6cb8e6", "color-brand-content": "#6cb8e6"},
}
