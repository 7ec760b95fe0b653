"""What a person sees of a training while it goes on."""

from skin_lesion.live.watch import Watch, watched_training

__all__ = ["Watch", "watched_training"]
