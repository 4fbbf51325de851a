"""Checked labels: which to check, and what they prove of all labels."""

from ._audit import LabelAudit

__all__ = ["LabelAudit"]
