"""Print the means of what benchmarks/accuracy.py measured, and write docs/accuracy.md from them.

    python docs/accuracy_tables.py [results.csv] [--write]

Needs the extra "docs".
"""

import argparse
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import scikit_posthocs
from scipy.stats import friedmanchisquare, wilcoxon

OURS = "RobustClassifier"
SETTINGS = [
    *("none", "symmetric .2", "symmetric .4", "symmetric .6"),
    *("pair .2", "pair .4", "instance .2", "instance .4"),
]
FOLDER = Path(__file__).parent
RESULTS = FOLDER.parent / "benchmarks" / "accuracy.csv"
PAGE = FOLDER / "accuracy.md"
PICTURE = FOLDER / "images" / "accuracy_ranks.png"


def markdown(table, digits):
    """Return a data frame as a Markdown table, its index first."""
    lines = [f"| {table.index.name} | {' | '.join(table.columns)} |"]
    lines.append("|---|" + "---|" * len(table.columns))
    for name, row in table.iterrows():
        cells = (f"{value:.{digits.get(column, 3)}f}" for column, value in row.items())
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def under_noise(rows):
    """Return the mean accuracy over all noise of each method, a column, on each table, a row."""
    noisy = rows[rows["noise"] != "none"]
    return noisy.pivot_table(index="table", columns="method", values="accuracy")


def means(rows):
    """Return each method's mean accuracy by noise, its mean rank over tables, and its time."""
    noisy = rows[rows["noise"] != "none"]
    table = rows.pivot_table(index="method", columns="setting", values="accuracy")[SETTINGS]
    table["all noisy"] = table.drop(columns="none").mean(axis=1)
    of_seeds = noisy.pivot_table(index="method", columns=["seed", "setting"], values="accuracy")
    of_seeds = of_seeds.T.groupby("seed").mean().T
    table["lowest seed"], table["highest seed"] = of_seeds.min(axis=1), of_seeds.max(axis=1)
    table["mean rank"] = under_noise(rows).rank(axis=1, ascending=False).mean()
    table["seconds"] = rows.groupby("method")["seconds"].mean()
    return table.sort_values("all noisy", ascending=False)


def comparisons(rows):
    """Return how each peer compares with our default, a pair of numbers for each table."""
    of_tables = under_noise(rows)
    ours = of_tables.pop(OURS)
    table = pd.DataFrame(
        {
            "ahead by": ours.mean() - of_tables.mean(),
            "tables won": (ours > of_tables.T).T.sum(),
            "Wilcoxon p": [wilcoxon(ours, of_tables[peer]).pvalue for peer in of_tables],
        }
    )
    return table.rename_axis("peer").sort_values("ahead by")


def draw_ranks(rows):
    """Draw the critical-difference diagram of the mean ranks over tables."""
    of_tables = under_noise(rows)
    ranks = of_tables.rank(axis=1, ascending=False).mean()
    alike = scikit_posthocs.posthoc_nemenyi_friedman(of_tables)
    figure, axes = plt.subplots(figsize=(10, 3.6), layout="constrained")
    scikit_posthocs.critical_difference_diagram(
        ranks, alike, ax=axes, label_props={"fontsize": 9}, text_h_margin=0.3
    )
    p = friedmanchisquare(*of_tables.to_numpy().T).pvalue
    axes.set_title(
        f"Mean rank over {len(of_tables)} tables under noise, 1 is best; a bar joins methods that "
        f"Nemenyi's test\nat 5 % does not tell apart (Friedman p = {p:.1g})",
        fontsize=10,
    )
    figure.savefig(PICTURE, dpi=120)


def write(sections):
    """Put each section between its markers in the page."""
    page = PAGE.read_text()
    for name, text in sections.items():
        begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
        pattern = re.escape(begin) + ".*?" + re.escape(end)
        page, n = re.subn(pattern, lambda _, t=begin + text + end: t, page, flags=re.S)
        if n != 1:
            raise ValueError(f"{PAGE} must have the markers {begin!r} and {end!r} once.")
    PAGE.write_text(page)


def real_noise(rows):
    """Return each method's accuracy, and mean recall of the classes, on tables with real noise."""
    table = rows.pivot_table(index="method", columns="table", values=["accuracy", "balanced"])
    table = table.swaplevel(axis=1).sort_index(axis=1)
    table.columns = [" ".join(column).removeprefix("real_") for column in table.columns]
    return table.sort_values(list(table.columns), ascending=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="?", default=RESULTS, help="CSV file")
    parser.add_argument("--write", action="store_true", help="write the page and its picture")
    arguments = parser.parse_args()
    results = pd.read_csv(arguments.results)
    rate = results["rate"].map(lambda rate: f" {rate:.1f}".replace("0.", "."))
    results["setting"] = results["noise"].where(results["rate"] == 0, results["noise"] + rate)
    digits = {"mean rank": 1, "seconds": 1, "tables won": 0}
    halves = dict(list(results.groupby("half")))
    makers = {
        "reporting half": ("report", means),
        "comparisons": ("report", comparisons),
        "choosing half": ("choose", means),
        "real noise": ("real", real_noise),
    }
    sections = {
        name: markdown(make(halves[half]), digits)
        for name, (half, make) in makers.items()
        if half in halves
    }
    for name, text in sections.items():
        print(f"\n{name}\n\n{text}")
    if arguments.write:
        write(sections)
        draw_ranks(halves["report"])


if __name__ == "__main__":
    main()
