"""The options that say which container engines an image runs on, and for which platform."""

from __future__ import annotations

import click

__all__ = ["engine_option", "platform_option"]


def _engines(_: click.Context, __: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    if names:
        # Commands that run nothing know these options too, and have to be there at once.
        from conformance.drivers.container.engine_name import check_engines  # noqa: PLC0415

        check_engines(names)
    return names


def _platform(_: click.Context, __: click.Parameter, platform: str | None) -> str | None:
    if platform is not None:
        from conformance.drivers.container.engine_name import check_platform  # noqa: PLC0415

        check_platform(platform)
    return platform


engine_option = click.option(
    "--engine",
    metavar="URL|CONTEXT",
    multiple=True,
    callback=_engines,
    help="A container engine: unix://, ssh:// or tcp://, or the name of a docker context; "
    "repeatable.",
)
platform_option = click.option(
    "--platform",
    metavar="OS/ARCH",
    callback=_platform,
    help="Only the image for this platform, such as linux/arm64, and engines that have it.",
)
