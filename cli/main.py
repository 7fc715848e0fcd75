# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The command ``ptychopress``: its subcommands, and how errors leave it."""

import os
import sys
import warnings
from importlib import import_module
from typing import Annotated

import typer

from .. import __version__
from .console import complain

_INTERRUPTED = 130


def _top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """On-detector compression for X-ray ptychography: Verilog, proofs, simulation, reconstruction.

    Exit status: 0 done, 1 a check failed, 2 bad input, 130 interrupted.
    """
    if version:
        typer.echo(f"ptychopress {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


COMMANDS = (
    "demo",
    "evaluate",
    "train",
    "compress",
    "decompress",
    "reconstruct",
    "verilog",
    "sim",
    "synth",
    "power",
    "plan",
    "prove",
    "bench",
)
"""Subcommands: module and function share the name."""


def _app(arguments: list[str]) -> typer.Typer:
    """The command line; of a subcommand that is asked for, that alone: all of them take seconds to import."""
    asked = [argument for argument in arguments if not argument.startswith("-")][:1]
    app = typer.Typer(
        name="ptychopress",
        add_completion=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_top)
    for name in () if arguments[:1] == ["--version"] else asked if asked and asked[0] in COMMANDS else COMMANDS:
        command = getattr(import_module(f".{name}", __package__), name)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command()(command)
    return app


def main() -> None:
    """Run the command line; bad input gets one line on standard error and exit status 2.

    With PTYCHOPRESS_TRACEBACK set in the environment an error shows where it came from.
    """
    status = 2
    try:
        status = _app(sys.argv[1:])(standalone_mode=False) or 0
    except typer.TyperException as error:
        complain(_one_line(error.format_message()))
    except (KeyboardInterrupt, typer.Abort):
        status = _INTERRUPTED
        # Of a block whose making was interrupted.
        warnings.filterwarnings("ignore", message=".* created but never used")
    except (ValueError, TypeError, ArithmeticError, MemoryError, OSError, RuntimeError) as error:
        if os.environ.get("PTYCHOPRESS_TRACEBACK"):
            raise
        complain(_message(error))
    if status == _INTERRUPTED:
        complain("interrupted; the same command goes on with what is done already, where that takes long")
    sys.exit(status)


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return _one_line(f"{error.strerror}: {error.filename}" if error.filename else error.strerror)
    if isinstance(error, MemoryError):
        return _one_line(f"not enough memory: {error}")
    return _one_line(str(error)) or type(error).__name__


def _one_line(text: str) -> str:
    return " ".join(text.split())
