"""The one door in: text becomes :data:`~headset.events.schema.Sealed` here and nowhere else.

Checked, redacted, encrypted, in this order. It fails closed: when redaction breaks, the text is
withheld and the event goes on without it.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from msgspec import Struct

from headset.core.errors import InvalidInput
from headset.events.redaction import Redacted, redact
from headset.events.schema import Sealed

if TYPE_CHECKING:
    from collections.abc import Callable

    from headset.events.vault import Vault

TEXT_LIMIT = 16_000
"""Characters in one text; long e-mails fit, files pasted by mistake do not."""

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"})
WITHHELD = "[withheld]"


class Admitted(Struct, frozen=True):
    """A text that came through: what models may read, what may be stored, and what was taken out."""

    text: str
    sealed: Sealed
    redactions: dict[str, int]


class Door:
    """Admits texts.

    Args:
        vault: Seals what is admitted.
        redaction: Takes personal data out of a text.
    """

    def __init__(self, vault: Vault, redaction: Callable[[str], Redacted] = redact) -> None:
        self._vault = vault
        self._redaction = redaction

    def admit(self, subject: str, text: str, *, field: str = "text") -> Admitted:
        """Check, redact and seal one text of ``subject``.

        Raises:
            InvalidInput: the text is empty, too long, or holds characters no person types; ``field``
                is the name the caller knows it by.
        """
        check_text(text, field=field)
        try:
            redacted = self._redaction(text)
        except Exception:  # noqa: BLE001 - whatever broke, unredacted text must not pass
            redacted = Redacted(WITHHELD, {"withheld": 1})
        if len(redacted.text) > TEXT_LIMIT:
            raise InvalidInput(
                field,
                f"has {len(redacted.text)} characters after redaction, the limit is {TEXT_LIMIT}; send it in parts",
            )
        return Admitted(redacted.text, self._vault.seal(subject, redacted.text), redacted.counts)

    def digest(self, *parts: str) -> str:
        """See :meth:`Vault.digest`."""
        return self._vault.digest(*parts)


def check_label(text: str, *, field: str) -> None:
    """Refuse a name that is kept as it is, such as an intent or a queue, when it holds personal data.

    Raises:
        InvalidInput: redaction would take something out of it.
    """
    if not text.strip() or not text.isprintable():
        raise InvalidInput(field, f"{text[:40]!r} is no name: empty, or with characters that do not print")
    kinds = redact(text).counts
    if kinds:
        raise InvalidInput(field, f"looks like it holds personal data ({', '.join(kinds)}); send a name from your list")


def check_text(text: str, *, field: str) -> None:
    """Refuse text that cannot be stored or decided on.

    Raises:
        InvalidInput: it is blank, longer than :data:`TEXT_LIMIT`, holds NUL, or is not valid Unicode.
    """
    if len(text) > TEXT_LIMIT:
        raise InvalidInput(field, f"has {len(text)} characters, the limit is {TEXT_LIMIT}; send it in parts")
    if not any(unicodedata.category(character) not in _INVISIBLE for character in text):
        raise InvalidInput(field, "is empty; send at least one visible character")
    if "\x00" in text:
        raise InvalidInput(field, f"has a NUL byte at position {text.index(chr(0))}; remove it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(field, f"has half a character pair at position {error.start}; send valid Unicode") from None
