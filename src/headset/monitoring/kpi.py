"""The KPIs that are shares, each defined once, as two conditions on a row of the decision record."""

from __future__ import annotations

from msgspec import Struct


class Ratio(Struct, frozen=True):
    """A share of rows.

    Attributes:
        name: Field of :class:`~headset.monitoring.report.ModelReport`.
        whole: SQL condition of the rows in the denominator.
        part: SQL condition of those among them that are in the numerator.
    """

    name: str
    whole: str
    part: str


ACCURACY = Ratio("accuracy", whole="label IS NOT NULL", part="intent = label")
"""How often the intent is right.

Numerator: decisions whose intent is the verified one; abstaining or failing is wrong. Denominator: decisions about
a turn with a verified intent. Unit: share. Maturity: grows with labels, which come minutes to days later. Where
agents label only what they correct, it is a lower bound: label a random sample to have the true figure.
"""

OVERRIDE = Ratio("override", whole="action IS NOT NULL", part="action = 'overridden'")
"""Override rate: how often agents replaced the intent by another.

Numerator: decisions whose newest feedback is ``overridden``. Denominator: decisions with feedback, ``ignored``
included. Unit: share. Maturity: minutes, the time an agent takes to answer.
"""

ACCEPTANCE = Ratio("acceptance", whole="shown", part="action = 'accepted'")
"""Acceptance rate: how often a suggestion was sent as it is.

Numerator: decisions whose suggestion was ``accepted``. Denominator: decisions whose suggestions an agent's screen
displayed; what nobody saw cannot be accepted. Unit: share. Maturity: minutes; until the feedback comes, a displayed
suggestion counts as not accepted.
"""

EDITED = Ratio("edited", whole="shown", part="action = 'edited'")
"""How often a suggestion was sent after a change; with acceptance it gives the share of suggestions used.

Numerator: decisions whose suggestion was ``edited``. Denominator, unit and maturity as :data:`ACCEPTANCE`.
"""

CONTAINMENT = Ratio(
    "containment",
    whole="ended_by IS NOT NULL OR resolution IS NOT NULL",
    part="NOT handoff AND resolution IS DISTINCT FROM 'transferred'",
)
"""How often a conversation ended without a person taking over.

Numerator: conversations without handoff whose resolution is not ``transferred``; one the customer abandoned counts
as contained, as is usual. Denominator: conversations that ended or have a resolution, each counted once, for the
model that made the decision to hand off or else the last decision. Unit: share of conversations. Maturity: at the
end of the conversation; a resolution that arrives days later may still change it. Whether the customer came back
(durable containment) is another KPI.
"""

TO_HUMAN = Ratio("to_human", whole="TRUE", part="route = 'human'")
"""How often a turn went to a person.

Numerator: decisions with route ``human``, for whatever reason. Denominator: all decisions. Unit: share. Maturity:
at once.
"""

AUTOMATION = Ratio("automation", whole="reason IS DISTINCT FROM 'with_human'", part="route = 'bot'")
"""Automation coverage: where the choice was open, how often the bot was trusted with the turn.

Numerator: decisions with route ``bot``. Denominator: decisions in conversations that no person had taken over yet.
Unit: share. Maturity: at once.
"""

ERRORS = Ratio("errors", whole="TRUE", part="error IS NOT NULL")
"""How often the model raised, stalled or gave nothing usable.

Numerator: decisions with an error. Denominator: all decisions. Unit: share. Maturity: at once.
"""

DEGRADED = Ratio("degraded", whole="TRUE", part="degraded")
"""How often a fallback answered in place of the model or one of its parts.

Numerator: decisions flagged degraded. Denominator: all decisions. Unit: share. Maturity: at once.
"""

RATIOS = (ACCURACY, OVERRIDE, ACCEPTANCE, EDITED, CONTAINMENT, TO_HUMAN, AUTOMATION, ERRORS, DEGRADED)
