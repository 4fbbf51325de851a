"""Print the means of what the benchmarks of accuracy measured, and write docs/accuracy.md.

    python docs/accuracy_tables.py [--write]

Reads accuracy.csv, drawn_problems.csv, large_tables.csv and real_noise.csv in benchmarks/.

Needs the extra "docs".
"""

import argparse
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import scikit_posthocs
from scipy.stats import friedmanchisquare, wilcoxon

OURS = "RobustEnsembleClassifier"
FOREST = "CleanLearning(RandomForest)"
#: What regret is the distance from: the best of these.
SIMPLE = [
    *("LogisticRegression", "RandomForest", "RandomForest, leaf 10", FOREST),
    "HistGradientBoosting, early stopping",
]
KINDS = {
    "symmetric": ["symmetric .2", "symmetric .4", "symmetric .6"],
    "pair": ["pair .2", "pair .4"],
    "instance": ["instance .2", "instance .4"],
}
#: Colour and line of each method on the ten new tables; ours are drawn through.
STYLES = {
    OURS: ("#0072b2", "-"),
    "RobustClassifier": ("#56b4e9", "-"),
    "RandomForest, leaf 10": ("#d55e00", "--"),
    "RandomForest": ("#d55e00", ":"),
    FOREST: ("#cc79a7", "--"),
    "MLPClassifier, early stopping": ("#009e73", "--"),
    "HistGradientBoosting, early stopping": ("#b07d00", "--"),
    "LightGBM": ("#b07d00", ":"),
    "LogisticRegression": ("#555555", ":"),
}
FOLDER = Path(__file__).parent
RESULTS = FOLDER.parent / "benchmarks"
PAGE = FOLDER / "accuracy.md"
RANKS = FOLDER / "images" / "accuracy_ranks.png"
CURVES = FOLDER / "images" / "accuracy.png"


def markdown(table, digits):
    """Return a data frame as a Markdown table, its index first."""

    def write_cell(column, value):
        if isinstance(value, str):
            return value
        return "-" if pd.isna(value) else f"{value:.{digits.get(column, 3)}f}"

    lines = [f"| {table.index.name} | {' | '.join(table.columns)} |"]
    lines.append("|---|" + "---|" * len(table.columns))
    for name, row in table.iterrows():
        cells = (write_cell(column, value) for column, value in row.items())
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def under_noise(rows):
    """Return the mean accuracy over all noise of each method, a column, on each table, a row."""
    noisy = rows[rows["noise"] != "none"]
    return noisy.pivot_table(index="table", columns="method", values="accuracy")


def with_all_seeds(of_tables):
    """Leave out the methods that ran with fewer seeds than the others."""
    return of_tables.loc[:, ~of_tables.columns.str.contains(r" \(\d seeds?\)$")]


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
    figure.savefig(RANKS, dpi=120)


