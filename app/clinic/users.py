"""Who sits before the dashboard, and what they may do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from skin_lesion.settings import DashboardConfig

Role = Literal["clinician", "engineer"]
ROLES: tuple[Role, ...] = get_args(Role)

_LONGEST_NAME = 200


@dataclass(frozen=True)
class User:
    """A person.

    Attributes:
        name: By which the audit log knows them.
        roles: What they may do: `clinician` reads pictures, `engineer` promotes and rolls back.
        identified: Whether they proved who they are.
    """

    name: str
    roles: frozenset[Role]
    identified: bool = True

    @property
    def role(self) -> str:
        """The roles as the audit log holds them."""
        return "+".join(role for role in ROLES if role in self.roles) or "none"

    def may(self, role: Role) -> bool:
        """Whether they hold a role."""
        return role in self.roles


# Whoever sits at this machine can run every command of the project anyway.
LOCAL = User("local", frozenset(ROLES), identified=False)
# Whoever else comes in without a log-in may ask the model, and not say which one answers.
GUEST = User("anonymous", frozenset({"clinician"}), identified=False)


def user_of(claims: Mapping[str, Any], config: DashboardConfig) -> User:
    """The person that the claims of a log-in describe.

    Raises:
        ValueError: They name nobody.
    """
    name = next((found for key in config.user_claims if (found := _named(claims, key))), None)
    if not isinstance(name, str) or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise ValueError(
            f"the log-in names nobody; expected one of the claims {', '.join(config.user_claims)}"
        )
    found = claim(claims, config.role_claim)
    held = [found] if isinstance(found, str) else found if isinstance(found, list | tuple) else []
    wanted = {"clinician": config.clinician_role, "engineer": config.engineer_role}
    return User(name, frozenset(role for role in ROLES if wanted[role] in held))


def _named(claims: Mapping[str, Any], key: str) -> Any:
    """What a claim calls the user; None where it is not there, or could be somebody else's name."""
    # Where people may write any address into their account, the provider says that nobody checked it.
    if key == "email" and claims.get("email_verified", True) not in (True, "true"):
        return None
    return claims.get(key)


def claim(claims: Mapping[str, Any], path: str) -> Any:
    """The value of a claim; None where there is none.

    Args:
        claims: Of a log-in.
        path: Name of the claim. Where no claim has it, its dots lead into claims that hold claims.
    """
    if path in claims:  # some issuers name claims by addresses, which have dots of their own
        return claims[path]
    value: Any = claims
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def logged_in_until(claims: Mapping[str, Any], config: DashboardConfig) -> float:
    """When somebody has to log in again, in seconds since 1970.

    Raises:
        ValueError: The claims do not say when the log-in was.
    """
    issued = claims.get("iat")
    if isinstance(issued, bool) or not isinstance(issued, int | float):
        raise ValueError(f"the log-in's claim iat is {issued!r}; expected the time of the log-in")
    return issued + config.log_in_hours * 3600
