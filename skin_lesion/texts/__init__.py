"""Every word that the dashboard and its reports say, by language; no code depends on the wording.

`<language>/<area>.yaml` holds nested keys; `read.title` is the key `title` of `read.yaml`. Values in
braces are filled in by whoever asks: `{count} pictures`.
"""

from skin_lesion.texts.catalogue import LANGUAGES, Language, Texts, best_language, catalogue

__all__ = ["LANGUAGES", "Language", "Texts", "best_language", "catalogue"]
