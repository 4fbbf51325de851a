"""Odd tables, labels, weights and parameters end with a valid result or a helpful error."""

import importlib.util
from pathlib import Path

from hypothesis import HealthCheck, given, settings

PATH = Path(__file__).parents[1] / "benchmarks" / "fuzz.py"
SPEC = importlib.util.spec_from_file_location("fuzz", PATH)
fuzz = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(fuzz)


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(fuzz.cases())
def test_a_case_ends_with_a_valid_result_or_a_helpful_error(case):
    violations, _ = fuzz.find_violations(case)
    assert violations == []
