"""A user's project: what its ``project.toml`` says is delivered, and to which data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from headset.core.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = "project.toml"

Name = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9-]{0,62}\Z")]
DatasetName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,31}\Z")]


class ProjectData(Struct, frozen=True, forbid_unknown_fields=True):
    """Data sets of the platform: to learn from, to be measured on, and for the gates, unseen by any training."""

    learn: DatasetName
    test: DatasetName
    unseen: DatasetName


class Project(Struct, frozen=True, forbid_unknown_fields=True):
    """What is delivered.

    Attributes:
        name: Of the project; also of its container image.
        model: The registered model whose versions it makes.
        recipe: File that says how.
        features: Folder of feature definitions.
        data: What it learns from.
        precision: Share of right answers to keep where the bot answers alone.
    """

    name: Name
    data: ProjectData
    model: Name = "intent"
    recipe: str = "recipe.toml"
    features: str = "features"
    precision: Annotated[float, Meta(ge=0.5, le=0.999)] = 0.95


def read_project(folder: Path) -> Project:
    """The project in ``folder``.

    Raises:
        NotFound: there is no ``project.toml``.
        InvalidInput: it cannot be read, or a name or value is wrong.
    """
    path = folder / PROJECT
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Project)
    except FileNotFoundError:
        raise NotFound("project", f"{path} is not there; name a project's folder, 'headset init' makes one") from None
    except NotADirectoryError:
        raise InvalidInput("project", f"{folder} is no folder; name a project's folder") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("project", f"{path} cannot be read ({error})") from None
    except msgspec.DecodeError as error:
        raise InvalidInput("project", f"{path} is no project ({error}); 'headset init' writes one to compare") from None
