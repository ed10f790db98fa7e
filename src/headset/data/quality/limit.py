"""Where a check warns and where it fails, and who is to act; a TOML file may set each otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from headset.core.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from pathlib import Path

Judgement = Literal["pass", "warn", "fail"]
Amount = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]

ENGINEERING, DESIGN = "data engineering", "conversation design"


class Ceiling(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """More than ``warn`` is told, more than ``fail`` blocks; ``owner`` is who is to act.

    >>> Ceiling(warn=0.05, fail=0.15).judge(0.1)
    'warn'
    """

    warn: Amount
    fail: Amount
    owner: str = ENGINEERING

    def __post_init__(self) -> None:
        if self.warn > self.fail:
            raise ValueError(f"warn is {self.warn:g}, above fail, {self.fail:g}; it comes first")

    def judge(self, value: float) -> Judgement:
        """How a value stands."""
        return "fail" if value > self.fail else "warn" if value > self.warn else "pass"


class Floor(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Less than ``warn`` is told, less than ``fail`` blocks."""

    warn: Amount
    fail: Amount
    owner: str = ENGINEERING

    def __post_init__(self) -> None:
        if self.warn < self.fail:
            raise ValueError(f"warn is {self.warn:g}, below fail, {self.fail:g}; it comes first")

    def judge(self, value: float) -> Judgement:
        """How a value stands."""
        return "fail" if value < self.fail else "warn" if value < self.warn else "pass"


class RangeCeiling(Ceiling, frozen=True, kw_only=True):
    """Lengths in characters and times that a text may have."""

    shortest: Annotated[int, Meta(ge=0)] = 2
    longest: Annotated[int, Meta(ge=1)] = 8_000
    ahead_days: Amount = 1.0
    earliest: Annotated[int, Meta(ge=1970, le=9999)] = 2000


class UnseenCeiling(Ceiling, frozen=True, kw_only=True):
    """``allowed`` are labels, languages and channels that are new on purpose."""

    allowed: tuple[str, ...] = ()


class SimilarCeiling(Ceiling, frozen=True, kw_only=True):
    """``similarity`` is the Jaccard similarity of 4-character shingles from which two texts are nearly equal."""

    similarity: Annotated[float, Meta(ge=0.5, le=1)] = 0.75


class LanguageCeiling(Ceiling, frozen=True, kw_only=True):
    """``expected`` are the codes that texts may be in, where their conversations do not say."""

    expected: tuple[str, ...] = ()


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits of all checks. Ratios are of rows, unless said otherwise.

    Attributes:
        schema: Ratio of rows that break the frame's schema.
        empty: Ratio without text or label, or with a placeholder such as ``null`` for one.
        ranges: Ratio of texts that are too short, too long, too old or from the future.
        labels: Different labels.
        rarest: Rows of the rarest label; training refuses fewer than 7.
        unseen: Ratio of rows with a label, language or channel that the reference lacks.
        vanished: Labels of the reference that are gone, and not by chance.
        balance: Distance of the labels' shares from the reference's, 0 to 1, beyond chance.
        duplicates: Ratio of rows whose text stood in an earlier row, case and spaces aside.
        near_duplicates: Ratio of different texts that are nearly an earlier one.
        conflicts: Ratio of rows whose text bears another label elsewhere.
        label_noise: Ratio of labels that a model, trained on the other rows, holds for all but impossible.
        label_noise_rise: How much more that is than in as many rows of the reference, beyond chance.
        leakage: Ratio of test rows whose text is in the data.
        near_leakage: Ratio of test rows that are nearly a text of the data.
        language: Ratio of texts in another language than stated or expected.
        outliers: Ratio of texts unlike all others, beyond the reference's ratio where there is one.
        volume: Rows.
        volume_change: Rows as a part of the reference's.
        freshness: Days since the newest text.
    """

    schema: Ceiling = Ceiling(warn=0, fail=0)
    empty: Ceiling = Ceiling(warn=0, fail=0.005)
    ranges: RangeCeiling = RangeCeiling(warn=0.002, fail=0.02)
    labels: Floor = Floor(warn=2, fail=2, owner=DESIGN)
    rarest: Floor = Floor(warn=20, fail=7, owner=DESIGN)
    unseen: UnseenCeiling = UnseenCeiling(warn=0, fail=0.005, owner=DESIGN)
    vanished: Ceiling = Ceiling(warn=0, fail=0, owner=DESIGN)
    balance: Ceiling = Ceiling(warn=0.1, fail=0.25)
    duplicates: Ceiling = Ceiling(warn=0.05, fail=0.15)
    near_duplicates: SimilarCeiling = SimilarCeiling(warn=0.1, fail=0.2)
    conflicts: Ceiling = Ceiling(warn=0.002, fail=0.02, owner=DESIGN)
    label_noise: Ceiling = Ceiling(warn=0.08, fail=0.15, owner=DESIGN)
    label_noise_rise: Ceiling = Ceiling(warn=0.005, fail=0.015, owner=DESIGN)
    leakage: Ceiling = Ceiling(warn=0.01, fail=0.05)
    near_leakage: SimilarCeiling = SimilarCeiling(warn=0.05, fail=0.15, similarity=0.85)
    language: LanguageCeiling = LanguageCeiling(warn=0.02, fail=0.05)
    outliers: Ceiling = Ceiling(warn=0.015, fail=0.03)
    volume: Floor = Floor(warn=500, fail=60)
    volume_change: Floor = Floor(warn=0.7, fail=0.5)
    freshness: Ceiling = Ceiling(warn=180, fail=730)


SHIPPED = Limits()


def read_limits(path: Path) -> Limits:
    """Limits from a TOML file; a check that it leaves out keeps its shipped limits.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it cannot be read, or a name or value is wrong.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise NotFound("limits", f"{path} is not there; name a TOML file, see docs/data-quality.md") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("limits", f"{path} cannot be read ({error}); name a TOML file") from None
    return read_limits_text(text, str(path))


def read_limits_text(text: str, name: str) -> Limits:
    r"""The same from its text; of a check, what is left out stays as shipped.

    Raises:
        InvalidInput: it is no TOML, or a name or value is wrong.

    >>> read_limits_text("[duplicates]\nfail = 0.3", "limits.toml").duplicates
    Ceiling(warn=0.05, fail=0.3, owner='data engineering')
    """
    try:
        given = msgspec.toml.decode(text, type=dict[str, dict[str, object]])
        merged = msgspec.to_builtins(SHIPPED)
        for check, values in given.items():
            merged[check] = merged.get(check, {}) | values
        return msgspec.convert(merged, Limits)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise InvalidInput("limits", f"{name} holds no limits ({error}); see docs/data-quality.md") from None
