"""The Typer command `renderer`, which contains all others. A command is imported when it is called or completed."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from backends.errors import SpecError
from renderer.cli import COMMANDS, FOLDERS, overview
from renderer.cli.signature import Command, add_parameters

if TYPE_CHECKING:
    from typer import _click as click

_CONTEXT = {"help_option_names": ["-h", "--help"]}
SUBMIT_HINT = "did you mean `renderer submit FILE SCENE`?"
Verbose = Annotated[
    bool, typer.Option("--verbose", help="Print what happens, on stderr; submit: in the job's log, too.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Print the traceback of an error.")]


class LazyCommand(TyperCommand):
    """A command of which only the name and the first sentence are known. Its module is imported when it is called."""

    def __init__(self, name: str, module: str, summary: str) -> None:
        super().__init__(name, short_help=summary)
        self._module = module

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: object
    ) -> click.Context:
        """Return the context of the imported command; its ``obj`` is the number of arguments after ``--``."""
        after = len(args) - args.index("--") - 1 if "--" in args else 0
        context = self._load().make_context(info_name, args, parent, **extra)
        context.obj = after
        return context

    def _load(self) -> click.Command:
        module = importlib.import_module(self._module)
        app = typer.Typer(add_completion=False)
        if groups := getattr(module, "GROUPS", None):
            _add_groups(app, module.command, groups)
        else:
            _add_command(app, self.name, module.command)
        return typer.main.get_command(app)


def _add_command(app: typer.Typer, name: str | None, command: Command) -> None:
    add = app.command(name, help=_help(command), context_settings=_CONTEXT)
    add(add_parameters(command, _common_options))


def _add_groups(app: typer.Typer, command: Command, groups: Mapping[str, tuple[str, Mapping[str, Command]]]) -> None:
    """Make the command one that works by itself, and has groups of further commands below it."""
    metavar = f"[{'|'.join(groups)} …]"
    add = app.callback(
        cls=CommandGroup,
        invoke_without_command=True,
        help=_help(command),
        context_settings=_CONTEXT,
        subcommand_metavar=metavar,
    )
    add(add_parameters(command, _common_options))
    for name, (title, commands) in groups.items():
        group = typer.Typer()
        for verb, function in commands.items():
            _add_command(group, verb, function)
        metavar = f"{'|'.join(commands)} …"
        app.add_typer(
            group, name=name, cls=CommandGroup, help=title, context_settings=_CONTEXT, subcommand_metavar=metavar
        )


def _help(command: Command) -> str:
    """Return the command's docstring for Rich: each paragraph on one line, and ``[`` escaped."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs).replace("[", "\\[")


class CommandGroup(TyperGroup):
    """A command with further commands below it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments. Raises SpecError if a command is missing."""
        if not args and not self.invoke_without_command and not ctx.resilient_parsing:
            names = ", ".join(self.commands)
            raise SpecError("write what to do", hint=f"{ctx.command_path} has the commands {names}")
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name. Raises SpecError for an unknown one."""
        if args[0] not in self.commands and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise SpecError(f"there is no command {args[0]!r}", hint=self._suggest(ctx.command_path, args[0]))
        return super().resolve_command(ctx, args)

    def _suggest(self, path: str, word: str) -> str:
        """Return a hint for a word that is no command."""
        near = difflib.get_close_matches(word, self.commands, 1)
        return f"did you mean `{path} {near[0]}`?" if near else f"`{path} --help` lists the commands"


class RootGroup(CommandGroup):
    """The command `renderer` itself."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments. Raises SpecError for options and a file without a command, as Manim takes them."""
        if args and args[0].startswith("-") and any(word.endswith(".py") for word in args):
            raise SpecError("there is no command before the options", hint=SUBMIT_HINT)
        return super().parse_args(ctx, args)

    def _suggest(self, path: str, word: str) -> str:
        """Return a hint for a word that is no command. Manim's `render` and a file without a command are `submit`."""
        if word == "render" or word.endswith(".py"):
            return SUBMIT_HINT
        return super()._suggest(path, word)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # the width of the terminal changes nothing
        """Print the same text as `renderer --help`, which is printed without Typer because that is faster."""
        formatter.write(overview() + "\n")


def command_group() -> RootGroup:
    """Return `renderer` with all its commands and the options that install shell completion."""
    commands = [
        LazyCommand(name, f"renderer.cli.{FOLDERS[group]}.cmd_{name}", summary)
        for group, summaries in COMMANDS.items()
        for name, summary in summaries.items()
    ]
    parameters = list(typer.main.get_install_completion_arguments())
    return RootGroup(name="renderer", commands=commands, params=parameters, no_args_is_help=True)


def _common_options(verbose: Verbose = False, debug: Debug = False) -> None:
    """Declare the options of every command. renderer.cli.boundary reads them, before anything can fail."""
