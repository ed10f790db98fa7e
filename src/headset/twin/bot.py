"""The bot of a simulated centre: models read the customer, and a threshold decides whether it answers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from headset.events.schema import Route, RouteReason
from headset.twin.behaviour import Behaviour, Prediction, behave_as
from headset.twin.catalogue import PERSON, THANKS

if TYPE_CHECKING:
    from headset.features.encoder import Encoder
    from headset.registry.text_model import TextModel
    from headset.twin.catalogue import Catalogue
    from headset.twin.scenario import Bot as BotTable
    from headset.twin.stage import Contact, Request

_SURE = 0.97
_UNSURE = (2.0, 5.0)


class Model(Protocol):
    """Reads one text of a customer."""

    needs_text: bool
    """Whether it must be given the text; otherwise it knows what is meant, and errs as it would."""

    def read(self, contact: Contact, request: Request, text: str) -> Prediction:
        """What it says."""
        ...


class Reading(Struct, frozen=True):
    """A prediction and what follows from it."""

    prediction: Prediction
    route: Route
    reason: RouteReason


class BotVersion(Struct, frozen=True):
    """A model that serves, under the name it has in the log; numbers are names of registered models."""

    version: str
    model: Model
    threshold: float


class Guess:
    """A :class:`Model` of which only the behaviour is known."""

    needs_text = False

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour

    def read(self, contact: Contact, request: Request, text: str) -> Prediction:  # noqa: ARG002 - it reads minds
        """See :meth:`Model.read`."""
        match request:
            case "ask" | "retry":
                return self._behaviour.predict(contact.intent, contact.random, accuracy_loss=contact.accuracy_loss)
            case "person" | "thanks":
                read = self._behaviour.predict(PERSON if request == "person" else THANKS, contact.words)
                return Prediction(read.intent, _SURE, read.second)
            case _:
                read = self._behaviour.predict(contact.intent, contact.words)
                return Prediction(read.intent, round(contact.words.betavariate(*_UNSURE), 4), read.second)


class Reader:
    """A :class:`Model` that reads the texts.

    Args:
        scorer: Of the model.
        encoder: The one it was trained with.
    """

    needs_text = True

    def __init__(self, scorer: TextModel, encoder: Encoder) -> None:
        self._scorer = scorer
        self._encoder = encoder

    def read(self, contact: Contact, request: Request, text: str) -> Prediction:  # noqa: ARG002 - texts say it all
        """See :meth:`Model.read`."""
        probabilities = self._scorer.score([text], self._encoder.encode([text])).probabilities[0]
        best = int(probabilities.argmax())
        sureness = float(probabilities[best])
        probabilities[best] = -1.0
        labels = self._scorer.labels
        return Prediction(labels[best], round(sureness, 4), labels[int(probabilities.argmax())])


class Bot:
    """The versions that serve; each customer stays with one.

    Args:
        versions: In the order of the scenario's arms.

    Attributes:
        needs_text: Whether one of them must be given texts.
    """

    def __init__(self, versions: tuple[BotVersion, ...]) -> None:
        self.versions = versions
        self.needs_text = any(each.model.needs_text for each in versions)

    def version(self, contact: Contact) -> BotVersion:
        """The one that serves this customer."""
        return self.versions[contact.customer.arm]

    def read(self, contact: Contact, request: Request, text: str = "") -> Reading:
        """What it makes of a customer's turn, while no person has taken over."""
        serving = self.version(contact)
        prediction = serving.model.read(contact, request, text)
        if request == "person" or (contact.intent == PERSON and request in {"ask", "retry"}):
            return Reading(prediction, "human", "asked_for_human")
        if prediction.confidence < serving.threshold:
            return Reading(prediction, "human", "low_confidence")
        return Reading(prediction, "bot", "confident")


def made_up_bot(table: BotTable, catalogue: Catalogue) -> Bot:
    """The bot that a scenario describes; arms that are described alike behave alike."""
    return Bot(tuple(BotVersion(arm.version, Guess(behave_as(arm, catalogue)), table.threshold) for arm in table.arms))
