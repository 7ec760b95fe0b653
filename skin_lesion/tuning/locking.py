"""One process at a time works on a study, by the lock that everything else is held by."""

from skin_lesion.locking import only_process

__all__ = ["only_process"]
