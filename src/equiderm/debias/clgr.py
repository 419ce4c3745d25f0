"""Confusion loss with gradient reversal."""

from __future__ import annotations

from equiderm.debias.settings import Finite, settings
from equiderm.debias.tabe import TABE


class CLGR(TABE):
    r"""Confusion loss with gradient reversal: `TABE` whose bias loss is reversed into f.

    The equations of `TABE` with c, ``reversal``, at 0.1: step (2) trains the bias head h and moves
    the features f against it.

    Hyper-parameters as published: confusion_weight 0.03, reversal 0.1, rates 3e-4 and 3e-3 for h.
    As released (``experiments/clgr-as-released.toml``): confusion_target ``noise``,
    second_backbone_rate 3e-3, schedule ``alternating``.

    Args:
        backbone: Maps images to features.
        n_features: Width of the features.
        reversal: c.
        options: `TABE`'s.

    Source:
        Bevan and Atapour-Abarghouei 2022, section 3.1.
    """

    @settings("[method]")
    class Options(TABE.Options):
        """CLGR's hyper-parameters: TABE's, with the reversal on."""

        reversal: Finite = 0.1
