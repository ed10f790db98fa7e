"""The filter that keeps synthetic texts from saying something else than their intent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headset.data.synthetic.domain import Domain
    from headset.features.encoder import Encoder

_PER_INTENT = 200


class Fidelity:
    """Knows the centre of each intent's texts in the embedding.

    Centres, not neighbours, since an intent with many texts has neighbours everywhere (nearest class mean: Mensink et
    al., "Distance-Based Image Classification", TPAMI 2013).

    Args:
        domain: Texts to learn from.
        encoder: Gives unit vectors.
    """

    def __init__(self, domain: Domain, encoder: Encoder) -> None:
        self._encoder = encoder
        self._columns = {intent: column for column, intent in enumerate(domain.examples)}
        centres = []
        for examples in domain.examples.values():
            step = max(1, len(examples) // _PER_INTENT)
            centre = encoder.encode([text for text, _ in examples[::step]]).mean(axis=0)
            centres.append(centre / (np.linalg.norm(centre) or 1.0))
        self._centres: NDArray[np.float32] = np.array(centres, np.float32)

    def holds(self, text: str, intent: str) -> bool:
        """Whether ``text`` lies nearer to the texts of ``intent`` than to those of any other."""
        likeness = self._centres @ self._encoder.encode([text])[0]
        return bool(likeness.argmax() == self._columns[intent])
