"""Commands that take from a settings file what is not typed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from msgspec import Struct

from conformance.cli.options import IMAGE_OPTIONS
from conformance.cli.settings_file import Settings, find, read
from conformance.errors import UsageError

__all__ = ["Taken", "WithSettings", "parameters", "taken"]

#: Settings whose parameter has another name.
_PARAMETERS = {
    "scenarios": "directories",
    "allow_write": "allow_writes",
    "json": "json_file",
    "junit": "junit_file",
    "html": "html_file",
    "images": "images_file",
    "summary": "summary_file",
}
#: Settings about the reports of a run: other commands have options of the same name.
_ONLY_RUN = ("json", "junit", "html", "output_format", "baseline", "images", "summary")
_PROBES = ("probe", "image", "images_file", "python")
#: Options that mean nothing without one of the probes, or without a shard.
_NEED = {
    "durations": "shard",
    **dict.fromkeys((*IMAGE_OPTIONS, "summary_file"), "image"),
    "in_process": "python",
    "truth": "python",
}
#: What an option is that was not given.
_NOTHING = (None, ())
_META = "conformance.settings"


class Taken(Struct, frozen=True):
    """What a command took from a settings file; nothing of it where there is none."""

    file: str = ""
    """The file as seen from the current directory."""
    directory: Path | None = None
    """The directory that the probe starts in, where the file names it."""
    keys: tuple[str, ...] = ()
    """The settings that hold, as the file calls them."""
    said: frozenset[str] = frozenset()
    """The parameters about which the file says something, whether it holds or not."""
    typed: dict[str, Any] = {}
    """The parameters without what comes from the file."""
    argv: tuple[str, ...] = ()
    """The options that say which file it is, as they were typed."""

    @property
    def words(self) -> str:
        """The file and the settings that hold, for people; empty without a file."""
        return f"{self.file} ({', '.join(self.keys) or 'nothing'})" if self.file else ""


def taken(ctx: click.Context) -> Taken:
    """Return what the command of *ctx* took from a settings file."""
    found: Taken = ctx.meta[_META]
    return found


class WithSettings(click.Command):
    """Has the options --config and --no-config, and defaults from the settings file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += [
            click.Option(
                ["--config"],
                metavar="FILE",
                expose_value=False,
                is_eager=True,
                callback=_load,
                help="Take settings from this file; by default from the nearest "
                "probe-conformance.toml.",
            ),
            click.Option(
                ["--no-config"],
                is_flag=True,
                expose_value=False,
                is_eager=True,
                callback=_load_none,
                help="Take settings from no file.",
            ),
        ]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse *args*; what they say goes before what a settings file says."""
        rest = super().parse_args(ctx, args)
        if ctx.resilient_parsing:  # completion: what is wrong with a value does not matter there
            return rest
        settings: Settings | None = ctx.meta.get(_META)
        ctx.meta[_META] = _settle(ctx, settings)
        return rest


def _load(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    """Read the file; it is an eager option, so the defaults are there when others need them."""
    if ctx.meta.get(f"{_META}.none"):
        if value is not None:
            raise UsageError("--config and --no-config exclude each other", hint="give one of them")
        return
    settings = find(Path.cwd()) if value is None else read(Path(value))
    ctx.meta[f"{_META}.argv"] = () if value is None else ("--config", value)
    ctx.meta[_META] = settings
    if settings is not None:
        ctx.default_map = dict(_defaults(ctx.command, settings))


def _load_none(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value:
        return
    # What was typed is processed first, so a file can be here only if it was named.
    if ctx.meta.get(_META) is not None:
        raise UsageError("--config and --no-config exclude each other", hint="give one of them")
    ctx.meta[f"{_META}.none"] = True
    ctx.meta[f"{_META}.argv"] = ("--no-config",)


def _defaults(command: click.Command, settings: Settings) -> Iterator[tuple[str, Any]]:
    """Yield the parameters of *command* that *settings* say something about, with the values."""
    known = {parameter.name: parameter for parameter in command.params}
    for key, value in settings.values.items():
        name = key.replace("-", "_")
        parameter = _PARAMETERS.get(name, name)
        if parameter in known and (name not in _ONLY_RUN or command.name == "run"):
            one = known[parameter].multiple and isinstance(value, str)
            yield parameter, _pairs(value) if key == "env" else [value] if one else value


def parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that *values* of a file stand for, as commands have them."""
    found = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        changed = _pairs(value) if key == "env" else value
        found[_PARAMETERS.get(name, name)] = (
            tuple(changed) if isinstance(changed, list) else changed
        )
    return found


def _pairs(variables: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in variables.items()]


def _settle(ctx: click.Context, settings: Settings | None) -> Taken:
    """Let what was typed win over *settings*, where the two say something about one thing."""
    argv = ctx.meta.get(f"{_META}.argv", ())
    if settings is None:
        return Taken(typed=dict(ctx.params), argv=argv)
    from_file = {
        name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.DEFAULT_MAP
    }
    typed = {name: value for name, value in ctx.params.items() if name not in from_file}
    if any(typed.get(name) not in _NOTHING for name in _PROBES):
        _take_back(ctx, from_file, _PROBES)
    named = {name for name in _PROBES if ctx.params.get(name) not in _NOTHING}
    named |= {name for name in _PROBES if ctx.params.get(f"{name}s")}  # of several probes
    named |= {"image"} & {name.removesuffix("s_file") for name in named}
    if ctx.params.get("shard") is not None:
        named.add("shard")
    _take_back(ctx, from_file, [name for name, probe in _NEED.items() if probe not in named])
    _merge_variables(ctx, from_file, settings)
    names = {value: key for key, value in _PARAMETERS.items()}
    return Taken(
        file=settings.name,
        directory=settings.directory if {"probe", "python"} & from_file else None,
        keys=tuple(sorted(names.get(name, name).replace("_", "-") for name in from_file)),
        said=frozenset(ctx.default_map or ()),
        typed=typed,
        argv=argv,
    )


def _take_back(ctx: click.Context, from_file: set[str], names: Iterable[str]) -> None:
    """Undo what the file says about the parameters with these *names*."""
    for name in from_file & {*names}:
        empty: Any = None
        if isinstance(ctx.params[name], tuple):
            empty = ()
        elif name == "in_process":
            empty = False
        ctx.params[name] = empty
        from_file.discard(name)


def _merge_variables(ctx: click.Context, from_file: set[str], settings: Settings) -> None:
    """Let a variable that was typed win over the same one of the file, and leave the others."""
    if "env" not in ctx.params:
        return
    ours: dict[str, str] = settings.values.get("env", {})
    typed = () if "env" in from_file else ctx.params["env"]
    passed = () if "pass_env" in from_file else ctx.params["pass_env"]
    said = {pair.partition("=")[0] for pair in typed}
    left = {name: value for name, value in ours.items() if name not in {*said, *passed}}
    ctx.params["env"] = (*_pairs(left), *typed)
    if left:
        from_file.add("env")
    if "pass_env" in from_file:
        names = ctx.params["pass_env"]
        ctx.params["pass_env"] = tuple(name for name in names if name not in said)
