"""The page of an audit in a browser. It needs Chromium and its driver, and the extra `browser`."""

import re
import shutil
import time

import numpy as np
import pandas as pd
import pytest
from axe_selenium_python import Axe
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from robustlabels import LabelAudit, LabelReport, corrupt_labels
from robustlabels._command import main

CLASSES = np.array(["<script>flu</script>", 'cold, "mild"', "covid"])
N_ROWS = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("desk")
    rng = np.random.RandomState(0)
    truth = np.arange(N_ROWS) % 3
    table = pd.DataFrame({
        "id": np.arange(N_ROWS) * 7,
        "temperature": truth + rng.randn(N_ROWS) / 3,
        "a name that is long_without_any_space_in_it_" * 2: rng.choice(["a", "b"], N_ROWS),
        "notes": [f"<img src=x onerror=alert({i})> room {t}" for i, t in enumerate(truth)],
        "diagnosis": corrupt_labels(CLASSES[truth], "symmetric", 0.2, exact=True, random_state=0),
    })  # fmt: skip
    table.to_csv(folder / "labels.csv", index=False)
    assert main(["audit", str(folder / "labels.csv"), "--label", "diagnosis", "--quiet"]) == 0
    return folder


@pytest.fixture
def browser(tmp_path):
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(shutil.which("chromedriver")))
    resize(driver, 1280)
    yield driver
    errors = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    driver.quit()
    assert errors == []


def resize(browser, width, scheme="light"):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def press(browser, *keys):
    for key in keys:
        browser.switch_to.active_element.send_keys(key)


def text_of(browser, name):
    return browser.find_element(By.ID, name).text


def true_class(line):
    return CLASSES[(line - 2) % 3]


def answer(browser, n):
    """Choose the true class of the next rows by its key."""
    lines = []
    for _ in range(n):
        line = int(re.match(r"Line (\d+)", text_of(browser, "row-title"))[1])
        buttons = browser.find_elements(By.CSS_SELECTOR, "#classes button")
        names = [button.text.split(" ", 1)[1] for button in buttons]
        press(browser, str(1 + names.index(true_class(line))))
        lines.append(line)
    return lines


def download(browser, folder):
    before = {*folder.glob("decisions*.csv")}
    browser.find_element(By.ID, "download").click()
    for _ in range(100):
        if new := {*folder.glob("decisions*.csv")} - before:
            return new.pop()
        time.sleep(0.05)
    raise AssertionError("nothing was downloaded")


def interval_of(browser):
    element = browser.find_element(By.ID, "interval")
    return int(element.get_attribute("data-low")), int(element.get_attribute("data-high"))


def read_audit(folder):
    table = pd.read_csv(folder / "labels.csv")
    return LabelAudit.load(
        folder / "labels.audit.json", table.drop(columns="diagnosis"), table["diagnosis"]
    )


def test_thirty_labels_by_keyboard_and_back_into_the_table(folder, browser, tmp_path):
    browser.get((folder / "labels.audit.html").as_uri())
    suggestion = browser.find_element(By.ID, "suggestion")
    assert not suggestion.is_displayed()  # blind
    press(browser, "?")
    assert suggestion.is_displayed()
    lines = answer(browser, 24)
    assert not suggestion.is_displayed()
    assert "The suggestion was" in text_of(browser, "said")
    press(browser, "0", Keys.ARROW_LEFT)
    assert "answered before" in text_of(browser, "row-title")
    lines += answer(browser, 1)
    browser.find_element(By.CSS_SELECTOR, "input[value=worst]").click()
    worst = answer(browser, 5)
    assert "30 of 300 rows" in text_of(browser, "progress")

    interval = interval_of(browser)
    path = download(browser, tmp_path)
    audit = read_audit(folder).read_decisions(path)
    assert audit.n_wrong_interval_ == interval
    assert audit.drawn_.sum() >= 25
    assert audit.checked_.sum() == 30

    browser.refresh()
    assert interval_of(browser) == interval
    assert "30 of 300 rows" in text_of(browser, "progress")

    # The command reads them, and the table has them.
    command = ["audit", str(folder / "labels.csv"), "--label", "diagnosis", "--quiet"]
    mended, page = tmp_path / "mended.csv", tmp_path / "page.html"
    (tmp_path / "page.json").write_bytes((folder / "labels.audit.json").read_bytes())
    options = ["--checked", str(path), "--output", str(mended), "--page", str(page)]
    assert main([*command, *options]) == 0
    before, after = (pd.read_csv(p)["diagnosis"] for p in (folder / "labels.csv", mended))
    checked = np.array(lines + worst)
    assert (after[checked - 2] == CLASSES[(checked - 2) % 3]).all()
    assert (after != before).sum() == (before[checked - 2] != after[checked - 2]).sum() >= 5

    # Its new page knows them, and a decision that came later is kept.
    browser.get(page.as_uri())
    assert interval_of(browser) == interval
    answer(browser, 1)
    browser.refresh()
    path = download(browser, tmp_path)
    assert audit.read_decisions(path).n_wrong_interval_ == interval_of(browser)
    assert audit.checked_.sum() == 31


