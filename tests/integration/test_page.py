"""The report of a real build, in a real browser: on a phone, on a screen, and on paper."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from toypython import ROOT

from contain_python.artifacts import describe

#: Width and height of the window, in CSS pixels.
PHONE, SCREEN = (390, 844), (1280, 900)


@pytest.fixture(scope="module")
def speeds(tmp_path_factory: pytest.TempPathFactory, runtime: Path) -> Path:
    """Measure the runtime flavour beside the machine's own Python, start-up alone."""
    folder = tmp_path_factory.mktemp("bench")
    words = [f"--subject=ours={runtime}/bin/python3", f"--against=own={sys.executable}"]
    words += ["--programs=nbody", "--imports=json", "--rounds=2", f"--output={folder}"]
    run_invoke("bench", *words)
    return folder / "bench.json"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, dist: Path, speeds: Path) -> Path:
    """Write the report of the runtime flavour, compared with the builder's."""
    (artifact,) = dist.glob("*-runtime.tar.zst")
    (previous,) = dist.glob("*-builder.json")
    target = tmp_path_factory.mktemp("report") / "report.html"
    words = [f"--bench={speeds}", f"--previous={previous}", f"--output={target}"]
    run_invoke("report", str(artifact), *words, "--workspace=build/tests")
    return target


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    """Run a headless Chromium that may reach nothing."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for word in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path_factory.mktemp('browser')}",
    ):
        options.add_argument(word)
    service = webdriver.ChromeService("/usr/bin/chromedriver")
    with webdriver.Chrome(options=options, service=service) as driver:
        yield driver


def run_invoke(*words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "invoke", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def opened(browser: WebDriver, report: Path, size: tuple[int, int]) -> WebDriver:
    # The window cannot be narrower than a browser's own frame: the device is what is emulated.
    width, height = size
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE},
    )
    browser.get(report.as_uri())
    return browser


@pytest.mark.parametrize("size", [PHONE, SCREEN])
def test_nothing_is_wider_than_the_window(
    browser: WebDriver, report: Path, size: tuple[int, int]
) -> None:
    """The page never scrolls sideways, and nothing on it is cut off but what scrolls by itself."""
    page = opened(browser, report, size)
    assert page.execute_script("return window.innerWidth") == size[0]
    assert page.execute_script("return document.scrollingElement.scrollWidth") <= size[0]
    for box in page.find_elements(By.CSS_SELECTOR, ".tile, .map, .row, h1, h2"):
        assert box.rect["x"] >= 0
        assert box.rect["x"] + box.rect["width"] <= size[0]


def test_the_page_needs_nothing_else(browser: WebDriver, report: Path) -> None:
    """It loads nothing: no script, no font, no picture, no address."""
    page = opened(browser, report, SCREEN)
    assert page.execute_script("return performance.getEntriesByType('resource').length") == 0
    text = report.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "src=" not in text


def test_everything_is_told(browser: WebDriver, report: Path, dist: Path) -> None:
    """Sizes, checks, speeds, ELF files, packages and the difference are there, and right."""
    page = opened(browser, report, SCREEN)
    (manifest,) = dist.glob("*-runtime.json")
    artifact = describe(manifest)
    text = page.find_element(By.TAG_NAME, "body").text
    for title in (
        "How long the stages took",
        "What takes the room",
        "Checks",
        "Speed",
        "ELF files",
        "What is in it",
        "Since ",
    ):
        assert title in text, title
    assert artifact.data["tarball"]["sha256"] in text
    assert "FAILED" not in text
    for row in artifact.data["runtime_packages"]:
        assert row["name"] in text
    assert "import json" in text
    assert "nbody" in text
    assert "byte-compile" in text
    assert page.find_elements(By.CSS_SELECTOR, 'td[title^="lib/python3.13/lib-dynload/_ssl."]')


def test_boxes_have_the_area_of_what_they_show(
    browser: WebDriver, report: Path, dist: Path
) -> None:
    """Seen in the browser, the interpreter takes as much of the treemap as of the bytes."""
    page = opened(browser, report, SCREEN)
    (manifest,) = dist.glob("*-runtime.json")
    artifact = describe(manifest)
    size = sum(file.size for file in artifact.files if file.component == "interpreter")
    frame = page.find_element(By.CSS_SELECTOR, ".map").rect
    box = page.find_element(By.CSS_SELECTOR, '.map > div[title^="interpreter"]').rect
    share = box["width"] * box["height"] / (frame["width"] * frame["height"])
    assert share == pytest.approx(size / artifact.unpacked, rel=0.05)


def test_dots_stand_where_the_ratios_are(browser: WebDriver, report: Path, speeds: Path) -> None:
    """A dot is right of the line at 1.0 exactly if ours is faster."""
    page = opened(browser, report, SCREEN)
    data = json.loads(speeds.read_text(encoding="utf-8"))
    line = page.find_element(By.CSS_SELECTOR, ".track s.one").rect["x"]
    for row in data["rows"]:
        (found,) = [
            each
            for each in page.find_elements(By.CSS_SELECTOR, ".dots .row:not(.mean)")
            if each.find_elements(By.CSS_SELECTOR, ".track")
            and each.find_element(By.TAG_NAME, "span").text == row["name"]
        ]
        dot = found.find_element(By.CSS_SELECTOR, ".track b").rect
        ratio = row["ratios"]["ours"]["value"]
        assert (dot["x"] + dot["width"] / 2 > line) == (ratio > 1), row["name"]


def test_it_can_be_printed(browser: WebDriver, report: Path, tmp_path: Path) -> None:
    """On paper it is a few pages, none of them empty."""
    page = opened(browser, report, SCREEN)
    data = base64.b64decode(page.print_page())
    assert data.startswith(b"%PDF")
    paper = tmp_path / "report.pdf"
    paper.write_bytes(data)
    told = subprocess.run(
        ["pdftotext", "-layout", paper, "-"], capture_output=True, text=True, check=True
    ).stdout
    pages = told.split("\f")[:-1]
    assert 2 <= len(pages) <= 30
    assert all(each.strip() for each in pages)
