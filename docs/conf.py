"""Settings of the site; CONTRIBUTING.md has the command that builds it."""

import json
import os
import re
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sklearn.datasets import load_iris
from sphinx_gallery.sorting import ExplicitOrder

import robustlabels

project = "robustlabels"
author = "The robustlabels developers"
project_copyright = author
release = version = robustlabels.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates", "_static"]
templates_path = ["_templates"]

# Every reference to a name of this package leads somewhere. Those to other packages are not looked
# up, so that the build needs no network.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(sklearn|skorch|torch)\..*")]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# A page of a class shows what the class itself defines and documents. What it inherits from
# scikit-learn or torch is documented there.
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "none"  # the docstrings say more
maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
smartquotes = False  # they would change the quotes of values
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "subsection_order": ExplicitOrder(
        [
            f"../examples/{folder}"
            for folder in ("start_here", "wrong_labels", "your_models", "scores", "theory")
        ]
    ),
    "within_subsection_order": ExplicitOrder(
        [
            *("plot_quickstart.py", "plot_ensemble.py", "plot_mixed_table.py"),
            *("plot_how_many_labels_are_wrong.py", "plot_find_wrong_labels.py"),
            *("plot_refined_boosting.py", "plot_custom_module.py"),
            *("plot_clean_scores.py", "plot_calibration.py"),
            "plot_losses.py",
            "*",
        ]
    ),
    "doc_module": ("robustlabels",),
    "reference_url": {"robustlabels": None},
    "backreferences_dir": "api/examples",
    "write_computation_times": False,
    "show_memory": False,
    "min_reported_time": 10**9,  # times differ from build to build
    "show_signature": False,
}

# Only what is shown without its prompt is copied with it.
copybutton_prompt_text = ">>> |\\.\\.\\. "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
# Pages with nothing to list beside them.
html_sidebars = {
    page: []
    for page in (
        *("index", "guide", "losses", "noise_and_scores", "add_a_loss", "references"),
        *("contributing", "changelog"),
    )
}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "images/favicon.svg"
html_context = {"default_mode": "auto"}
html_title = f"{project} {release}"
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 5,
    "navbar_persistent": ["search-button"],
    "navbar_end": ["theme-switcher"],
    "navigation_with_keys": False,
    "show_prev_next": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}
# The workflow that publishes the site says where the repository and the site are.
if repository := os.environ.get("GITHUB_REPOSITORY"):
    user, name = repository.split("/")
    html_context |= {
        "github_user": user,
        "github_repo": name,
        "github_version": "main",
        "doc_path": "docs",
    }
    html_theme_options |= {
        "use_edit_page_button": True,
        "github_url": f"https://github.com/{repository}",
    }
if site_url := os.environ.get("SITE_URL"):
    html_baseurl = site_url
    versions = [{"name": version, "version": version, "url": site_url}]  # a line for each release
    (Path(__file__).parent / "_static" / "switcher.json").write_text(json.dumps(versions))
    html_theme_options |= {
        "navbar_start": ["navbar-logo", "version-switcher"],
        "switcher": {"json_url": f"{site_url}/_static/switcher.json", "version_match": version},
        "check_switcher": False,
    }
html_math_renderer = "mathml"


def write_formula(translator, node):
    """Write a formula as MathML, which browsers show without a script from elsewhere."""
    block = isinstance(node, nodes.math_block)
    translator.body.append(str(tex2mathml(node.astext(), as_block=block)))
    raise nodes.SkipNode


def lead_to_gallery(app, docname, source):
    """Let links to an example's file, which readers of the repository follow, lead to its page."""
    link = r"\]\((?:\.\./)?examples/([\w/]+)\.py\)"
    source[0] = re.sub(link, r"](auto_examples/\1.rst)", source[0])


def lead_to_gallery_from_readme(app, relative_path, parent, source):
    """Do so in the README, parts of which the pages include."""
    lead_to_gallery(app, parent, source)


def write_live_report(app):
    """Write the page of an audit that `live_report` shows."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    names = y.map({0: "setosa", 1: "versicolor", 2: "virginica"})
    noisy = robustlabels.corrupt_labels(names, "symmetric", 0.15, exact=True, random_state=0)
    report = robustlabels.LabelReport(X, noisy, title="Iris", random_state=0)
    report.write_html(Path(app.srcdir) / "_static" / "audit.html")


def setup(app):
    app.connect("builder-inited", write_live_report)
    app.connect("include-read", lead_to_gallery_from_readme)
    app.add_html_math_renderer("mathml", (write_formula, None), (write_formula, None))
    app.connect("source-read", lead_to_gallery)
