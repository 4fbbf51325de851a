"""What comes in: labels, answers, features, matrices; and others' private names."""
