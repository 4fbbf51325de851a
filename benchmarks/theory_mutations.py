"""Random one-place changes of the theory functions: the tests of the losses have to notice each.

Comparisons are turned round, signs changed, constants multiplied by 1.1 and the first row of a loop
left out, at places drawn by a seed. Prints the changes that no test notices; a survivor is either
equivalent or a gap in the tests.

    nice python benchmarks/theory_mutations.py --number 100 --seed 0
"""

import argparse
import ast
import copy
import random
import tempfile
from pathlib import Path

from mutations import ROOT, copy_package, run_tests

THEORY = ROOT / "robustlabels" / "losses" / "theory"
TESTS = ["asymmetry", "symmetry", "calibrated", "derivatives", "properties", "check"]
TURNED = {ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq}
SIGNS = {ast.Add: ast.Sub, ast.Sub: ast.Add}


def change(node):
    """Change a node in place and say how; None if there is no such change of it."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in TURNED:
        node.ops[0] = TURNED[type(node.ops[0])]()
        return "comparison"
    if isinstance(node, ast.BinOp) and type(node.op) in SIGNS:
        node.op = SIGNS[type(node.op)]()
        return "sign"
    if isinstance(node, ast.Constant) and isinstance(node.value, float) and node.value:
        node.value *= 1.1
        return "constant"
    if isinstance(node, ast.For) and not node.orelse:
        node.iter = ast.Subscript(
            ast.Call(ast.Name("list", ast.Load()), [node.iter], []),
            ast.Slice(ast.Constant(1)),
            ast.Load(),
        )
        return "row left out"
    return None


def all_changes():
    """Return (path, number of the node, kind, line) for each possible change."""
    found = []
    for path in sorted(THEORY.glob("_*.py")):
        tree = ast.parse(path.read_text())
        for i, node in enumerate(ast.walk(tree)):
            kind = change(copy.deepcopy(node))
            if kind:
                found.append((path, i, kind, node.lineno))
    return found


def survives(path, number):
    tree = ast.parse(path.read_text())
    change(list(ast.walk(tree))[number])
    with tempfile.TemporaryDirectory() as folder:
        copy_package(Path(folder))
        changed = Path(folder) / path.relative_to(ROOT)
        changed.write_text(ast.unparse(ast.fix_missing_locations(tree)))
        tests = [f"tests/test_loss_{name}.py" for name in TESTS]
        return run_tests(Path(folder), tests)[0] == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=100, help="changes to draw")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    possible = all_changes()
    drawn = random.Random(arguments.seed).sample(possible, min(arguments.number, len(possible)))
    n_survived = 0
    for path, number, kind, line in drawn:
        if survives(path, number):
            n_survived += 1
            print(f"SURVIVED {path.name}:{line} {kind}", flush=True)
    print(f"{n_survived} of {len(drawn)} changes are not noticed; {len(possible)} are possible")


if __name__ == "__main__":
    main()
