"""What a model served: its decisions whose true intent became known.

Labels come from agents in the conversations that reached a person, and from reviews, which are far fewer, in the
others. So each labelled conversation stands for as many as there are of its kind (one over the share that has a
label); which of a kind get a label is taken to depend on nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import duckdb


class ServedTurn(Struct, frozen=True):
    """A turn that a model decided, of a conversation of its own, and what was meant.

    Attributes:
        conversation_id: Its conversation.
        turn_id: The turn.
        label: The true intent.
        right: Whether the model found it.
        confidence: How sure it was.
        handed_over: Whether it went to a person because that was below the threshold.
        weight: For how many conversations it stands.
    """

    conversation_id: str
    turn_id: str
    label: str
    right: bool
    confidence: float
    handed_over: bool
    weight: float


# The first labelled turn of each conversation; of turns, those whose route the model's answer decided: what a person
# asked for, or already had, says nothing of the model.
_QUERY = """
WITH judged AS (
    SELECT *, bool_or(route = 'human') OVER (PARTITION BY conversation_id) AS reached_person
    FROM decisions WHERE arm <> 'shadow' AND model = $model AND ($version IS NULL OR model_version = $version)
),
counted AS (
    SELECT * FROM judged WHERE reason IN ('confident', 'low_confidence', 'model_error')
),
kinds AS (
    SELECT reached_person,
        count(DISTINCT conversation_id) / count(DISTINCT conversation_id) FILTER (WHERE label IS NOT NULL) AS weight
    FROM counted GROUP BY reached_person
)
SELECT conversation_id, turn_id, label, coalesce(intent = label, false), confidence, reason = 'low_confidence', weight
FROM counted JOIN kinds USING (reached_person) WHERE label IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY conversation_id ORDER BY position, event_time, decision_id) = 1
ORDER BY conversation_id
"""


def served_turns(decisions: duckdb.DuckDBPyConnection, model: str, version: str | None = None) -> list[ServedTurn]:
    """The labelled turns of a model, one of each conversation, in order of the conversations' ids.

    Args:
        decisions: Holds the view ``decisions``.
        model: Name of the model.
        version: Only what this one served; None for all.
    """
    rows = decisions.execute(_QUERY, {"model": model, "version": version}).fetchall()
    return [ServedTurn(*row) for row in rows]
