"""The file of several images: what is particular to each of them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from conformance.catalogue.toml import convert, read_toml
from conformance.cli.settings_file import SettingsFile, Word, check_variables, with_paths
from conformance.errors import FileError, UsageError

__all__ = ["ImagesFile", "image_name", "read_images"]

_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
#: What the page of all images is called, where each has one of its own.
INDEX = "index"


#: What may be said of one image; the command line, or the settings, say what is not said.
_KEYS = (
    *("contract", "as_of", "agent", "strict", "env", "pass_env", "allow_write", "known_failures"),
    *("isolation", "entrypoint", "command", "user", "network", "cap_add", "memory", "read_only"),
    *("engine", "platform"),
)
_SETTINGS = {field.name: field for field in msgspec.structs.fields(SettingsFile)}
_OneImage = msgspec.defstruct(
    "OneImage",
    [
        ("image", Annotated[Word, Meta(description="The image whose entrypoint is the probe.")]),
        *((key, _SETTINGS[key].type, _SETTINGS[key].default) for key in _KEYS),
    ],
    forbid_unknown_fields=True,
    kw_only=True,
    rename="kebab",
)
_OneImage.__doc__ = (
    "One image. What is not said of it is as the command line or the settings have it."
)


class ImagesFile(Struct, forbid_unknown_fields=True):
    """Images that are judged in one run, each by itself."""

    images: Annotated[
        dict[str, _OneImage],  # type: ignore[valid-type]  # it was made above
        Meta(
            description="A name to an image: reports are called by it.",
            min_length=1,
            extra_json_schema={"propertyNames": {"pattern": _NAME}},
        ),
    ]


def read_images(file: str) -> dict[str, dict[str, Any]]:
    """Return what *file* says of each image, by its name; keys are those of settings.

    :raises UsageError: there is no such file.
    :raises FileError: it is wrong.
    """
    if not os.path.isfile(file):
        raise UsageError(f"no file {file}", hint="name a file of images after --images")
    shape = convert(read_toml(Path(file)), ImagesFile, name=file)
    found = {}
    folded: dict[str, str] = {}
    for name, image in shape.images.items():
        if not re.fullmatch(_NAME.strip("^$"), name):
            hint = "take letters, digits, '.', '_' and '-'"
            raise FileError(file, f"'{name}' is no name of a report", key="images", hint=hint)
        other = folded.setdefault(name.casefold(), name)
        if other != name or name.casefold() == INDEX:
            taken = f"'{other}'" if other != name else "the page of all of them"
            cause = f"its reports would be called as those of {taken}"
            raise FileError(file, cause, key=f"images.{name}", hint="give it another name")
        values: dict[str, Any] = msgspec.to_builtins(image)
        check_variables(values, file, f"images.{name}.pass-env")
        found[name] = dict(with_paths(values, Path(os.path.abspath(file)).parent))
    return found


def image_name(reference: str) -> str:
    """Return a name for the image *reference*, of characters that names of files may have.

    It says which repository and tag it is; a digest is left out where there is a tag.
    """
    name, _, digest = reference.partition("@")
    if ":" not in name.rpartition("/")[2] and digest:
        name = f"{name}-{digest.partition(':')[2][:12]}"
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.")[:100]
