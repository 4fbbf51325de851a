"""One-line changes that a hurried edit would make: for each, a test that has to fail.

Each change is made in a copy of the package, and the test that should notice it is run there. The
tests are first run on the unchanged package. The exit status is 1 if a change survives, if the text
to change is not found exactly once, or if a test fails without the change.

    python benchmarks/mutations.py --jobs 2
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: Seconds after which a test is stopped. A change that makes it hang is noticed, too.
PATIENCE = 600

#: (id, file, text that occurs once in it, new text, the cheapest test that fails)
MUTATIONS = [
    (
        "network: sample weights dropped in training",
        "robustlabels/_network/engine.py",
        "weight if (weight != 1).any() else None",
        "None",
        "tests/test_robust.py::test_integer_weights_equal_repetition",
    ),
    (
        "network: members learn only the fold they leave out",
        "robustlabels/_network/calibration.py",
        "learns = folds[:, None] != np",
        "learns = folds[:, None] == np",
        "tests/test_robust.py::test_members_are_calibrated_by_rows_they_have_not_seen[ce-2-3]",
    ),
    (
        "network: member weights dropped",
        "robustlabels/_network/net.py",
        'losses = losses * extras["member_weight"]',
        "pass",
        "tests/test_robust.py::test_members_are_calibrated_by_rows_they_have_not_seen[ce-2-3]",
    ),
    (
        "network: temperature of two losses inverted",
        "robustlabels/_network/calibration.py",
        "return float(1 / weights.sum())",
        "return float(weights.sum())",
        "tests/test_robust.py::test_members_are_calibrated_by_rows_they_have_not_seen[auto-4-1]",
    ),
    (
        "network: priors shift the other way",
        "robustlabels/_network/engine.py",
        "np.log(priors / seen)",
        "np.log(seen / priors)",
        "tests/test_robust.py::test_priors_shift_the_probabilities_by_their_ratio",
    ),
    (
        "network: calibration without sample weights",
        "robustlabels/_network/training.py",
        "sample, training.weight[sample],",
        "sample, np.ones(len(sample)),",
        "tests/test_robust.py::test_weights_equal_repetition_with_a_transition_matrix_too[1]",
    ),
    (
        "network: class frequencies without sample weights",
        "robustlabels/_network/training.py",
        "else weight @ labels",
        "else labels.sum(axis=0)",
        "tests/test_robust.py::test_class_prior_of_refined_labels_counts_weights",
    ),
    (
        "network: pool ignores the weights of the losses",
        "robustlabels/_network/calibration.py",
        "return (weights * mean_log_probabilities(scores, n_losses)).sum(0)",
        "return mean_log_probabilities(scores, n_losses).mean(0)",
        "tests/test_robust.py::test_networks_of_two_losses_are_weighed_by_labels_they_have_not_seen",
    ),
    (
        "network: class weights not in the temperature",
        "robustlabels/_network/training.py",
        "found.label_probabilities[sample] * factors",
        "found.label_probabilities[sample]",
        "tests/test_robust.py::test_class_weights_count_in_the_temperature",
    ),
    (
        "network: warm_start calibrates by rows that were learned",
        "robustlabels/_network/training.py",
        "hold_out = previous is None and (",
        "hold_out = (",
        "tests/test_robust.py::test_going_on_leaves_no_row_to_calibrate_by",
    ),
    (
        "network: adapt judges by rows that were learned",
        "robustlabels/_network/adaptation/learning.py",
        "calibration.folds == member // n_losses",
        "calibration.folds != member // n_losses",
        "tests/test_adaptation.py::test_held_out_rows_judge_by_their_weight",
    ),
    (
        "network: adapt judges without weights",
        "robustlabels/_network/calibration.py",
        "return self.weight * self.label_probabilities.sum(axis=1)",
        "return np.ones(len(self.weight))",
        "tests/test_adaptation.py::test_held_out_rows_judge_by_their_weight",
    ),
    (
        "network: joint members without their own weights",
        "robustlabels/_network/joint.py",
        "one if part is None else part",
        "one",
        "tests/test_joint.py::test_members_and_refined_labels",
    ),
    (
        "network: optimizer state lost in a copy",
        "robustlabels/_network/storage.py",
        "        net.optimizer_.load_state_dict(state)\n",
        "",
        "tests/test_network.py::test_a_restored_net_goes_on_as_the_stored_one",
    ),
    (
        "LOSS1",
        "robustlabels/losses/_asymmetric.py",
        "max(0, self.p - 1)",
        "(self.p - 1)",
        "tests/test_loss_asymmetry.py::test_the_ratio_is_necessary_and_sufficient[3]",
    ),
    (
        "LOSS2",
        "robustlabels/losses/_asymmetric.py",
        "self.a * (lead - rival) >= weights.sum()",
        "self.a * lead >= weights.sum()",
        "tests/test_loss_asymmetry.py::test_amse_needs_the_height_that_theory_says",
    ),
    (
        "LOSS3",
        "robustlabels/losses/_symmetrized.py",
        "return 10.0 if self.q < 0.3 else None",
        "return 10.0 if self.q <= 0.3 else None",
        "tests/test_losses.py::test_value_and_gradient[SGCE()-2]",
    ),
    (
        "LOSS4",
        "robustlabels/losses/_corrected.py",
        "return np.linalg.inv(matrix).T",
        "return np.linalg.inv(matrix)",
        "tests/test_losses.py::test_backward_correction_is_unbiased[CE()-2]",
    ),
    (
        "LOSS5",
        "robustlabels/losses/_whole_distribution.py",
        "(1 - total) / (2 - self.t1)",
        "(1 - total) / (1 + self.t1)",
        "tests/test_losses.py::test_value_and_gradient[BiTempered(t1=0.3, t2=1.5)-2]",
    ),
    (
        "LOSS6",
        "robustlabels/losses/_loss.py",
        "none = torch.iinfo(torch.int64).min",
        "none = -100",
        "tests/test_losses.py::test_labels_that_are_no_class[CE()--100]",
    ),
    (
        "LOSS7",
        "robustlabels/losses/_cross_entropy.py",
        "if self.gamma < 1:",
        "if self.gamma < 0:",
        "tests/test_losses.py::test_finite_at_extreme_logits_in_float32[nfl]",
    ),
    (
        "LOSS8",
        "robustlabels/losses/theory/_derivatives.py",
        "widest = math.inf if score_bound is None else 2 * score_bound\n\n    def curvature",
        "widest = math.inf if score_bound is None else score_bound\n\n    def curvature",
        "tests/test_loss_derivatives.py::test_smoothness_of_sgce",
    ),
    (
        "R1",
        "robustlabels/refinement/_noise_model.py",
        "return np.log(np.maximum(chance, _SETTINGS.smallest_label)) @ self.weight",
        "return np.log(np.maximum(chance, _SETTINGS.smallest_label)).sum(axis=1)",
        "tests/test_noise_model.py::test_a_label_counts_by_its_weight_in_the_posterior",
    ),
    (
        "R4, noise of what predictions were learned from",
        "robustlabels/refinement/_noise_model.py",
        "noise = scale_noise(matrices[part], learned)",
        "noise = matrices[part]",
        "tests/test_noise_model.py::test_trusted_labels_thin_the_noise_of_all_labels",
    ),
    (
        "R11",
        "robustlabels/refinement/_observed_labels.py",
        "        transition = scale_noise(transition, 1 - trusted.mean())\n",
        "",
        "tests/test_noise_model.py::test_trusted_labels_thin_the_noise_of_all_labels",
    ),
    (
        "the rates of a known noise do not count",
        "robustlabels/refinement/_noise_model.py",
        "log_posterior[part, j] += _log_fit_of_number(seen, posterior, p, rates)",
        "pass",
        "tests/test_noise_model.py::test_as_many_labels_are_wrong_as_a_known_noise_says",
    ),
    (
        "sample_weight dropped in the posterior of the noise",
        "robustlabels/refinement/_noise_model.py",
        "weight = np.ones(n_rows) if weight is None else weight\n",
        "weight = np.ones(n_rows)\n",
        "tests/test_noise_model.py::test_a_label_counts_by_its_weight_in_the_posterior",
    ),
    (
        "sample_weight dropped in the posterior of the noise, by its caller",
        "robustlabels/refinement/_refiner.py",
        "fit_noise(given, proba, prior, counted, truth)",
        "fit_noise(given, proba, prior, None, truth)",
        "tests/test_refinement.py::test_labels_count_by_their_weight_in_the_noise",
    ),
    (
        "true classes alone in the likelihood of the noise",
        "robustlabels/refinement/_noise_model.py",
        "chance[:, alone] = p[:, alone, self.truth[alone]]",
        "pass",
        "tests/test_noise_model.py::test_trusted_labels_show_how_hard_samples_are",
    ),
    (
        "true classes beside labels do not count",
        "robustlabels/refinement/_noise_model.py",
        "log_hard[part, j] += seen.log_chance_of_truth(posterior, p)",
        "pass",
        "tests/test_answers.py::test_true_labels_of_some_rows_show_the_noise_of_the_others",
    ),
    (
        "matrices of pairs are left out",
        "robustlabels/refinement/_forms.py",
        "if truth is not None and (truth >= 0).any():",
        "if False:",
        "tests/test_answers.py::test_true_labels_of_some_rows_show_the_noise_of_the_others",
    ),
    (
        "picked rows show how hard others are",
        "robustlabels/refinement/_refiner.py",
        "counted = np.where((given < 0) & ~rows.at_random, 0, counted)",
        "pass",
        "tests/test_answers.py::test_only_rows_drawn_at_random_show_how_hard_the_others_are",
    ),
    (
        "labels of a group count in full",
        "robustlabels/refinement/_refiner.py",
        "share = len(np.unique(rows.groups)) / len(codes)",
        "share = 1",
        "tests/test_refinement.py::test_groups_of_samples_do_not_confirm_each_other",
    ),
    (
        "given groups are not held out together",
        "robustlabels/refinement/_duplicates.py",
        "return copy, join_groups(groups, given)",
        "return copy, groups",
        "tests/test_refinement.py::test_groups_of_samples_do_not_confirm_each_other",
    ),
    (
        "samples that are equal by chance are copies",
        "robustlabels/refinement/_duplicates.py",
        "return (expected > 1)[copy]",
        "return (expected > np.inf)[copy]",
        "tests/test_refinement.py::test_samples_that_are_equal_by_chance_are_not_copies",
    ),
    (
        "later labels: samples of the fit are not found",
        "robustlabels/refinement/_later.py",
        "return np.where(self._keys[place] == keys, self._positions[place], -1)",
        "return np.full(len(keys), -1)",
        "tests/test_refinement.py::test_labels_of_the_fit_are_found_again",
    ),
    (
        "later labels: a change of the noise",
        "robustlabels/refinement/_later.py",
        "_Z = 4.0",
        "_Z = 40.0",
        "tests/test_refinement.py::test_another_noise_of_later_labels_is_noticed",
    ),
    (
        "scores: noise of training that the labels contradict",
        "robustlabels/metrics/_possible_noise.py",
        "return noise.weights @ (p_value < SETTINGS.level) > 0.5",
        "return False",
        "tests/test_clean_scores.py::test_checked_labels_do_not_have_the_noise_of_training",
    ),
    (
        "scores: confident predictions are not looked at",
        "robustlabels/metrics/_possible_noise.py",
        "    if confidence is None:",
        "    if True:",
        "tests/test_clean_scores.py::test_confident_predictions_show_what_all_do_not",
    ),
    (
        "scores: samples of a group count in full",
        "robustlabels/metrics/_clean_scores.py",
        "variance = off @ (together @ off) / n_samples**2",
        "variance = off @ (counts.ravel() * off) / n_samples**2",
        "tests/test_clean_scores.py::test_copies_and_groups_of_rows_count_once",
    ),
    (
        "R6, shares under which labels are crossed",
        "robustlabels/refinement/_forms.py",
        "shares = shares[shares * crossed < 1]",
        "pass",
        "tests/test_noise_model.py::test_forms_have_probabilities",
    ),
    (
        "entries of a counted matrix cost nothing",
        "robustlabels/refinement/_forms.py",
        "of_forms *= np.exp(-label_weight * n_entries)",
        "pass",
        "tests/test_noise_model.py::test_symmetric_noise_is_found_symmetric",
    ),
    (
        "noise on hard samples does not count",
        "robustlabels/refinement/_noise_model.py",
        "(mean[:, None] + doubtful[:, None] * _HARD_SHARES).ravel(),",
        "(mean[:, None] + 0 * _HARD_SHARES).ravel(),",
        "tests/test_noise_model.py::test_labels_of_hard_samples_may_be_wrong_without_a_trace",
    ),
    (
        "R9, groups of more near-duplicates than neighbours",
        "robustlabels/refinement/_settings.py",
        "jump: float = 5.0",
        "jump: float = 1e9",
        "tests/test_refinement.py::test_near_copies_are_one_group",
    ),
    (
        "R13, shrinkage of an annotator's rate",
        "robustlabels/refinement/_annotators.py",
        "share = (wrong + prior_wrong) / (expected + prior_wrong)",
        "share = np.ones(len(counts))",
        "tests/test_answers.py::test_the_rate_of_an_annotator_holds_for_classes_without_answers",
    ),
    (
        "shrinkage of an annotator's rate, prior answers",
        "robustlabels/refinement/_annotators.py",
        "share = (wrong + prior_wrong) / (expected + prior_wrong)",
        "share = (wrong + 1e-12) / (expected + 1e-12)",
        "tests/test_answers.py::test_the_rate_of_an_annotator_holds_for_classes_without_answers",
    ),
    (
        "R15, prior of the common noise",
        "robustlabels/refinement/_annotators.py",
        "counts = counts + _SETTINGS.symmetric_answers * n_classes * prior",
        "counts = counts + _SETTINGS.symmetric_answers * prior",
        "tests/test_answers.py::test_the_common_noise_is_counted_beside_an_answer_per_entry_of_symmetric_noise",
    ),
    (
        "the interval's tail",
        "robustlabels/refinement/_noise_model.py",
        "tail = (1 - level) / 2",
        "tail = 1 - level",
        "tests/test_refinement.py::test_the_interval_is_that_of_the_draws_if_the_noise_is_given",
    ),
    (
        "the root in the start of deconvolution",
        "robustlabels/refinement/_bayes.py",
        "often = np.sqrt(np.bincount(proba.argmax(axis=1), minlength=proba.shape[1]) + 1.0)",
        "often = np.bincount(proba.argmax(axis=1), minlength=proba.shape[1]) + 1.0",
        "tests/test_noise_model.py::test_classes_that_labels_cannot_separate_keep_the_roots_of_their_frequencies",
    ),
    (
        "audit: numbers without what is known of them",
        "robustlabels/audit/_intervals.py",
        "    return min(max(low, known), possible), max(min(high, possible), known)",
        "    return low, high",
        "tests/test_audit.py::test_rows_of_ones_own_bound_the_number_and_nothing_more",
    ),
    (
        "audit: rows put right stay in the population",
        "robustlabels/audit/_population.py",
        "        rest[top] = False\n",
        "",
        "tests/test_audit.py::test_labels_put_right_leave_the_population",
    ),
    (
        "audit: the tail of the exact interval",
        "robustlabels/audit/_intervals.py",
        "    tail = (1 - level) / 2\n    total",
        "    tail = 1 - level\n    total",
        "tests/test_audit.py::test_the_interval_holds_for_every_population",
    ),
    (
        "audit: the limit of the interval that holds at all times",
        "robustlabels/audit/_intervals.py",
        "limit = -np.log1p(-level)",
        "limit = -np.log1p(-level) / 2",
        "tests/test_audit.py::test_numbers_that_hold_at_all_times_are_those_whose_best_split_is_possible",
    ),
    (
        "audit: drawn rows come from all rows, not from those unseen",
        "robustlabels/audit/_population.py",
        "n_unseen = len(rows) - np.searchsorted(np.sort(when[rows]), at)",
        "n_unseen = np.full(len(at), len(rows))",
        "tests/test_audit.py::test_numbers_that_hold_at_all_times_are_those_whose_best_split_is_possible",
    ),
    (
        "audit: a ratio without the bound for rows that were not drawn",
        "robustlabels/audit/_intervals.py",
        "np.append(counts, 1.0)",
        "np.append(counts, 0.0)",
        "tests/test_audit.py::test_scores_hold",
    ),
    (
        "audit: the bootstrap does not shrink with what was drawn",
        "robustlabels/audit/_intervals.py",
        "return size * (center + shrink * (mean - center))",
        "return size * mean",
        "tests/test_audit.py::test_checked_rows_give_the_scores_of_scikit_learn",
    ),
    (
        "L2",
        "robustlabels/_ensemble/built_in.py",
        "self._trees.fit(X, targets, weight)",
        "self._trees.fit(X, targets)",
        "tests/test_ensemble.py::test_each_learner_heeds_the_weights_of_samples[boosting]",
    ),
    (
        "E2",
        "robustlabels/_ensemble/ensemble.py",
        "weight = weight * (self._factors[observed.codes] > 0)",
        "weight = weight * 1.0",
        "tests/test_ensemble.py::test_samples_of_classes_without_weight_do_not_judge",
    ),
    (
        "L5",
        "robustlabels/_ensemble/built_in.py",
        "rate = s.learning_rate * min(2, s.boosting_steps / most)",
        "rate = s.learning_rate",
        "tests/test_ensemble.py::test_boosting_of_many_classes_makes_fewer_and_longer_steps[10-50-0.2]",
    ),
    (
        "L1",
        "robustlabels/_ensemble/networks.py",
        "most = max(s.fewest_epochs, min(s.epochs, s.steps // n_batches))",
        "most = min(s.epochs, s.steps // n_batches)",
        "tests/test_ensemble.py::test_networks_pass_twice_over_the_largest_tables",
    ),
    (
        "L4",
        "robustlabels/_ensemble/cross_fitting.py",
        "return proba[None] / len(self._models)",
        "return proba[None] / 4",
        "tests/test_ensemble.py::test_a_fold_without_a_second_class_has_no_model",
    ),
    (
        "P3",
        "robustlabels/refinement/_pooling.py",
        "change = weight[:, None] * (posterior - p)",
        "change = posterior - p",
        "tests/test_ensemble.py::test_a_weighted_sample_counts_as_many_copies_in_the_pool",
    ),
    (
        "R10",
        "robustlabels/refinement/_crossing.py",
        "weight[learn]",
        "np.ones(len(learn))",
        "tests/test_ensemble.py::test_soft_labels_heed_the_weights_of_samples",
    ),
    (
        "D1, boosting",
        "robustlabels/_ensemble/learners.py",
        "weight = None if np.ptp(self.weight) == 0 else self.weight[rows]",
        "weight = None",
        "tests/test_ensemble.py::test_each_learner_heeds_the_weights_of_samples[boosting]",
    ),
    (
        "D1, trees",
        "robustlabels/_ensemble/built_in.py",
        "self._forest.fit(X, targets, weight)",
        "self._forest.fit(X, targets, np.ones(len(X)))",
        "tests/test_ensemble.py::test_each_learner_heeds_the_weights_of_samples[trees]",
    ),
    (
        "D1, linear",
        "robustlabels/_ensemble/built_in.py",
        "labels, weight[rows] * shares)",
        "labels, shares)",
        "tests/test_ensemble.py::test_each_learner_heeds_the_weights_of_samples[linear]",
    ),
    (
        "D1, own classifier",
        "robustlabels/_ensemble/estimators.py",
        "(weight[rows] * shares)[kept]",
        "shares[kept]",
        "tests/test_ensemble.py::test_each_learner_heeds_the_weights_of_samples[LogisticRegression]",
    ),
    (
        "D1, own classifier without weights",
        "robustlabels/_ensemble/estimators.py",
        "_draw_rows(weight, rng)",
        "np.arange(n_rows)",
        "tests/test_ensemble.py::test_each_learner_heeds_the_weights_of_samples[KNeighborsRegressor]",
    ),
    (
        "learning from the held-out fold, given labels",
        "robustlabels/_ensemble/learners.py",
        "rows = np.flatnonzero(self.folds != fold)",
        "rows = np.arange(len(self.folds))",
        "tests/test_ensemble.py::test_a_learner_keeps_its_contract[boosting]",
    ),
    (
        "learning from the held-out fold, soft labels",
        "robustlabels/_ensemble/learners.py",
        "(self.folds != fold) & (weight > 0)",
        "weight > 0",
        "tests/test_ensemble.py::test_a_learner_keeps_its_contract[linear]",
    ),
    (
        "Q3",
        "robustlabels/metrics/_prediction_sets.py",
        "isotonic_regression(contained, y_min=0, y_max=1)",
        "np.clip(contained, 0, 1)",
        "tests/test_prediction_sets.py::test_threshold_is_the_first_with_enough_coverage_made_monotone",
    ),
    (
        "T1",
        "robustlabels/metrics/_corrected_scores.py",
        "np.sqrt(n / (n - 1) * (terms @ terms))",
        "np.sqrt(terms @ terms)",
        "tests/test_metrics.py::test_standard_errors_by_hand",
    ),
    (
        "C4",
        "robustlabels/metrics/_clean_scores.py",
        "inverse @ change / max(present.sum(), 1)",
        "inverse @ change / n_classes",
        "tests/test_clean_scores.py::test_a_class_that_does_not_occur_changes_no_other_score",
    ),
    (
        "D2, error of recalls: matrix",
        "robustlabels/metrics/_clean_scores.py",
        "error(of_class, -np.outer(clean @ change[k], inverse[:, k]))",
        "error(of_class, np.zeros_like(of_class))",
        "tests/test_clean_scores.py::test_standard_errors_are_those_of_the_delta_method",
    ),
    (
        "D2, error of recalls: predictions",
        "robustlabels/metrics/_clean_scores.py",
        "of_class = np.outer(inverse[:, k], change[k])",
        "of_class = np.outer(inverse[:, k], np.eye(n_classes)[k] / prior[k])",
        "tests/test_clean_scores.py::test_standard_errors_are_those_of_the_delta_method",
    ),
    (
        "error of the mean recall",
        "robustlabels/metrics/_clean_scores.py",
        "error(of_mean, -clean @ of_mean.T)",
        "error(of_mean, -clean @ inverse.T)",
        "tests/test_clean_scores.py::test_standard_errors_are_those_of_the_delta_method",
    ),
    (
        "error of the noise rate",
        "robustlabels/metrics/_clean_scores.py",
        "-clean @ by_label.T - np.diag(prior)",
        "-clean @ by_label.T",
        "tests/test_clean_scores.py::test_standard_errors_are_those_of_the_delta_method",
    ),
    (
        "N1",
        "robustlabels/noise/_corruption.py",
        "scale_to_mean(chance + 0.01, noise_rate)",
        "scale_to_mean(chance, noise_rate)",
        "tests/test_noise.py::test_certain_samples_flip_too_but_least",
    ),
    (
        "N2",
        "robustlabels/noise/_corruption.py",
        ".fit_transform(X) / np.sqrt(X.shape[1])",
        ".fit_transform(X)",
        "tests/test_noise.py::test_instance_noise_depends_on_few_features_as_much_as_on_many",
    ),
    (
        "N3",
        "robustlabels/noise/_sampling.py",
        "points = np.floor(edges - rng.uniform())",
        "points = np.floor(edges - 0.5)",
        "tests/test_noise.py::test_exact_counts_are_rounded_without_a_bias",
    ),
    (
        "N4",
        "robustlabels/noise/_corruption.py",
        "    for code in range(n_classes):\n        weights = rng.standard_normal((X.shape[1], n_classes))\n",  # noqa: E501
        "    weights = rng.standard_normal((X.shape[1], n_classes))\n    for code in range(n_classes):\n",  # noqa: E501
        "tests/test_noise.py::test_instance_noise_differs_between_classes_at_the_same_features",
    ),
    (
        "linear: no prior of the temperature",
        "robustlabels/_linear/temperature.py",
        " + precision * (log_inverse - centre)",
        "",
        "tests/test_unhinged.py::test_temperature_is_the_most_probable_one[given]",
    ),
    (
        "linear: leave-one-out divides by the weight of all",
        "robustlabels/_linear/leave_one_out.py",
        "form.divide(left / rest,",
        "form.divide(left,",
        "tests/test_unhinged.py::test_leave_one_out_equals_refits[2-given-none-prior-covariance]",
    ),
    (
        "linear: weights do not reach the estimate of the noise",
        "robustlabels/_linear/noise.py",
        "refiner.fit(*samples)",
        "refiner.fit(*samples[:2])",
        "tests/test_unhinged.py::test_the_noise_is_that_of_a_refiner[weighted]",
    ),
    (
        "linear: sign in the merged second moment",
        "robustlabels/_linear/statistics.py",
        "+ mine * share * np.outer(step, step)",
        "- mine * share * np.outer(step, step)",
        "tests/test_class_statistics.py::test_statistics_merged_in_any_order_are_those_of_one_pass",
    ),
    (
        "linear: samples of Dask blocks lose their weights",
        "robustlabels/_linear/dask_statistics.py",
        "None if weight is None else weight[some])",
        "None)",
        "tests/test_dask_statistics.py::test_few_rows_all_set_the_temperature_by_their_weights[None]",
    ),
    (
        "S2",
        "robustlabels/_search.py",
        "refiner.fit(flat, y, weight)",
        "refiner.fit(flat, y)",
        "tests/test_search.py::test_samples_without_weight_do_not_change_the_noise_of_the_scores",
    ),
    (
        "S3",
        "robustlabels/_search.py",
        "labels=classes, sample_weight=sample_weight",
        "labels=classes",
        "tests/test_search.py::test_scores_are_the_log_likelihood_under_a_given_noise",
    ),
]


def copy_package(folder):
    """Copy what a change or a test may touch to a folder, and link the rest of the repository."""
    for path in ROOT.iterdir():
        if path.name in ("robustlabels", "tests"):
            shutil.copytree(path, folder / path.name)
        elif not path.name.startswith("."):
            (folder / path.name).symlink_to(path)


def run_tests(folder, tests):
    """Run tests on the package in a folder; return the exit status of pytest and its output."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-x", "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    try:
        ran = subprocess.run(
            [*command, *tests], cwd=folder, env=environment, capture_output=True, text=True,
            timeout=PATIENCE,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 1, f"stopped after {PATIENCE} seconds"
    return ran.returncode, ran.stdout + ran.stderr


def try_mutation(mutation):
    """Make a change and run its test; return "killed", or what is wrong."""
    _, file, old, new, test = mutation
    source = (ROOT / file).read_text()
    if source.count(old) != 1:
        return f"INVALID: the text occurs {source.count(old)} times"
    with tempfile.TemporaryDirectory() as folder:
        copy_package(Path(folder))
        (Path(folder) / file).write_text(source.replace(old, new))
        status, output = run_tests(Path(folder), [test])
    if status > 1:  # pytest itself has failed, or found no such test
        return f"INVALID: pytest ended with status {status}\n{output}"
    return "killed" if status else "SURVIVED"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="ID", help="make these changes alone")
    parser.add_argument("--jobs", type=int, default=1, help="changes tried at the same time")
    arguments = parser.parse_args()
    known = {mutation[0] for mutation in MUTATIONS}
    if unknown := set(arguments.only or ()) - known:
        parser.error(f"unknown: {', '.join(sorted(unknown))}. Known: {', '.join(sorted(known))}")
    mutations = [m for m in MUTATIONS if not arguments.only or m[0] in arguments.only]
    with tempfile.TemporaryDirectory() as folder:
        copy_package(Path(folder))
        status, output = run_tests(Path(folder), sorted({m[-1] for m in mutations}))
    if status:
        sys.exit(f"A test fails, or is missing, without any change:\n{output}")
    survived = 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        results = pool.map(try_mutation, mutations)
        for (name, file, *_, test), result in zip(mutations, results, strict=True):
            print(f"{name:6} {file}  {test}  {result}", flush=True)
            survived += result != "killed"
    print(f"{len(mutations) - survived} of {len(mutations)} changes are noticed")
    sys.exit(survived > 0)


if __name__ == "__main__":
    main()
