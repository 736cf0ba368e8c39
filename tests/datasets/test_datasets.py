"""The shipped data sets: what they promise, and that three hospitals' styles read back as one."""

import hashlib
import subprocess
import sys

import pandas as pd
import pytest

from friendlyfl import datasets
from friendlyfl.core.errors import NotFoundError
from friendlyfl.tasks.dictionary import Dictionary
from friendlyfl.tasks.mapping import apply, identity_mapping
from friendlyfl.tasks.source import read_csv
from friendlyfl.tasks.table import Table

YES_NO = ("visited", "admitted", "female", "physlm", "idp")


@pytest.fixture(scope="module")
def frames():
    return datasets.load("randhie")


def test_it_is_small_has_a_licence_and_a_column_list():
    folder = datasets.path("randhie", 1).parent
    assert sum(path.stat().st_size for path in folder.iterdir()) < 250_000
    words = (folder / "README.md").read_text("utf-8")
    assert "Public domain" in words and all(f"`{name}`" in words for name in datasets.dictionary("randhie"))


def test_the_readme_counts_right(frames):
    words = (datasets.path("randhie", 1).parent / "README.md").read_text("utf-8")
    for site, frame in frames.items():
        levels = ", ".join(
            str((frame["health"] == level).sum()) for level in ("excellent", "good", "fair", "poor")
        )
        visited, admitted = frame["visited"].sum(), frame["admitted"].sum()
        gaps = frame.isna().any(axis=1).sum()
        assert f"| {site} | {len(frame):,} | {visited} | {admitted} | {levels} | {gaps} |" in words
    assert f"{sum(map(len, frames.values())):,} adults" in words


def test_every_value_fits_the_dictionary(frames):
    dictionary = Dictionary.parse(datasets.dictionary("randhie"))
    assert len({len(frame) for frame in frames.values()}) == 3
    for frame in frames.values():
        assert list(frame.columns) == list(dictionary)
        assert len(Table.build(frame, dictionary, dictionary)) >= 800


def test_default_rules_can_pass(frames):
    """Hundreds of rows, one site without a level, and no group of 1 to 4 where a task would count one."""
    assert [("poor" in set(frame["health"])) for frame in frames.values()] == [True, True, False]
    for frame in frames.values():
        for name in (*YES_NO, "health", "years"):
            assert frame[name].value_counts().min() >= 10
        for outcome in ("visited", "admitted"):
            for group in ("female", "health", "physlm", "idp"):
                assert frame.groupby([group, outcome]).size().min() >= 5
        assert frame.groupby(["female", "years", "admitted"]).size().min() >= 5
        assert all(gaps == 0 or gaps >= 5 for gaps in frame.isna().sum())


def test_three_styles_read_back_as_the_same_values(frames, tmp_path):
    dictionary = Dictionary.parse(datasets.dictionary("randhie"))
    paths = datasets.export("randhie", tmp_path / "plain")
    styled = datasets.export("randhie", tmp_path / "styled", styles=True)
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in [*paths, *styled]}
    assert len(digests) == 5  # site 1 looks the same in both
    guessed = []
    for site, (plain, style) in enumerate(zip(paths, styled, strict=True), start=1):
        for path in (plain, style):
            source = read_csv(path)
            table = apply(identity_mapping(dictionary, source), source.frame, dictionary)
            pd.testing.assert_frame_equal(table, frames[site], check_exact=True)
        guessed.append(source.guessed)
    assert "byte order mark, 14 columns separated by semicolons" in guessed[1]
    assert "Windows-1252, 15 columns separated by tabs" in guessed[2]
    assert source.column("remark").levels == ("Pseudonymisé – RAND HIE",)


def test_names_and_what_is_not_there(tmp_path):
    assert datasets.names() == ("clinic", "randhie") and datasets.sites("randhie") == (1, 2, 3)
    for ask in (lambda: datasets.load("iris"), lambda: datasets.path("randhie", 4)):
        with pytest.raises(NotFoundError) as caught:
            ask()
        assert "choose" in caught.value.message


def test_statsmodels_is_not_needed_to_load():
    code = "import sys, friendlyfl.datasets as d; d.load('randhie'); assert 'statsmodels' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_record_of_the_cut_gives_the_same_bytes(tmp_path, monkeypatch):
    pytest.importorskip("statsmodels")
    from friendlyfl.datasets import make_randhie

    monkeypatch.setattr(make_randhie, "HERE", tmp_path)
    make_randhie.main()
    for site in datasets.sites("randhie"):
        assert (tmp_path / f"site_{site}.csv").read_bytes() == datasets.path("randhie", site).read_bytes()


def test_the_clinic_says_what_it_holds():
    """Everything its dictionary names is explained, fits it, and is common enough for the default rules."""
    words = (datasets.path("clinic", 1).parent / "README.md").read_text("utf-8")
    dictionary = Dictionary.parse(datasets.dictionary("clinic"))
    assert all(f"`{name}`" in words for name in dictionary)
    for site, frame in datasets.load("clinic").items():
        assert list(frame.columns) == list(dictionary)
        table = Table.build(frame, dictionary, dictionary, site=site, sites=3)
        assert len(table) > 150 and (table["entry_week"] < table["weeks"]).all()
        for name in ("sex", "nyha", "treatment", "status"):
            assert table.group_counts(name).min() >= 10
