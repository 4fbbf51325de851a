"""Nothing is downloaded or sent, and no pickle is loaded, unless the user does so."""

import subprocess
import sys
import textwrap


def test_no_connection_is_opened_and_no_pickle_is_loaded():
    code = """
        import sys

        FORBIDDEN = ("socket.", "pickle.find_class", "urllib.", "http.", "ftplib.", "os.system")
        SEEN = []

        def reject(event, arguments):
            if event.startswith(FORBIDDEN):
                SEEN.append(event)
                raise PermissionError(event)

        sys.addaudithook(reject)

        import numpy as np
        from sklearn.naive_bayes import GaussianNB

        import robustlabels as rl
        from robustlabels.metrics import label_quality

        X = np.random.RandomState(0).normal(size=(60, 2))
        y = np.where(X[:, 0] > 0, "yes", "no")
        quick = rl.LabelRefiner(teacher=GaussianNB())  # the ensemble grows the trees
        for estimator in (
            quick,
            rl.RobustClassifier(max_epochs=1, transition_matrix=None, random_state=0),
            rl.RobustEnsembleClassifier(max_epochs=1, random_state=0),
            rl.RefinedClassifier(GaussianNB(), quick),
            rl.UnhingedClassifier(),
            rl.NoiseInjectedClassifier(GaussianNB(), rl.LabelNoiseInjector(random_state=0)),
        ):
            estimator.fit(X, y)
            if hasattr(estimator, "predict"):
                estimator.predict(X)
        rl.find_wrong_labels(X, y, refiner=quick)
        label_quality(GaussianNB(), X, y)
        print(SEEN)
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "[]"
