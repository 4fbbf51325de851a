"""Checked inputs: labels, answers, features, matrices. And private names of other packages."""
