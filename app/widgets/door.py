"""Who may come in."""

from app.clinic.users import LOCAL, User
from skin_lesion.settings import DashboardConfig
from skin_lesion.texts import Texts


def admit(config: DashboardConfig, texts: Texts) -> User:
    """The user of this session; nobody else gets past this call."""
    return LOCAL
