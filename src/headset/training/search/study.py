"""A study: its trials in Optuna's store, from which any process takes the next.

Trials are drawn in batches, each from the results of the batches before and a seed of its own; so what is drawn
depends neither on how many processes work nor on how fast. A trial is waiting, running, or finished, and the store
changes that at one stroke: a trial is finished once.
"""

from __future__ import annotations

import sqlite3
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import optuna
from msgspec import Struct
from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from headset.core.errors import Conflict, InvalidInput, NotFound, StorageFailed
from headset.training.recipe import SHIPPED, Recipe
from headset.training.recording import with_driver, without_password
from headset.training.search.request import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SETTINGS, _RECIPE, _BATCH, _WORKER, _BEAT, _LOST = "settings", "recipe", "batch", "worker", "beat", "lost"
_PATIENCE_S = 60
_LEAST_BEFORE_PRUNING = 4
_LOST_LIMIT = 2

_SETTINGS_DECODER = msgspec.json.Decoder(Settings)
_RECIPE_DECODER = msgspec.json.Decoder(Recipe)

optuna.logging.set_verbosity(optuna.logging.CRITICAL)


def _connect(*arguments: object, **options: object) -> sqlite3.Connection:
    """Commits survive the end of any process, and do not wait for the disk."""
    connection = sqlite3.Connection(*arguments, **options)  # type: ignore[arg-type]
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


class Trial(Struct, frozen=True):
    """One recipe that is tried.

    Attributes:
        number: From 0; 0 is the shipped recipe.
        state: ``waiting``, ``running``, ``complete``, ``pruned`` or ``failed``.
        recipe: What is tried.
        drawn: The values drawn for it, by field.
        value: Mean of the metric over the folds done; None before the first.
        folds: Every metric by fold.
        worker: Who has it, or had it last.
        beat: Counted up by the worker while it lives.
        problem: Why it failed.
        duration_s: From its start to its end; None before that.
    """

    number: int
    state: str
    recipe: Recipe
    drawn: dict[str, Any]
    value: float | None
    folds: list[dict[str, float]]
    worker: str
    beat: int
    problem: str
    duration_s: float | None

    @property
    def finished(self) -> bool:
        """Never to run again."""
        return self.state in {"complete", "pruned", "failed"}


