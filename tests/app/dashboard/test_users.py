"""Whom a log-in names, and what they may do."""

import pytest

from app.clinic.users import GUEST, LOCAL, User, claim, logged_in_until, user_of
from skin_lesion.settings import DashboardConfig

CONFIG = DashboardConfig()


def test_the_first_claim_that_is_there_names_the_user() -> None:
    claims = {"sub": "42", "preferred_username": "dr.pérez", "roles": ["clinician"]}
    assert user_of(claims, CONFIG) == User("dr.pérez", frozenset({"clinician"}))
    assert user_of({**claims, "email": "a@b"}, CONFIG).name == "a@b"
    assert user_of({"sub": "42"}, CONFIG).name == "42"


@pytest.mark.parametrize("verified", [False, "false", None, 0, ""])
def test_an_address_that_nobody_checked_names_nobody(verified: object) -> None:
    claims = {"sub": "42", "email": "dr.perez@hospital.example", "email_verified": verified}
    assert user_of(claims, CONFIG).name == "42"
    assert user_of({**claims, "email_verified": True}, CONFIG).name == "dr.perez@hospital.example"


@pytest.mark.parametrize("name", [None, "", 42, "a\nb", "x" * 201, "\u202eevil", ["a"]])
def test_a_log_in_that_names_nobody_is_refused(name: object) -> None:
    with pytest.raises(ValueError, match="names nobody"):
        user_of({"email": name}, CONFIG)


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        (["clinician"], {"clinician"}),
        ("engineer", {"engineer"}),
        (["engineer", "clinician", "cook"], {"clinician", "engineer"}),
        ([], set()),
        (None, set()),
        ({"clinician": True}, set()),
        (["Clinician", "clinicians"], set()),
        ([["clinician"], 7, None], set()),
    ],
)
def test_only_the_very_roles_that_were_configured_count(roles: object, expected: set[str]) -> None:
    user = user_of({"sub": "a", "roles": roles}, CONFIG)
    assert user.roles == expected
    assert {role for role in ("clinician", "engineer") if user.may(role)} == expected  # type: ignore[arg-type]


def test_roles_may_lie_inside_other_claims_and_bear_other_names() -> None:
    config = DashboardConfig(
        role_claim="realm_access.roles", clinician_role="derm", engineer_role="mlops"
    )
    claims = {"sub": "a", "realm_access": {"roles": ["mlops", "derm"]}}
    assert user_of(claims, config).role == "clinician+engineer"
    assert user_of({"sub": "a", "realm_access": "roles"}, config).role == "none"


def test_a_claim_whose_name_has_dots_is_found_by_its_name() -> None:
    claims = {"https://example.org/roles": ["a"], "x": {"y": {"z": 1}}}
    assert claim(claims, "https://example.org/roles") == ["a"]
    assert claim(claims, "x.y.z") == 1
    assert claim(claims, "x.y.z.w") is None
    assert claim(claims, "") is None


def test_a_log_in_lasts_for_so_many_hours_from_when_it_was_made() -> None:
    config = DashboardConfig(log_in_hours=8)
    assert logged_in_until({"iat": 1000}, config) == 1000 + 8 * 3600
    for iat in (None, "now", True, [1000]):
        with pytest.raises(ValueError, match="iat"):
            logged_in_until({"iat": iat}, config)


@pytest.mark.parametrize("said", ["role_claim", "clinician_role", "engineer_role", "user_claims"])
def test_an_empty_name_of_a_role_or_claim_is_refused(said: str) -> None:
    # A variable of a shell that was never set would make engineers of those whose role is empty.
    with pytest.raises(ValueError, match=said):
        DashboardConfig.model_validate({said: [""] if said == "user_claims" else ""})


@pytest.mark.parametrize("hours", [0, -1, 721, float("inf"), float("nan")])
def test_a_log_in_lasts_no_longer_than_streamlit_keeps_it(hours: float) -> None:
    with pytest.raises(ValueError, match="log_in_hours"):
        DashboardConfig(log_in_hours=hours)
    assert DashboardConfig(log_in_hours=720).log_in_hours == 720


def test_who_comes_in_unknown_from_elsewhere_may_not_say_which_model_answers() -> None:
    assert LOCAL.may("engineer")
    assert not GUEST.may("engineer")
    assert GUEST.may("clinician")
    assert not LOCAL.identified
    assert not GUEST.identified
