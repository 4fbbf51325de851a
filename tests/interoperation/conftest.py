"""Settings of the tests of tools that are heavy to install."""

import warnings

# shap warns when it is imported, which would be an error in a test module.
with warnings.catch_warnings(action="ignore"):
    import shap  # noqa: F401
