"""How each group is served, as it is: metrics by group, with fairlearn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from fairlearn.metrics import MetricFrame, count

from headset.data.bias.outcome import UNKNOWN
from headset.data.bias.report import GroupFigures
from headset.stats.classification import expected_calibration_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headset.data.bias.outcome import Outcomes


def group_figures(outcomes: Outcomes) -> list[GroupFigures]:
    """The figures of every group of every dimension, in order of name."""
    return [
        figures for dimension, column in outcomes.groups.items() for figures in _figures(outcomes, dimension, column)
    ]


def _figures(outcomes: Outcomes, dimension: str, column: NDArray[np.str_]) -> list[GroupFigures]:
    known = np.flatnonzero(column != UNKNOWN)
    if not len(known):
        return []
    weights = {"weights": np.ones(len(known)) if outcomes.weights is None else outcomes.weights[known]}
    measures = {
        "recall": _recall,
        "false_handoff": _false_handoff,
        "overconfidence": _overconfidence,
        "calibration_error": _calibration_error,
    }
    frame = MetricFrame(
        metrics={"n": count} | measures,
        y_true=outcomes.right[known],
        y_pred=outcomes.confidence[known],
        sensitive_features={dimension: column[known]},
        sample_params=dict.fromkeys(measures, weights)
        | {"false_handoff": weights | {"handed_over": outcomes.handed_over[known]}},
    )
    return [
        GroupFigures(
            dimension=dimension,
            group=str(group),
            n=int(row["n"]),
            recall=float(row["recall"]),
            false_handoff=None if np.isnan(row["false_handoff"]) else float(row["false_handoff"]),
            overconfidence=float(row["overconfidence"]),
            calibration_error=float(row["calibration_error"]),
        )
        for group, row in frame.by_group.iterrows()
    ]


def _recall(right: NDArray[np.bool_], _confidence: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    return float(np.average(right, weights=weights))


def _false_handoff(
    right: NDArray[np.bool_],
    _confidence: NDArray[np.float64],
    weights: NDArray[np.float64],
    handed_over: NDArray[np.bool_],
) -> float:
    found = np.asarray(right, np.bool_)
    return float(np.average(handed_over[found], weights=weights[found])) if found.any() else float("nan")


def _overconfidence(right: NDArray[np.bool_], confidence: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    return float(np.average(confidence - right, weights=weights))


def _calibration_error(
    right: NDArray[np.bool_], confidence: NDArray[np.float64], weights: NDArray[np.float64]
) -> float:
    return expected_calibration_error(confidence, right, weights=weights)
