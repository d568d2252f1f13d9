"""The directories from which ``python -m imgfetch`` imports modules, without the working directory.

Python puts the working directory first, so a file ``json.py`` in a directory of downloads would be executed.
This module removes it, but not before Python has found `imgfetch` there, as in a checkout, and the modules that it
imports for ``-m`` itself, such as `importlib`.  ``python -P -m imgfetch`` and the command `imgfetch` are safe from the
start.  ``PYTHONPATH`` is the user's choice and stays as it is.

This module comes before all others, so it imports only what is built into the interpreter.
"""

import os
import sys


def leave_out_the_working_directory() -> None:
    """Remove the entry that Python adds for ``python -m imgfetch``; do nothing for a program that imports imgfetch."""
    if _is_program() and not sys.flags.safe_path and sys.path[:1] == [_working_directory()]:
        del sys.path[0]


def _is_program() -> bool:
    """Return whether the interpreter is looking for a module of imgfetch to run.

    The first argument is then ``-m``, and those behind it follow the module's name, as in ``-m imgfetch save``.
    """
    if sys.argv[:1] != ["-m"]:
        return False
    name = sys.orig_argv[-len(sys.argv)]
    if name.startswith("-"):  # as in -Bmimgfetch
        name = name.partition("m")[2]
    return name.partition(".")[0] == __name__.partition(".")[0]


def _working_directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109  # pathlib is not built in
    except OSError:  # It was removed, and Python has added nothing.
        return ""


leave_out_the_working_directory()
