"""Write what the pages and type checkers know of the losses, from the classes.

    python docs/losses_table.py

Rewrites the table in docs/losses.md, the lists in docs/api.rst and docs/references.md, and the
imports for type checkers in robustlabels/losses/__init__.py. The last column of the table is
measured, not computed: it stays as the page has it.
"""

import argparse
import importlib
import inspect
import math
import pkgutil
import re
import textwrap
from pathlib import Path

from robustlabels import losses
from robustlabels.losses.theory import initial_gain, properties

DOCS = Path(__file__).parent
#: The lines between these, in the comments of each language, are written by this script.
BEGIN, END = "losses_table.py begins", "losses_table.py ends"


def number(value):
    return "unbounded" if math.isinf(value) else f"{value:.3g}"


def row(name, measured):
    """Return the row of a loss in the table, with its measured accuracy."""
    loss = losses.get_loss(name)
    few, many = properties(loss, 10), initial_gain(loss, 100)
    if isinstance(loss, losses.Sum):
        pairs = zip(loss.weights, loss.terms, strict=True)
        text = " + ".join(f"{w:g} {term}" if w != 1 else f"{term}" for w, (_, term) in pairs)
    else:
        text = repr(loss)
    cells = [
        f"`{name}`",
        f"`{text}`",
        "constant" if few.symmetric else number(few.class_sum_gap),
        f"{number(few.initial_gain + 0.0)} / {number(many + 0.0)}",
        f"{few.max_symmetric_noise:.2f}",
        f"{few.max_pair_noise:.2f}",
        f"{few.smoothness:.3f}",
        measured,
    ]
    return "| " + " | ".join(cells) + " |\n"


def measured_in(page):
    """Return the last column of the table, a dict by the names of the losses."""
    return dict(re.findall(r"^\| `([\w+-]+)` \|.*\| ([^|]+) \|$", page, re.MULTILINE))


def write_table(page):
    measured = measured_in(page)
    rows = [row(name, measured.get(name, "not measured")) for name in losses.available_losses()]
    return re.sub(r"(?<=\|\n)(\| `.*\n)+", lambda _: "".join(rows), page, count=1)


def write_between(page, text):
    before, begin, rest = re.split(rf"([^\n]*{BEGIN}[^\n]*\n)", page, maxsplit=1)
    _, end, after = re.split(rf"([^\n]*{END})", rest, maxsplit=1)
    return before + begin + text + end + after


def write_api(page):
    sections = {
        "Losses of the label's probability": [],
        "Losses of the whole distribution": [],
        "Operators": [],
    }
    protocol = {losses.Loss, losses.ProbabilityLoss}
    named = {type(losses.get_loss(name)) for name in losses.available_losses()} - {losses.Sum}
    for name in sorted(losses.__all__):
        value = getattr(losses, name)
        if not inspect.isclass(value) or not issubclass(value, losses.Loss) or value in protocol:
            continue
        if value not in named:
            sections["Operators"].append(name)
        elif issubclass(value, losses.ProbabilityLoss):
            sections["Losses of the label's probability"].append(name)
        else:
            sections["Losses of the whole distribution"].append(name)
    text = "\n"
    for title, names in sections.items():
        text += f"{title}\n{'-' * len(title)}\n\n.. autosummary::\n   :toctree: api\n\n"
        text += "".join(f"   {name}\n" for name in names) + "\n"
    return write_between(page, text)


def papers_of(docstring):
    """Return the references of a docstring."""
    _, _, section = inspect.cleandoc(docstring or "").partition("References\n----------\n")
    found = re.findall(r"^\.\. \[\d+\] (.*?)\.$(?=\n\n|\n\.\.|\n*\Z)", section, re.S | re.M)
    return [" ".join(paper.split()) for paper in found]


def write_references(page):
    papers = {}
    for module in pkgutil.walk_packages(losses.__path__, f"{losses.__name__}."):
        module = importlib.import_module(module.name)
        # A module names the sums that a paper uses at the end of the reference.
        for paper in papers_of(module.__doc__):
            paper, _, sums = paper.rpartition(": ")
            papers.setdefault(paper, []).extend(f'`"{name}"`' for name in sums.split(", "))
        names = [] if hasattr(module, "__path__") else getattr(module, "__all__", [])
        for name in names:
            for paper in papers_of(getattr(module, name).__doc__):
                papers.setdefault(paper, []).insert(0, f"`{name}`")
    lines = []
    for paper in sorted(papers, key=lambda paper: paper.strip('"').lower()):
        names = ", ".join(sorted(papers[paper], key=lambda name: ('"' in name, name.lower())))
        text = re.sub(r'"(.*?)"', r"*\1*", paper)
        text = re.sub(r"arXiv:([\d.]+\d)", r"[arXiv:\1](https://arxiv.org/abs/\1)", text)
        lines.append(
            textwrap.fill(
                f"- {text}: {names}.",
                width=100,
                subsequent_indent="  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
    return write_between(page, "\n" + "\n".join(lines) + "\n\n")


def write_imports(page):
    """Rewrite the imports of the modules that have public names."""
    names = [m.name for m in pkgutil.iter_modules(losses.__path__) if m.name.startswith("_")]
    public = [n for n in names if importlib.import_module(f"{losses.__name__}.{n}").__all__]
    lines = "".join(f"    from .{name} import *\n" for name in sorted(public))
    return re.sub(r"(    from \.\w+ import \*\n)+", lambda _: lines, page)


PAGES = {
    DOCS / "losses.md": write_table,
    DOCS / "api.rst": write_api,
    DOCS / "references.md": write_references,
    Path(losses.__file__): write_imports,
}


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    for path, write in PAGES.items():
        path.write_text(write(path.read_text()))


if __name__ == "__main__":
    main()
