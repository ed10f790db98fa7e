"""A user's own scikit-learn estimator: made by a factory, fitted, kept without pickle, read back.

Runs in a process of its own (:mod:`headset.training.plugin.host`).
"""

from __future__ import annotations

import importlib
import json
import random
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import NotFittedError
from skops import io as skops  # type: ignore[import-untyped]

from headset.core.errors import ArtifactError, InvalidInput, ModelFailed
from headset.registry.child_message import Fitted, packed
from headset.registry.hosted import CODE, ESTIMATOR
from headset.registry.output import check_values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from headset.registry.child_message import Fit
    from headset.registry.hosted import HostedManifest
    from headset.registry.output import Gives

_TRUSTED = ("numpy", "scipy", "sklearn")
_CODE_LIMIT = 10_000_000
_MADE = (1980, 1, 1, 0, 0, 0)
_PLACE = "_stop_words_id"  # where scikit-learn saw a list in memory, so as to warn of it once


class SavedEstimator:
    """A fitted estimator from the registry's own files."""

    def __init__(self, directory: Path, manifest: HostedManifest) -> None:
        sys.path.append(str(directory / CODE))
        self.signature = manifest.signature
        self._labels, self._gives = manifest.labels, manifest.output.gives
        self._estimator = _open(directory / ESTIMATOR, manifest.trusted_types)

    def values(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """See :class:`headset.training.plugin.host.Model`."""
        return answers_of(self._estimator, self._gives, texts, self._labels)


def fit(request: Fit, progress: Callable[[str, float], None]) -> Fitted:
    """Fit what the factory makes, once without each fold and once to all, and keep the last with its sources.

    Raises:
        InvalidInput: there is no such factory, or what it makes cannot be used.
        ModelFailed: it gave no usable answer.
    """
    code = Path(request.code).resolve()
    factory = _factory(request.learner, code)
    gives = _gives(_make(factory))
    texts, labels, folds = np.array(request.texts, object), np.array(request.labels, object), np.array(request.folds)
    unseen = np.zeros((len(texts), len(request.names)))
    count = int(folds.max()) + 1
    for fold in range(count):
        progress("calibrate", fold / count)
        seen = folds != fold
        estimator = _fitted(factory, texts[seen].tolist(), labels[seen].tolist(), request.seed)
        unseen[~seen] = answers_of(estimator, gives, texts[~seen].tolist(), request.names)
        check_values(unseen[~seen], gives, rows=int((~seen).sum()), labels=len(request.names))
    progress("calibrate", 1.0)
    progress("fit the model", 0.0)
    estimator = _fitted(factory, texts.tolist(), labels.tolist(), request.seed)
    answers_of(estimator, gives, texts[:1].tolist(), request.names)
    trusted = _save(estimator, code, Path(request.to))
    progress("fit the model", 1.0)
    return Fitted(gives, packed(unseen), trusted)


def answers_of(estimator: Any, gives: Gives, texts: Sequence[str], labels: Sequence[str]) -> NDArray[np.float64]:
    """(n, k) numbers in the order of ``labels``; a label it has not seen gets the least.

    Raises:
        ModelFailed: what it gave has another shape, or names a label that is none.
    """
    place = {label: column for column, label in enumerate(labels)}
    if gives == "label":
        answers = np.asarray(estimator.predict(list(texts)))
        if answers.shape != (len(texts),):
            raise ModelFailed(f"predict gave an array {answers.shape} for {len(texts)} texts")
        values = np.zeros((len(texts), len(labels)))
        values[np.arange(len(texts)), [_column(place, answer) for answer in answers]] = 1.0
        return values
    method = "predict_proba" if gives == "probabilities" else "decision_function"
    found = np.asarray(getattr(estimator, method)(list(texts)), np.float64)
    classes = estimator.classes_
    if gives == "margins" and len(classes) == 2 and found.ndim == 1:
        found = np.column_stack([-found, found])
    if found.shape != (len(texts), len(classes)):
        raise ModelFailed(f"{method} gave an array {found.shape} for {len(texts)} texts and {len(classes)} classes")
    if not np.isfinite(found).all():
        raise ModelFailed(f"{method} gave a number that is not finite")
    least = 0.0 if gives == "probabilities" else found.min(axis=1, initial=np.inf)[:, None]
    values = np.broadcast_to(least, (len(texts), len(labels))).copy()
    values[:, [_column(place, label) for label in classes]] = found
    return values


def _column(place: dict[str, int], label: Any) -> int:
    column = place.get(str(label))
    if column is None:
        raise ModelFailed("answered with a label that is none of the data's")
    return column


def _factory(learner: str, code: Path) -> Callable[[], Any]:
    """What ``MODULE:FACTORY`` names in the folder ``code``.

    Raises:
        InvalidInput: the module is not there, cannot be imported, or has no such function.
    """
    module_name, _, name = learner.partition(":")
    sys.path.append(str(code))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise InvalidInput("learner", f"there is no module {module_name!r} in {code}; see --code") from None
        raise InvalidInput("learner", f"{module_name} imports {error.name!r}, which is not installed") from None
    except Exception as error:  # noqa: BLE001 - a module may raise anything
        raise InvalidInput("learner", f"{module_name} cannot be imported ({type(error).__name__}: {error})") from None
    if _source(module, code) is None:
        raise InvalidInput(
            "learner", f"{module_name} is not a module of {code}, so its code could not be kept; see --code"
        )
    factory = getattr(module, name, None)
    if not callable(factory):
        offered = ", ".join(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
        raise InvalidInput("learner", f"{module_name} has no function {name!r}; it has: {offered[:200] or 'none'}")
    made: Callable[[], Any] = factory
    return made


def _make(factory: Callable[[], Any]) -> Any:
    try:
        estimator = factory()
    except Exception as error:  # noqa: BLE001 - a factory may raise anything
        raise InvalidInput("learner", f"the factory raised {type(error).__name__}: {error}") from None
    if not callable(getattr(estimator, "fit", None)):
        raise InvalidInput(
            "learner", f"the factory gave a {type(estimator).__name__}; give an estimator with fit(texts, labels)"
        )
    return estimator


def _gives(estimator: Any) -> Gives:
    """The most telling of what it can answer."""
    for method, gives in (("predict_proba", "probabilities"), ("decision_function", "margins"), ("predict", "label")):
        try:
            there = callable(getattr(estimator, method, None))
        except NotFittedError:
            there = True
        if there:
            return gives  # type: ignore[return-value]
    raise InvalidInput(
        "learner",
        f"the factory gave a {type(estimator).__name__} without predict_proba, decision_function or predict",
    )


def _fitted(factory: Callable[[], Any], texts: list[str], labels: list[str], seed: int) -> Any:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - what estimators without a random_state draw from
    estimator = _make(factory)
    fitted = estimator.fit(texts, labels)
    return estimator if fitted is None else fitted


def _save(estimator: Any, code: Path, to: Path) -> tuple[str, ...]:
    """Keep it without pickle, and the sources it comes from; gives the types that reading it back needs trust in.

    Raises:
        InvalidInput: it is made of what skops cannot keep, or of types that are neither the user's nor scikit-learn's.
    """
    try:
        content = skops.dumps(estimator)
        found = skops.get_untrusted_types(data=content)
    except Exception as error:  # noqa: BLE001 - skops raises what the types' own code does
        raise InvalidInput(
            "learner", f"the estimator cannot be kept without pickle ({type(error).__name__}: {str(error)[:200]})"
        ) from None
    sources = {name: path for name, module in list(sys.modules.items()) if (path := _source(module, code)) is not None}
    foreign = [name for name in found if not _is_trusted(name, sources)]
    if foreign:
        raise InvalidInput(
            "learner",
            f"the estimator holds {', '.join(foreign)[:200]}; it may hold types of"
            f" {', '.join(_TRUSTED)} and of your own modules in {code}",
        )
    (to / ESTIMATOR).write_bytes(canonical(content))
    kept = 0
    for path in sorted(set(sources.values())):
        place = to / CODE / path.relative_to(code)
        place.parent.mkdir(parents=True, exist_ok=True)
        source = path.read_bytes()
        kept += len(source)
        if kept > _CODE_LIMIT:
            raise InvalidInput(
                "learner", f"the modules imported from {code} are over {_CODE_LIMIT} bytes; name a folder"
            )
        place.write_bytes(source)
    return tuple(sorted(found))


def _is_trusted(name: str, sources: dict[str, Path]) -> bool:
    return name.split(".", maxsplit=1)[0] in _TRUSTED or any(name.startswith(f"{module}.") for module in sources)


def _source(module: Any, code: Path) -> Path | None:
    """The module's file, if it is one of the user's folder."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not file.endswith(".py"):
        return None
    path = Path(file).resolve()
    ours = path.is_relative_to(code) and "site-packages" not in path.relative_to(code).parts
    return path if ours and not path.is_relative_to(Path(sys.prefix)) else None


def _open(path: Path, trusted: Sequence[str]) -> Any:
    try:
        return skops.load(path, trusted=list(trusted))
    except ArtifactError:
        raise
    except Exception as error:  # noqa: BLE001 - skops raises what the types' own code does
        raise ArtifactError(
            f"{path} cannot be read ({type(error).__name__}: {str(error)[:200]}); train again"
        ) from None


def _unplaced(attributes: Any) -> Any:
    """The attributes of an estimator without a place in memory."""
    if not isinstance(attributes, dict) or not isinstance(told := attributes.get(_PLACE), dict):
        return attributes
    return attributes | {_PLACE: told | {"content": "0"}}


def canonical(content: bytes) -> bytes:
    """A skops file without places in memory and the time of day: equal estimators give equal bytes."""
    numbers: dict[int, int] = {}
    with zipfile.ZipFile(BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(files.pop("schema.json"))
    names: dict[str, str] = {}

    def renumber(node: Any) -> Any:
        if isinstance(node, list):
            return [renumber(each) for each in node]
        if not isinstance(node, dict):
            return node
        fresh = dict(node)
        if node.get("__loader__") == "ObjectNode" and isinstance(state := node.get("content"), dict):
            fresh["content"] = state | {"content": _unplaced(state.get("content"))}
        if isinstance(node.get("__id__"), int):
            fresh["__id__"] = numbers.setdefault(node["__id__"], len(numbers))
        if isinstance(node.get("file"), str) and node["file"] in files:
            fresh["file"] = names.setdefault(node["file"], f"{len(names)}{Path(node['file']).suffix}")
        return {key: renumber(value) for key, value in fresh.items()}

    written = json.dumps(renumber(schema), indent=1)
    result = BytesIO()
    with zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in [*((names[old], files[old]) for old in names), ("schema.json", written.encode())]:
            archive.writestr(zipfile.ZipInfo(name, _MADE), value, zipfile.ZIP_DEFLATED)
    return result.getvalue()
