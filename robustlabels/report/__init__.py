"""The report of an audit: one page that a person checks labels with."""

from ._report import LabelReport

__all__ = ["LabelReport"]