class Study:
    """One study in the store.

    Args:
        uri: Of the store: ``sqlite:///PATH`` or another database by URL.
        name: Of the study.

    Raises:
        StorageFailed: the store does not answer; the message names it, without any password.
        InvalidInput: the URL names no database there is a driver for.
    """

    def __init__(self, uri: str, name: str) -> None:
        self.name = name
        uri = with_driver(uri)
        self.uri = without_password(uri)
        self._full_uri = uri
        if not name or len(name) > 100 or not name.isprintable():
            raise InvalidInput("name", f"{name[:40]!r} names no study; give 1 to 100 printable characters")
        options = {"timeout": _PATIENCE_S, "factory": _connect} if uri.startswith("sqlite") else {}
        with self._translated(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Optuna's experiments
            try:
                self._storage = RDBStorage(uri, engine_kwargs={"connect_args": options})
            except (ImportError, ValueError) as error:
                raise InvalidInput(
                    "tuning.storage", f"{self.uri} cannot be opened ({_one_line(error)}); see docs/tuning.md"
                ) from None
        self._id = -1
        self.settings: Settings

    def close(self) -> None:
        """Let go of the store."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def begin(self, settings: Settings) -> None:
        """Start the study, or go on with it.

        Raises:
            Conflict: it was begun with other settings or other data.
        """
        direction = StudyDirection.MAXIMIZE if settings.request.higher_is_better else StudyDirection.MINIMIZE
        with self._translated():
            try:
                self._id = self._storage.create_new_study([direction], self.name)
            except DuplicatedStudyError:
                self._id = self._storage.get_study_id_from_name(self.name)
            known = self._attribute(_SETTINGS)
            if known is None:
                self._storage.set_study_user_attr(self._id, _SETTINGS, msgspec.json.encode(settings).decode())
        if known is not None:
            self._check_same(_SETTINGS_DECODER.decode(known), settings)
        self.settings = settings

    def join(self) -> Settings:
        """Work for a study that was begun elsewhere; gives its settings.

        Raises:
            NotFound: there is none of this name.
        """
        with self._translated():
            try:
                self._id = self._storage.get_study_id_from_name(self.name)
                known = self._attribute(_SETTINGS)
            except KeyError:
                known = None
            if known is None:
                names = ", ".join(sorted(each.study_name for each in self._storage.get_all_studies())) or "none"
                raise NotFound("study", f"{self.name!r} was never begun in {self.uri}; there are: {names}")
        self.settings = _SETTINGS_DECODER.decode(known)
        return self.settings

    def trials(self) -> list[Trial]:
        """All, in order of their number."""
        with self._translated():
            return [_told(each) for each in self._frozen()]

    def propose(self, limit: int) -> None:
        """Draw the batch that comes next, where all before it are finished; fewer where ``limit`` trials are reached.

        A batch that was drawn in part, because the process was killed, is completed with what was missing.
        """
        with self._translated():
            known = self._frozen()
            size = self.settings.request.batch
            batch = len(known) // size
            before = known[: batch * size]
            if any(not trial.state.is_finished() for trial in before):
                return
            for place, drawn in enumerate(self._draw(batch, before, min(size, limit - batch * size))):
                if batch * size + place >= len(known):
                    self._add(batch, drawn)

    def claim(self, worker: str) -> Trial | None:
        """Take the next trial that waits; None where none does."""
        with self._translated():
            for trial in self._frozen():
                if trial.state is TrialState.WAITING:
                    key = self._key(trial.number)
                    if self._storage.set_trial_state_values(key, TrialState.RUNNING):
                        self._storage.set_trial_user_attr(key, _WORKER, worker)
                        return _told(self._storage.get_trial(key))
        return None

    def beat(self, number: int, count: int) -> bool:
        """Show that the worker of a trial lives; False where another process had ended the trial."""
        with self._translated():
            try:
                self._storage.set_trial_user_attr(self._key(number), _BEAT, count)
            except UpdateFinishedTrialError:
                return False
            return True

    def keep_fold(self, number: int, folds: list[dict[str, float]]) -> bool:
        """Keep what the folds so far gave; True when the trial is not worth going on with.

        It is not, when the mean over its folds is worse than the median, at the same fold, of the complete trials
        of earlier batches. The shipped recipe is never given up: the best is compared with it.
        """
        request = self.settings.request
        mean = float(np.mean([fold[request.metric] for fold in folds]))
        with self._translated():
            key = self._key(number)
            self._storage.set_trial_intermediate_value(key, len(folds) - 1, mean)
            self._storage.set_trial_user_attr(key, "folds", folds)
            if number == 0 or len(folds) == request.folds:
                return False
            before = [each for each in self._frozen() if each.number < number // request.batch * request.batch]
            pruner = MedianPruner(n_startup_trials=_LEAST_BEFORE_PRUNING)
            trial = self._storage.get_trial(key)
            trial.intermediate_values = {len(folds) - 1: mean}  # none that an earlier worker left behind
            return pruner.prune(self._replayed(before), trial)

    def finish(self, number: int, state: str, value: float | None, problem: str = "") -> bool:
        """End a trial as ``complete``, ``pruned`` or ``failed``; False where another process had ended it already."""
        states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        with self._translated():
            key = self._key(number)
            try:
                if problem:
                    self._storage.set_trial_user_attr(key, "problem", problem)
                return self._storage.set_trial_state_values(key, states[state], None if value is None else [value])
            except UpdateFinishedTrialError:
                return False

    def give_back(self, number: int, worker: str) -> None:
        """Let a trial that its worker left wait again, unless another has it; it starts from its first fold."""
        with self._translated(), _unless_finished():
            key = self._key(number)
            if self._storage.get_trial(key).user_attrs.get(_WORKER) == worker:
                self._storage.set_trial_state_values(key, TrialState.WAITING)

    def take_back(self, number: int) -> None:
        """The same for a worker that is gone; the second time, the trial is given up: it may be what ends workers."""
        with self._translated(), _unless_finished():
            key = self._key(number)
            lost = int(self._storage.get_trial(key).user_attrs.get(_LOST, 0)) + 1
            self._storage.set_trial_user_attr(key, _LOST, lost)
            if lost < _LOST_LIMIT:
                self._storage.set_trial_state_values(key, TrialState.WAITING)
            else:
                self._storage.set_trial_user_attr(key, "problem", "its worker died twice; out of memory?")
                self._storage.set_trial_state_values(key, TrialState.FAIL)

    def note(self, name: str, value: str) -> None:
        """Keep a text with the study."""
        with self._translated():
            self._storage.set_study_user_attr(self._id, name, value)

    def noted(self, name: str) -> str | None:
        """A text that was kept, or None."""
        with self._translated():
            return self._attribute(name)

    def importance(self) -> dict[str, float]:
        """Share of the variance of the metric that each field explains (fANOVA, Hutter et al., ICML 2014)."""
        with self._translated():
            study = self._replayed([each for each in self._frozen() if each.state is TrialState.COMPLETE])
        if len({trial.value for trial in study.get_trials(deepcopy=False)}) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            evaluator = optuna.importance.FanovaImportanceEvaluator(seed=self.settings.request.seed)
            try:
                found = optuna.importance.get_param_importances(study, evaluator=evaluator)
            except (ValueError, RuntimeError):  # nothing that was drawn differs
                return {}
        return {name: float(share) for name, share in found.items()}

    def _draw(self, batch: int, before: list[FrozenTrial], count: int) -> Iterator[tuple[Recipe, dict[str, Any]]]:
        space = self.settings.space
        distributions = space.distributions()
        seed = int(np.random.SeedSequence((self.settings.request.seed, batch)).generate_state(1)[0])
        study = self._replayed(before, TPESampler(n_startup_trials=2 * self.settings.request.batch, seed=seed))
        for place in range(count):
            if batch == 0 and place == 0:
                yield SHIPPED, space.drawn(SHIPPED) or {}
                continue
            drawn = study.ask(distributions).params
            yield space.recipe(drawn), drawn

    def _add(self, batch: int, proposal: tuple[Recipe, Mapping[str, Any]]) -> None:
        recipe, drawn = proposal
        distributions = self.settings.space.distributions() if drawn else {}
        waiting = create_trial(
            state=TrialState.WAITING,
            params=dict(drawn),
            distributions=distributions,
            user_attrs={_RECIPE: msgspec.json.encode(recipe).decode(), _BATCH: batch},
        )
        self._storage.create_new_trial(self._id, waiting)

    def _replayed(self, trials: list[FrozenTrial], sampler: TPESampler | None = None) -> optuna.Study:
        """A study in memory that knows these trials and no others."""
        direction = StudyDirection.MAXIMIZE if self.settings.request.higher_is_better else StudyDirection.MINIMIZE
        study = optuna.create_study(direction=direction, sampler=sampler or TPESampler(seed=0))
        study.add_trials([trial for trial in trials if trial.state.is_finished()])
        return study

    def _frozen(self) -> list[FrozenTrial]:
        return sorted(self._storage.get_all_trials(self._id, deepcopy=False), key=lambda trial: trial.number)

    def _key(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)

    def _attribute(self, name: str) -> str | None:
        value = self._storage.get_study_user_attrs(self._id).get(name)
        return None if value is None else str(value)

    def _check_same(self, known: Settings, asked: Settings) -> None:
        if known.data_fingerprint != asked.data_fingerprint:
            raise Conflict(
                "name",
                f"study {self.name!r} was begun when the data {known.request.dataset!r} held other texts;"
                " begin another with --name",
            )
        for name in known.request.__struct_fields__:
            before, now = getattr(known.request, name), getattr(asked.request, name)
            if before != now:
                raise Conflict(
                    "name",
                    f"study {self.name!r} was begun with {name} {before!r}, not {now!r};"
                    " go on with that, or begin another with --name",
                )
        if known.space != asked.space:
            raise Conflict(
                "name", f"study {self.name!r} was begun with another search space; begin another with --name"
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except StorageInternalError as error:
            raise self._failed(error.__cause__ or error) from None
        except Exception as error:
            if type(error).__module__.startswith("sqlalchemy"):
                raise self._failed(error) from None
            raise

    def _failed(self, error: BaseException) -> StorageFailed:
        problem = _one_line(str(error).split("\n", 1)[0].replace(self._full_uri, self.uri))
        return StorageFailed(
            f"the store of studies {self.uri} cannot be used ({problem}); finished trials are kept;"
            " free it, or set tuning.storage to another"
        )


@contextmanager
def _unless_finished() -> Iterator[None]:
    with suppress(UpdateFinishedTrialError):
        yield


def _told(trial: FrozenTrial) -> Trial:
    folds = list(trial.user_attrs.get("folds", []))
    names = {TrialState.FAIL: "failed"}
    took = trial.duration
    value = trial.value if trial.state is TrialState.COMPLETE else None
    if value is None and trial.intermediate_values:
        value = trial.intermediate_values[max(trial.intermediate_values)]
    return Trial(
        number=trial.number,
        state=names.get(trial.state, trial.state.name.lower()),
        recipe=_RECIPE_DECODER.decode(trial.user_attrs[_RECIPE]),
        drawn=dict(trial.params),
        value=value,
        folds=folds,
        worker=str(trial.user_attrs.get(_WORKER, "")),
        beat=int(trial.user_attrs.get(_BEAT, 0)),
        problem=str(trial.user_attrs.get("problem", "")),
        duration_s=None if took is None else took.total_seconds(),
    )


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:200]
