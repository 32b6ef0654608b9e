"""The command image build."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import Any

import click

from conformance.cli.engine_options import engine_option
from conformance.errors import UsageError

__all__ = ["image_command"]


@click.group("image")
def image_command() -> None:
    """Make images to try the suite on."""


@image_command.command("build")
@click.option(
    "--base",
    metavar="REF",
    help="The image to build on; it needs python3 and sh.  [default: python:3.13-slim]",
)
@click.option(
    "--debian",
    is_flag=True,
    help="Build on Debian packages instead: needs root and debootstrap, but no registry.",
)
@click.option("--suite", metavar="NAME", help="With --debian, the release.  [default: bookworm]")
@click.option(
    "--mirror",
    metavar="URL",
    help="With --debian, where packages come from.  [default: http://deb.debian.org/debian]",
)
@click.option(
    "--flavour",
    type=click.Choice(["stubs", "real-clis"]),
    default="stubs",
    show_default=True,
    help="The agents' CLIs in it: stubs that know their version, or the released ones from npm.",
)
@click.option(
    "--tag", metavar="REF", help="What to call it.  [default: probe-conformance/reference:VERSION]"
)
@engine_option
def build_command(**options: Any) -> None:
    """Build the reference image, and print its tag.

    Its entrypoint does what AGENT_MODE says; with smoke-test it runs the reference probe, as the
    user 10001. It is built on the first engine that is named, and copied to the others.
    """
    # Imported here, so that help does not wait for the SDK.
    from conformance.drivers.container.client import connect  # noqa: PLC0415
    from conformance.images import reference as images  # noqa: PLC0415

    if options["debian"] and options["base"]:
        raise UsageError("--base and --debian exclude each other", hint="give one of them")
    debian = {key: options[key] for key in ("suite", "mirror") if options[key] is not None}
    if debian and not options["debian"]:
        cause = f"--{next(iter(debian))} has no effect without --debian"
        raise UsageError(cause, hint="add --debian")

    def out(line: str) -> None:
        click.echo(line, err=True)

    with ExitStack() as stack:
        names = options["engine"] or ("",)
        client, *others = [stack.enter_context(closing(connect(name))) for name in names]
        base = options["base"] or images.DEFAULT_BASE
        if options["debian"]:
            base = images.debian_base(client, out=out, **debian)
        flavour, tag = options["flavour"], options["tag"] or ""
        built = images.build(client, flavour=flavour, base=base, tag=tag, out=out)
        for name, other in zip(names[1:], others, strict=True):
            out(f"copying {built} to {name}")
            images.copy(client, other, built)
        click.echo(built)