def draw_curves(rows):
    """Draw mean accuracy against the share of wrong labels, a panel for each kind of noise."""
    accuracy = rows.groupby(["noise", "rate", "method"])["accuracy"].mean()
    order = accuracy["symmetric", 0.4].sort_values(ascending=False).index
    figure, panels = plt.subplots(1, 3, figsize=(10, 4.3), sharey=True, layout="constrained")
    for method in order:
        color, line = STYLES[method]
        style = {"color": color, "ls": line, "lw": 2.8 if line == "-" else 1.5}
        for noise, axes in zip(KINDS, panels, strict=True):
            # On tables of two classes symmetric noise ends below a half.
            means = [accuracy["none", 0.0, method]]
            means += [accuracy[noise, rate, method] for rate in (0.2, 0.4)]
            axes.plot([0, 0.2, 0.4], means, label=method, **style)
    for noise, axes in zip(KINDS, panels, strict=True):
        axes.set(title=f"{noise} noise", xticks=[0, 0.2, 0.4])
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.yaxis.set_major_formatter("{x:.0%}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(f"Accuracy on clean labels,\nmean of {rows['table'].nunique()} tables")
    panels[1].set_xlabel("Share of wrong training labels")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(CURVES, dpi=150)


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


def regret(rows):
    """Return how far ours are below the best of the simple peers, over tables and noises."""
    method = rows["method"].str.replace(r" \(\d seeds?\)$", "", regex=True)
    index = ["table", "setting", "seed"]
    cells = rows.assign(method=method).pivot_table(index=index, columns="method", values="accuracy")
    names = [OURS, "RobustClassifier", *SIMPLE]
    # Against the best of the same seed; then the mean of the seeds that a method ran with.
    below = cells[names].rsub(cells[SIMPLE].max(axis=1), axis=0)
    below = below.groupby(["table", "setting"]).mean()
    table = pd.DataFrame(
        {"mean": below.mean(), "90 % quantile": below.quantile(0.9), "worst": below.max()}
    )
    table["worst on"] = [f"{of_table}, {setting}" for of_table, setting in below.idxmax()]
    return table.rename_axis("method").sort_values("mean")


def for_readme(unseen, clean):
    """Return what the README says: points lost by noise, tables that boosting is best on."""
    mean = by_setting(unseen, "accuracy").loc[[OURS, "RandomForest", "LightGBM"]]
    lost = 100 * (mean[["none"]].to_numpy() - mean[["symmetric .2", "symmetric .4"]])
    of_table = clean.pivot_table(index="table", columns="method", values="accuracy")
    boosting = of_table[["LightGBM", "HistGradientBoosting, early stopping"]].max(axis=1)
    n_best = (boosting >= of_table[OURS]).sum()
    return (
        f"points lost\n\n{lost.round(1).to_string()}\n\n"
        f"without noise boosting is at least as accurate on {n_best} of {len(of_table)} tables"
    )


def of_tables(rows):
    """Return the mean accuracy under noise on each table, a row, of a few methods."""
    names = [OURS, "RobustClassifier", *SIMPLE]
    return under_noise(rows)[[name for name in names if name in set(rows["method"])]]


def drawn(rows, score):
    """Return a score on each drawn problem, a row."""
    table = rows.pivot_table(index="table", columns="method", values=score)
    return table[[OURS, "RobustClassifier", *SIMPLE]].rename_axis("problem")


def large(rows):
    """Return the accuracy on each large table, a column, and the mean seconds."""
    table = rows.pivot_table(index="method", columns="table", values="accuracy")
    table["mean"] = table.mean(axis=1)
    table["mean seconds of a fit"] = rows.groupby("method")["seconds"].mean()
    return table.sort_values("mean", ascending=False)


def real_noise(rows):
    """Return each method's scores on sets with real noise, and its mean rank in balanced ones."""
    rows = rows.assign(set=rows["set"].where(rows["set"] != "scenes", "scenes, " + rows["part"]))
    of_sets = rows.groupby(["method", "set"])[["balanced", "log_loss", "auc"]].mean().unstack()
    table = pd.DataFrame(index=of_sets.index)
    for name in rows["set"].unique():
        table[f"{name}, balanced"] = of_sets["balanced", name]
        table[f"{name}, log loss"] = of_sets["log_loss", name]
    table["defects, AUC"] = of_sets["auc", "defects"]
    table["mean rank"] = with_all_seeds(of_sets["balanced"].T).rank(axis=1, ascending=False).mean()
    return table.sort_values("mean rank")


def read(name, halves=None):
    """Return what a benchmark measured; methods that ran with fewer seeds are named so."""
    rows = pd.read_csv(RESULTS / f"{name}.csv")
    by = ["method"] if halves is None else [halves, "method"]
    seeds = rows.groupby(by)["seed"].transform("nunique")
    most = seeds.max() if halves is None else seeds.groupby(rows[halves]).transform("max")
    fewer = seeds < most
    said = seeds.map(lambda n: f" ({n} seed{'s' if n > 1 else ''})").where(fewer, "")
    rows["method"] += said
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the page and its pictures")
    arguments = parser.parse_args()
    results = read("accuracy", "half")
    rate = results["rate"].map(lambda rate: f" {rate:.1f}".replace("0.", "."))
    results["setting"] = results["noise"].where(results["rate"] == 0, results["noise"] + rate)
    digits = {
        **dict.fromkeys(["mean rank", "ratio", "highest ratio of a table"], 1),
        **dict.fromkeys(["tables won", "mean seconds of a fit"], 0),
    }
    report, unseen = (results[results["half"] == half] for half in ("report", "unseen"))
    both = pd.concat([report, unseen])
    problems, real = read("drawn_problems"), read("real_noise")
    tables = {
        "unseen overview": overview(unseen),
        "unseen tables": of_tables(unseen),
        "unseen probabilities": probabilities(unseen),
        "regret": regret(both),
        "drawn problems": drawn(problems, "accuracy"),
        "drawn problems, balanced": drawn(problems, "balanced"),
        "real noise": real_noise(real),
        "large tables": large(read("large_tables")),
        "overview": overview(report),
        "comparisons": comparisons(report),
        **{f"{name} noise": kind(name)(report) for name in KINDS},
        "probabilities": probabilities(report),
        "times": times(report),
    }
    sections = {name: markdown(table, digits) for name, table in tables.items()}
    for name, text in sections.items():
        print(f"\n{name}\n\n{text}")
    print(f"\nREADME: {for_readme(unseen, both[both['noise'] == 'none'])}")
    if arguments.write:
        write(sections)
        draw_ranks(report)
        draw_curves(unseen)


if __name__ == "__main__":
    main()
