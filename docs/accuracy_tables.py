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
FOREST = "CleanLearning(RandomForest)"
KINDS = {
    "symmetric": ["symmetric .2", "symmetric .4", "symmetric .6"],
    "pair": ["pair .2", "pair .4"],
    "instance": ["instance .2", "instance .4"],
}
FOLDER = Path(__file__).parent
RESULTS = FOLDER.parent / "benchmarks" / "accuracy.csv"
PAGE = FOLDER / "accuracy.md"
PICTURE = FOLDER / "images" / "accuracy_ranks.png"


def markdown(table, digits):
    """Return a data frame as a Markdown table, its index first."""
    lines = [f"| {table.index.name} | {' | '.join(table.columns)} |"]
    lines.append("|---|" + "---|" * len(table.columns))
    for name, row in table.iterrows():
        cells = (
            "-" if pd.isna(value) else f"{value:.{digits.get(column, 3)}f}"
            for column, value in row.items()
        )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def under_noise(rows):
    """Return the mean accuracy over all noise of each method, a column, on each table, a row."""
    noisy = rows[rows["noise"] != "none"]
    return noisy.pivot_table(index="table", columns="method", values="accuracy")


def with_all_seeds(of_tables):
    """Leave out the methods that ran with fewer seeds than the others."""
    return of_tables.loc[:, ~of_tables.columns.str.endswith(" seed)")]


def by_setting(rows, score):
    """Return the mean score of each method, a row, in each setting, a column."""
    return rows.pivot_table(index="method", columns="setting", values=score)


def overview(rows):
    """Return each method's mean accuracy without and with noise, and its mean rank over tables."""
    noisy = rows[rows["noise"] != "none"]
    accuracy = by_setting(rows, "accuracy")
    of_seeds = noisy.pivot_table(index="method", columns=["seed", "setting"], values="accuracy")
    of_seeds = of_seeds.T.groupby("seed").mean().T
    table = pd.DataFrame(
        {
            "no noise": accuracy["none"],
            "all noisy": accuracy.drop(columns="none").mean(axis=1),
            "lowest seed": of_seeds.min(axis=1),
            "highest seed": of_seeds.max(axis=1),
            "mean rank": with_all_seeds(under_noise(rows)).rank(axis=1, ascending=False).mean(),
        }
    )
    return table.sort_values("all noisy", ascending=False)


def times(rows):
    """Return the seconds of a fit and a prediction, and as multiples of those of CleanLearning."""
    cells = rows.pivot_table(index=["table", "setting", "seed"], columns="method", values="seconds")
    shares = cells.div(cells[FOREST], axis=0).groupby("table").median()
    table = pd.DataFrame(
        {
            "mean seconds": cells.mean(),
            "ratio": cells.mean() / cells[FOREST].mean(),
            "highest ratio of a table": shares.max(),
        }
    )
    return table.sort_values("mean seconds", ascending=False)


def kind(name):
    """Return what makes the table of the mean accuracies under one kind of noise."""

    def make(rows):
        table = by_setting(rows, "accuracy")[KINDS[name]]
        table["mean"] = table.mean(axis=1)
        return table.sort_values("mean", ascending=False)

    return make


def probabilities(rows):
    """Return how good each method's probabilities are: the less the better."""
    table = {}
    for score, name in (("calibration_error", "calibration error"), ("log_loss", "log loss")):
        of_settings = by_setting(rows, score)
        table[f"{name}, none"] = of_settings["none"]
        table[f"{name}, symmetric .4"] = of_settings["symmetric .4"]
        table[f"{name}, all noisy"] = of_settings.drop(columns="none").mean(axis=1)
    return pd.DataFrame(table).sort_values("log loss, all noisy")


def comparisons(rows):
    """Return how each peer compares with our default, a pair of numbers for each table."""
    of_tables = with_all_seeds(under_noise(rows))
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
    """Draw the critical-difference diagram of the mean ranks over tables, for all seeds."""
    of_tables = with_all_seeds(under_noise(rows))
    ranks = of_tables.rank(axis=1, ascending=False).mean()
    alike = scikit_posthocs.posthoc_nemenyi_friedman(of_tables)
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    colors = {name: "#0072b2" if name == OURS else "0.3" for name in ranks.index}
    scikit_posthocs.critical_difference_diagram(
        ranks, alike, ax=axes, color_palette=colors, label_props={"fontsize": 9}, text_h_margin=0.6
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
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        pattern = re.escape(begin) + ".*?" + re.escape(end)
        page, n = re.subn(pattern, lambda _, t=begin + text + "\n" + end: t, page, flags=re.S)
        if n != 1:
            raise ValueError(f"{PAGE} must have the markers {begin!r} and {end!r} once.")
    PAGE.write_text(page)


def real_noise(rows):
    """Return each method's accuracy, and mean recall of the classes, on tables with real noise."""
    table = rows.pivot_table(index="method", columns="table", values=["accuracy", "balanced"])
    table = table.swaplevel(axis=1).sort_index(axis=1)
    names = {"real_crowdsourced_mapping": "map", "real_mammographic_birads": "mammograms"}
    table.columns = [f"{names[name]}, {score}" for name, score in table.columns]
    return table.sort_values(list(table.columns), ascending=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="?", default=RESULTS, help="CSV file")
    parser.add_argument("--write", action="store_true", help="write the page and its picture")
    arguments = parser.parse_args()
    results = pd.read_csv(arguments.results)
    rate = results["rate"].map(lambda rate: f" {rate:.1f}".replace("0.", "."))
    results["setting"] = results["noise"].where(results["rate"] == 0, results["noise"] + rate)
    digits = {
        **dict.fromkeys(["mean rank", "ratio", "highest ratio of a table"], 1),
        "tables won": 0,
    }
    seeds = results.groupby(["half", "method"])["seed"].transform("nunique")
    fewer = seeds < seeds.max()
    results.loc[fewer, "method"] += " (" + seeds[fewer].astype(str) + " seed)"
    halves = dict(list(results.groupby("half")))
    makers = {
        "overview": ("report", overview),
        "comparisons": ("report", comparisons),
        **{f"{name} noise": ("report", kind(name)) for name in KINDS},
        "probabilities": ("report", probabilities),
        "times": ("report", times),
        "choosing half": ("choose", overview),
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
