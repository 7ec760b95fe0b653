"""What a person sees of a training while it goes on."""

from skin_lesion.live.watch import watched_training

__all__ = ["watched_training"]
