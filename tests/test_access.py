"""Keys, sessions and the tokens of forms."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.access import LASTS, Access, Rights, Session, digest, kept_secret

NOW = 1_800_000_000.0
SECRET = b"s" * 32


def access(act: list[str] | None = None, read: list[str] | None = None) -> Access:
    return Access(act or [], read or [], secret=SECRET)


@given(key=st.text(min_size=1), other=st.text(min_size=1))
def test_given_any_two_keys_when_asked_then_each_has_its_rights_and_no_other(
    key: str, other: str
) -> None:
    if key.startswith("sha256:") or other.startswith("sha256:"):
        return
    known = access([key], [f"sha256:{digest(other).upper()}"])

    assert known.rights_of(key) is Rights.ACT  # also where both are the same
    assert known.rights_of(other) is (Rights.ACT if key == other else Rights.READ)
    assert known.rights_of(key + other) is None


def test_given_no_keys_when_somebody_comes_then_they_may_act() -> None:
    assert access().open
    assert access().rights_in(Session.new(now=NOW)) is Rights.ACT


def test_given_a_key_that_was_taken_away_when_its_session_comes_then_it_has_no_rights() -> None:
    session = Session.new("maria", "old", now=NOW)

    assert access(["old"]).rights_in(session) is Rights.ACT
    assert access(["new"]).rights_in(session) is None


def test_given_a_session_when_signed_then_it_is_read_back_and_no_change_of_it_is() -> None:
    known, session = access(["k"]), Session.new("märia; x", "k", now=NOW)
    cookie = known.signed(session)

    assert known.opened(cookie, now=NOW) == session
    assert known.opened(cookie, now=NOW + LASTS) is None
    assert Access(["k"], [], secret=b"t" * 32).opened(cookie, now=NOW) is None
    for place in range(len(cookie)):
        other = "A" if cookie[place] != "A" else "B"
        assert known.opened(cookie[:place] + other + cookie[place + 1 :], now=NOW) is None


@pytest.mark.parametrize("cookie", ["", ".", "a.b", "ünï.cödé", "." * 1000])
def test_given_nonsense_when_opened_then_there_is_no_session(cookie: str) -> None:
    assert access().opened(cookie, now=NOW) is None


def test_given_two_sessions_when_forms_are_sent_then_each_has_a_token_of_its_own() -> None:
    known = access()
    mine, theirs = Session.new(now=NOW), Session.new(now=NOW)

    assert known.is_token(known.token(mine), mine)
    assert not known.is_token(known.token(theirs), mine)
    assert not known.is_token("", mine)
    assert known.token(mine) != known.signed(mine).partition(".")[2]


def test_given_a_file_when_a_secret_is_kept_then_it_stays_and_only_its_owner_reads_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "session.secret"
    made = kept_secret(path)

    assert len(made) == 32
    assert kept_secret(path) == made
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"torn")
    assert len(kept_secret(path)) == 32
    assert [each.name for each in tmp_path.iterdir()] == ["session.secret"]
