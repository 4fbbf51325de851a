"""What the displays share: optional imports, axes, and colours that all readers can distinguish."""

#: Okabe and Ito's colours, which colour-blind readers can distinguish.
COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"]


def import_pandas(who):
    """Import pandas, or raise an error that says how to install it."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(f"{who} needs pandas: pip install pandas.") from error
    return pd


def make_axes(ax, who, *args, **settings):
    """Return `ax`, or new axes from the arguments of ``plt.subplots`` if it is None."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(f'{who} needs matplotlib: pip install "robustlabels[plot]".') from error
    return plt.subplots(*args, layout="constrained", **settings)[1] if ax is None else ax


def style_axes(ax):
    """Remove the upper and the right spine, and draw a light grid."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.3)
