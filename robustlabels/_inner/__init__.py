"""How estimators inside others are fitted: weights of rows, copies of rows, folds."""
