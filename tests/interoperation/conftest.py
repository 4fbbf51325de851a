"""Settings of the tests of heavy neighbours."""

import warnings

# It warns when it is imported, which would be an error in a test module.
with warnings.catch_warnings(action="ignore"):
    import shap  # noqa: F401