def test_page_opened_twice_loses_nothing(folder, browser):
    browser.get((folder / "labels.audit.html").as_uri())
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    browser.get((folder / "labels.audit.html").as_uri())
    second = browser.current_window_handle
    answer(browser, 3)
    browser.switch_to.window(first)
    answer(browser, 2)
    browser.switch_to.window(second)
    browser.refresh()
    assert "5 of 300 rows" in text_of(browser, "progress")


def test_storage_that_is_refused_is_told(folder, browser):
    script = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no'); }});"
    browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    browser.get((folder / "labels.audit.html").as_uri())
    assert "does not keep decisions" in text_of(browser, "storage")
    answer(browser, 2)
    assert "2 of 300 rows" in text_of(browser, "progress")


def test_decisions_can_be_read_into_the_page(folder, browser, tmp_path):
    browser.get((folder / "labels.audit.html").as_uri())
    answer(browser, 4)
    interval, path = interval_of(browser), download(browser, tmp_path)
    browser.execute_script("localStorage.clear()")
    browser.refresh()
    assert "0 of 300 rows" in text_of(browser, "progress")
    upload = browser.find_element(By.ID, "upload")
    upload.send_keys(str(path))
    for _ in range(100):
        if "4 decisions were read" in text_of(browser, "said"):
            break
        time.sleep(0.05)
    assert interval_of(browser) == interval
    other = tmp_path / "other.csv"
    other.write_text("# robustlabels audit 123\nrow,label,status,origin,time\n")
    upload.send_keys(str(other))
    time.sleep(0.3)
    assert "another table" in text_of(browser, "said")


def test_many_classes_are_chosen_by_typing(tmp_path, browser):
    rng = np.random.RandomState(0)
    names = np.array([f"{letter}-class" for letter in "abcdefghijklmnop"])
    truth = np.arange(320) % 16
    X, y = pd.DataFrame({"x": truth + rng.randn(320)}), names[truth]
    proba = np.eye(16)[truth] * 0.5 + 0.5 / 16
    audit = LabelAudit(anytime=True, random_state=0).fit(X, y, label_probabilities=proba)
    LabelReport(X, y, audit=audit).write_html(tmp_path / "page.html")
    browser.get((tmp_path / "page.html").as_uri())
    assert len(browser.find_elements(By.CSS_SELECTOR, "#classes button")) == 9
    press(browser, "p")
    assert "Enter chooses p-class" in text_of(browser, "matches")
    press(browser, Keys.ENTER)
    assert "p-class" in text_of(browser, "said")
    audit.read_decisions(download(browser, tmp_path))
    assert audit.true_labels_[audit.checked_].tolist() == ["p-class"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_page_is_readable(width, scheme, folder, browser):
    resize(browser, width, scheme)
    browser.get((folder / "labels.audit.html").as_uri())
    answer(browser, 1)
    press(browser, "?")
    size = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    wide, room = browser.execute_script(size)
    assert wide <= room <= width
    axe = Axe(browser)
    axe.inject()
    assert [(fault["id"], fault["nodes"]) for fault in axe.run()["violations"]] == []


def test_all_is_reached_by_tab(folder, browser):
    browser.get((folder / "labels.audit.html").as_uri())
    reached = set()
    for _ in range(40):
        press(browser, Keys.TAB)
        active = browser.switch_to.active_element
        reached.add(active.get_attribute("id") or active.get_attribute("class"))
        if active.get_attribute("id") == "upload":
            break
    assert reached >= {"skip", "unclear", "back", "suggest", "download", "upload"}
