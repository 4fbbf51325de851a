"""RobustEnsembleClassifier: its learners, and predictions for rows they have not learned."""
