"""What the displays share: optional imports, and colours that all readers can tell apart."""

#: Okabe and Ito's colours, told apart also by readers who do not see all colours.
COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"]


def import_pyplot(who):
    """Import matplotlib, or say how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(f'{who} needs matplotlib: pip install "robustlabels[plot]".') from error
    return plt


def import_pandas(who):
    """Import pandas, or say how to install it."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(f"{who} needs pandas: pip install pandas.") from error
    return pd
