"""Write docs/losses.md from the code: every loss with its properties.

python docs/losses_table.py
"""

import argparse
import math
from pathlib import Path

from robustlabels.losses import available_losses, get_loss
from robustlabels.losses.theory import initial_gain, properties

PAGE = Path(__file__).with_name("losses.md")

HEAD = """\
# Losses

Every loss is one name away, `RobustClassifier("sgce")`, or an object, `SGCE(q=0.3)`;
[one of your own](add_a_loss.md) is one method. The docstrings give formula, domain, theorem,
published settings and reference. This table is computed from the code by
`python docs/losses_table.py`, for 10 classes and default hyperparameters; its last column was
measured, see [many classes](#many-classes).

| name | loss | class sum | gain at 10 / 100 classes | symmetric noise | pair noise | smoothness \
| 100 classes |
|---|---|---|---|---|---|---|---|
"""

FOOT = """
How to read it:

- **Class sum**: *constant* is a symmetric loss, whose minimiser does not change under symmetric
  noise below (K-1)/K. A number is how much the sum varies, and bounds the harm
  (`class_sum_gap`); *unbounded* gives no such guarantee.
- **Gain**: how strongly the loss pulls at the start, in units of the cross-entropy
  (`initial_gain`). Under plain SGD a small gain is a small learning rate, and dividing the loss by
  it helps; Adam divides it out by itself.
- **Symmetric and pair noise**: the noise rate up to which certainty of the right class minimises
  the expected loss (`max_tolerable_noise`). 0 does not mean that accuracy falls at once: the right
  class can stay the most probable one, as it does for the cross-entropy.
- **Smoothness**: the largest curvature in the scores (`smoothness`), for any scores. SGCE's does
  not vanish with q for three classes and more.
- Losses with a radius (`Unhinged`, `AlphaMAE`, `SGCE` for q < 0.3) are trained on scores within a
  ball and looked at here without it.

## Many classes

MANY
"""

#: Accuracy on clean labels with 100 classes and 40 % symmetric noise: mean over two seeds of
#: benchmarks/many_classes.py with torch 2.13.0 and scikit-learn 1.9.1.
MEASURED = {
    "ce": 0.959,
    "mae": 0.720,
    "gce": 0.979,
    "unhinged": 0.976,
    "sgce": 0.979,
    "alpha-mae": 0.437,
    "agce": 0.804,
    "aul": 0.792,
    "ael": 0.803,
    "amse": 0.769,
    "focal": 0.959,
    "rce": 0.707,
    "sce": 0.981,
    "taylor-ce": 0.817,
    "js": 0.980,
    "ldr": 0.959,
    "soft-bootstrap": 0.959,
    "nce": 0.907,
    "nfl": 0.909,
    "ngce": 0.963,
    "nnce": 0.910,
    "nce+mae": 0.981,
    "nce+rce": 0.974,
    "nfl+mae": 0.981,
    "nfl+rce": 0.965,
    "nce+agce": 0.978,
    "nce+aul": 0.976,
    "nce+ael": 0.978,
    "anl-ce": 0.978,
    "jal-ce": 0.980,
    "jal-fl": 0.982,
    "bi-tempered": 0.970,
}

MANY = """\
With many classes a label starts at probability 1/K, where MAE, alpha-MAE, AGCE, AUL, AEL, AMSE,
RCE, Taylor-CE and NCE, NFL and NNCE alone hardly weigh a row: below the cross-entropy's 0.959 in
the last column they are not for many classes as they stand. (100 Gaussian classes, 80 training rows
each, 40 % symmetric noise, the default network; two seeds, `python benchmarks/many_classes.py`,
whose output has the ranges.) What helps, by the same benchmark:

| remedy | MAE | AGCE | AUL | AEL | RCE | alpha-MAE |
|---|---|---|---|---|---|---|
| none | 0.720 | 0.804 | 0.792 | 0.803 | 0.707 | 0.437 |
| `MarginShift(loss)` | 0.979 | 0.978 | 0.979 | 0.977 | 0.980 | |
| 10 epochs of cross-entropy first, `warm_start=True` | 0.984 | 0.984 | | | | 0.489 |
| NCE + loss | 0.981 | 0.978 | 0.976 | 0.978 | 0.974 | |

`TruncatedGCE` gives no gradient from scratch; after 10 epochs of cross-entropy it reaches 0.981.
The default, SGCE, needs none of this: 0.980. A larger step does not help where Adam sets it: Adam
divides a factor of the loss out. Under plain SGD `(1 / initial_gain(loss, K)) * loss` is the factor
that gives a loss the start of the cross-entropy; it is the same as a larger `lr`."""


def number(value):
    return "unbounded" if math.isinf(value) else f"{value:.3g}"


def row(name):
    loss = get_loss(name)
    few, many = properties(loss, 10), initial_gain(loss, 100)
    text = repr(loss).replace("\n", " ").replace("         ", "")
    if "terms=" in text:
        weights = [f"{w:g} " if w != 1 else "" for w in loss.weights]
        terms = [repr(term) for _, term in loss.terms]
        text = " + ".join(w + t for w, t in zip(weights, terms, strict=True))
    cells = [
        f"`{name}`",
        f"`{text}`",
        "constant" if few.symmetric else number(few.class_sum_gap),
        f"{number(few.initial_gain + 0.0)} / {number(many + 0.0)}",
        f"{few.max_symmetric_noise:.2f}",
        f"{few.max_pair_noise:.2f}",
        f"{few.smoothness:.3f}",
        f"{MEASURED[name]:.3f}" if name in MEASURED else "after another",
    ]
    return "| " + " | ".join(cells) + " |\n"


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    PAGE.write_text(HEAD + "".join(map(row, available_losses())) + FOOT.replace("MANY", MANY))


if __name__ == "__main__":
    main()
