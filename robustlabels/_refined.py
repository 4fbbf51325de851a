"""RefinedClassifier: to be written."""
