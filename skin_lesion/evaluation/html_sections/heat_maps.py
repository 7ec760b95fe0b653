"""Whether heat-maps mean something."""

from html import escape

from skin_lesion.data.pages import mark
from skin_lesion.evaluation.evidence import Evidence
from skin_lesion.evaluation.html_sections.stability import not_checked
from skin_lesion.evaluation.wording import per_cent, with_interval


def explanations(evidence: Evidence) -> str:
    """Whether heat-maps mean something."""
    found = evidence.explanations
    if found is None:
        return not_checked(evidence)
    shuffled = found.randomisation
    last = shuffled.cascade[-1] if shuffled.cascade else shuffled.head
    shuffle = "all weights" if shuffled.cascade else "the weights of the classification layer"
    text = (
        "<p>A heat-map shows what the network responded to. It is no evidence that the answer is "
        "right.</p><p>"
        + _verdict(
            shuffled.reached,
            "The maps depend on the weights",
            "The maps do not depend enough on the weights",
        )
        + f" With {shuffle} shuffled their rank correlation with those of the trained network is "
        f"{with_interval(last.rank_correlation, 2)}; at most {shuffled.goal:g} was asked.</p>"
        f"<p class='quiet'>{escape(shuffled.how_to_read)}</p>"
    )
    hidden = found.deletion
    if hidden is None:
        return text + "<p>No picture of this class was answered rightly: nothing to hide.</p>"
    return (
        text
        + "<p>"
        + _verdict(
            hidden.reached,
            "The maps point at what matters",
            "The maps do not point at what matters often enough",
        )
        + f" In {per_cent(hidden.better_deletion)} of {hidden.n_images} rightly recognised "
        f"melanomas, hiding what the map points at lowers the probability faster than hiding "
        f"places at random; {100 * hidden.goal:.0f} % was asked. It beats hiding from the centre "
        f"outwards in {per_cent(hidden.better_than_centre)}.</p>"
        f"<p class='quiet'>{escape(hidden.how_to_read)}</p>"
    )


def _verdict(reached: bool | None, good: str, bad: str) -> str:
    if reached is None:
        return mark("look", "Too few pictures to tell")
    return mark("good", good) if reached else mark("bad", bad)
