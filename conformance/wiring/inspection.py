"""Look into an image, for what a manifest says of it."""

from __future__ import annotations

from collections.abc import Iterable

from docker import APIClient
from docker.errors import NotFound

from conformance.drivers.container.client import connect, engine_errors
from conformance.drivers.container.facts import look_up
from conformance.drivers.container.labels import Labels, remove_run
from conformance.drivers.container.request import ASIDE, ImageRequest
from conformance.run.directory import RunDirectory
from conformance.wiring.image import ImageView

__all__ = ["inspect_image"]


def inspect_image(request: ImageRequest, programs: Iterable[str]) -> ImageView:
    """Return what the image of *request* has, and which of *programs* are in it.

    :raises CannotJudge: the engine is not there, or the image is not.
    """
    directory = RunDirectory()  # its lock says that what is made on the engine is still in use
    try:
        client = connect()
        labels = Labels(directory.path.name, directory.path.with_suffix(".lock"), "wiring")
        try:
            facts = look_up(client, request, labels, ())
            with engine_errors(f"image '{request.reference}' cannot be looked into"):
                made = client.api.create_container(
                    facts.id, entrypoint=["/"], labels=labels.for_scenario()
                )
                found = {path: _is_there(client.api, made["Id"], path) for path in programs}
        finally:
            remove_run(client, labels.run)
            client.close()
    finally:
        directory.close()
    return ImageView(
        reference=request.reference,
        environment=facts.environment,
        entrypoint=facts.entrypoint,
        command=facts.command,
        user=facts.user,
        uid=facts.uid,
        home="" if facts.home.startswith(ASIDE) else facts.home,
        programs=found,
    )


def _is_there(api: APIClient, container: str, path: str) -> bool:
    try:
        stream, _ = api.get_archive(container, path)
    except NotFound:
        return False
    stream.close()
    return True
