"""Technical metrics in the Prometheus text format. Labels hold names from fixed sets, never text or ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from headset.serving.request import Decision

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """The serving process's own registry, so that two services in one process do not collide."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._decisions = Counter(
            "headset_decisions",
            "Decisions served",
            ["model_version", "route", "reason", "degraded"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "headset_decision_seconds",
            "Seconds from the request's arrival to the durable answer",
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._refused = Counter(
            "headset_refused_requests", "Requests refused, by HTTP status", ["status"], registry=self._registry
        )
        self.feature_lag = Gauge(
            "headset_feature_lag_events",
            "Events of the log that features have not heard of yet",
            registry=self._registry,
        )
        self._verified = Counter(
            "headset_features_verified",
            "Decisions whose features were computed again from the log",
            registry=self._registry,
        )
        self._mismatches = Counter(
            "headset_feature_mismatches", "Those among them that came out otherwise", registry=self._registry
        )
        self._shadowed = Counter(
            "headset_shadow_decisions",
            "Turns that a version in shadow answered, by whether it meant what the champion meant",
            ["model_version", "agrees"],
            registry=self._registry,
        )
        self.shadow_passed = Counter(
            "headset_shadow_passed_turns",
            "Turns that the version in shadow had no time for, or whose answer was not kept",
            registry=self._registry,
        )
        self.in_progress = Gauge("headset_turns_in_progress", "Turns being decided now", registry=self._registry)
        self._children: dict[tuple[str, str, str, bool], Counter] = {}

    def decided(self, decision: Decision, seconds: float) -> None:
        """Count a decision and its time."""
        labels = (decision.model_version, decision.route, decision.reason, decision.degraded)
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._decisions.labels(*map(str, labels))
        child.inc()
        self._seconds.observe(seconds)

    def shadowed(self, model_version: str, *, agrees: bool) -> None:
        """Count what a version in shadow answered."""
        self._shadowed.labels(model_version, str(agrees)).inc()

    def verified(self, checked: int, mismatched: int) -> None:
        """Count what an audit of features found."""
        self._verified.inc(checked)
        self._mismatches.inc(mismatched)

    def refused(self, status: int) -> None:
        """Count a refusal."""
        self._refused.labels(str(status)).inc()

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self._registry)
