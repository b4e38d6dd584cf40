# SPDX-License-Identifier: Apache-2.0
"""The list of commands, and how whatever goes wrong in one becomes a line and an exit code."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import click

from nnr_codec._version import __version__
from nnr_codec.cli.terminal import printable
from nnr_codec.errors import InternalError, NnrError

#: Name, module with a click command called ``command``, a line of help. A new command is a module and a row.
COMMANDS: dict[str, tuple[str, str]] = {
    "encode": ("nnr_codec.cli.encode", "Compress a model file to an NNR stream."),
    "compress": ("nnr_codec.cli.compress", "Search the smallest stream that keeps a score of yours."),
    "decode": ("nnr_codec.cli.decode", "Decompress an NNR stream to a model file."),
    "info": ("nnr_codec.cli.info", "Show a stream's units and tensors, from headers only."),
    "dump": ("nnr_codec.cli.dump", "Show every bit of a stream, and what the bits are spent on."),
    "diff": ("nnr_codec.cli.diff", "Compare two streams: elements, levels, values, sizes."),
    "explain": ("nnr_codec.cli.explain", "Explain a syntax element: meaning, presence, range, clause."),
    "validate": ("nnr_codec.cli.validate", "Check a stream of any encoder against the format."),
    "index": ("nnr_codec.cli.index", "Write an index, for fast access to single tensors."),
    "demo": ("nnr_codec.cli.demo", "Compress a small trained network that comes with the package."),
    "conformance": (
        "nnr_codec.cli.conformance",
        "Check decoders against the conformance vectors.",
    ),
}

EXIT_INTERRUPTED = 128 + signal.SIGINT
#: What a program killed by SIGPIPE shows its shell (the signal has no name on every system).
EXIT_BROKEN_PIPE = 141


#: Signals that end the process with nothing left behind, besides that of Ctrl-C.
_STOPPING_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class ReaderGone(Exception):
    """The reader of standard output has closed it, as ``head`` does."""


class _Stopped(BaseException):
    """A signal asked the process to end."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


class LazyGroup(click.Group):
    """Commands by name, imported when they run: ``nnr --help`` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table, which is the order of use."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command's module."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        if not isinstance(command, click.Command):
            raise InternalError(f"{COMMANDS[cmd_name][0]} has no click command")
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; click would end the process itself when a pipe breaks."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            raise ReaderGone from None
        return result

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table's own lines of help."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExamples:\n  nnr demo\n  nnr encode model.safetensors model.nnr\n  nnr info model.nnr\n"
    "  nnr decode model.nnr restored.safetensors",
)
@click.version_option(__version__, "--version", prog_name="nnr")
def nnr() -> None:
    """Compress neural networks to standard ISO/IEC 15938-17 (NNC/NNR) streams, and back."""


def run(arguments: Sequence[str] | None) -> int:
    """Run the command line and translate every outcome to an exit code.

    The command runs in a thread of its own while the main thread waits for signals: Python handles a signal in the main
    thread between two instructions, and one call of the native core may take minutes.
    """
    if threading.current_thread() is not threading.main_thread():
        return _run(arguments)
    for number in _STOPPING_SIGNALS:
        signal.signal(number, _stop)
    outcome: list[int | BaseException] = []

    def work() -> None:
        try:
            outcome.append(_run(arguments))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=work, name="nnr", daemon=True)
    try:
        thread.start()
        thread.join()
    except KeyboardInterrupt:
        _end(EXIT_INTERRUPTED)
    except _Stopped as stopped:
        _end(stopped.exit_code)
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def _end(exit_code: int) -> NoReturn:
    """End the process at once: the native core may still be at work, and what it writes is removed."""
    from nnr_codec.frameworks.atomic import discard_unfinished

    discard_unfinished()
    if sys.stderr.isatty():
        # A progress bar hides the cursor.
        sys.stderr.write("\x1b[?25h\r\x1b[K")
    sys.stderr.flush()
    os._exit(exit_code)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        result = nnr.main(
            args=None if arguments is None else list(arguments), prog_name="nnr", standalone_mode=False
        )
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "nnr"
        return _complain(f"{command}: {error.format_message()} (see {command} --help)", 2)
    except click.ClickException as error:
        return _complain(f"nnr: {error.format_message()}", 1)
    except ReaderGone:
        # Python flushes once more at exit; that must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except FileExistsError as error:
        return _complain(f"nnr: {error.filename}: exists already; --force overwrites it", 1)
    except OSError as error:
        place = f"{error.filename}: " if error.filename is not None else ""
        return _complain(f"nnr: {place}{error.strerror or error}", 1)
    except InternalError as error:
        return _bug(error)
    except NnrError as error:
        return _complain(f"nnr: {error}", 1)
    except MemoryError:
        return _complain("nnr: not enough memory", 1)
    except Exception as error:
        return _bug(error)
    return result if isinstance(result, int) else 0


def _bug(error: Exception) -> int:
    if os.environ.get("NNR_DEBUG"):
        raise error
    kind = type(error).__name__
    return _complain(
        f"nnr: a bug in nnr_codec: {kind}: {error} (NNR_DEBUG=1 shows where; please report it)", 1
    )


def _complain(line: str, code: int) -> int:
    click.echo(printable(line), err=True)
    return code


def _stop(number: int, frame: FrameType | None) -> None:
    del frame
    raise _Stopped(128 + number)
