"""Write docs/losses.md from the code: every loss with its properties.

    python docs/losses_table.py

With ``--check`` it only says whether the page is what it would write.
"""

import argparse
import math
import sys
from pathlib import Path

from robustlabels.losses import available_losses, get_loss, initial_gain, properties

PAGE = Path(__file__).with_name("losses.md")

HEAD = """\
# Losses

Every loss is one name away, `RobustClassifier("sgce")`, or an object, `SGCE(q=0.3)`;
[one of your own](add_a_loss.md) is one method. The docstrings give formula, domain, theorem,
published settings and reference. This table is computed from the code by
`python docs/losses_table.py`, for 10 classes and default hyperparameters.

| name | loss | class sum | gain at 10 / 100 classes | symmetric noise | pair noise | smoothness |
|---|---|---|---|---|---|---|
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

#: Written by hand from the output of the command that the text names.
MANY = """\
MANYTEXT"""


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
    ]
    return "| " + " | ".join(cells) + " |\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare only")
    arguments = parser.parse_args()
    text = HEAD + "".join(map(row, available_losses())) + FOOT.replace("MANY", MANY)
    if arguments.check:
        sys.exit(PAGE.read_text() != text and f"{PAGE.name} is outdated: run {__file__}")
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
