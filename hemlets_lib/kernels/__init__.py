"""Faster forms of what other modules say readably; each names its readable form and is tested against it.

Nothing here need be read to understand the method, and nothing here is needed to run it: where a kernel
does not apply, its readable form is used.
"""

__all__: list[str] = []
