"""Sums of losses that papers train with.

References
----------
.. [1] Ma, Huang, Wang, Romano, Erfani and Bailey, "Normalized Loss Functions for Deep Learning
   with Noisy Labels", ICML 2020, arXiv:2006.13554: nce+mae, nce+rce, nfl+mae, nfl+rce.
.. [2] Zhou, Liu, Jiang, Gao and Ji, "Asymmetric Loss Functions for Learning with Noisy Labels",
   ICML 2021, arXiv:2106.03110: nce+agce, nce+aul, nce+ael.
.. [3] Ye, Wu, Yin, Zhang, Liu, Lyu and others, "Active Negative Loss Functions for Learning with
   Noisy Labels", NeurIPS 2023: anl-ce.
.. [4] "Joint Asymmetric Loss for Learning with Noisy Labels", ICCV 2025: jal-ce, jal-fl.
"""

from ._asymmetric import AEL, AGCE, AMSE, AUL
from ._cross_entropy import MAE, RCE
from ._loss import CATALOGUE
from ._normalized import NCE, NFL, NNCE

__all__: list[str] = []

CATALOGUE |= {
    "nce+mae": lambda: NCE() + MAE(),
    "nce+rce": lambda: NCE() + RCE(),
    "nfl+mae": lambda: NFL() + MAE(),
    "nfl+rce": lambda: NFL() + RCE(),
    "nce+agce": lambda: NCE() + AGCE(a=6.0, q=1.5),
    "nce+aul": lambda: NCE() + AUL(a=6.3, p=1.5),
    "nce+ael": lambda: NCE() + 4 * AEL(a=5.0),
    "anl-ce": lambda: 5 * NCE() + 5 * NNCE(),
    "jal-ce": lambda: NCE() + AMSE(a=30.0),
    "jal-fl": lambda: NFL() + AMSE(a=30.0),
}
