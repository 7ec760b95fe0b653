"""Whether the heat-maps mean something, in figures."""

from skin_lesion.evaluation.figures import Estimate, Figures

RANDOMISATION_HOW_TO_READ = (
    "If a heat-map shows what the network has learnt, it must change when what was learnt is "
    "destroyed: near 1 means that the map does not depend on the weights, near 0 that it does. "
    "Maps are compared at the resolution of the last feature map, before they are stretched over "
    "the picture, which would make any two of them look alike. Maps of two unrelated pictures, "
    "both of the trained model, resemble each other as well, since most lesions lie in the middle; "
    "they are the measure of what is little. An absolute correlation well above the signed one "
    "says that random weights, too, tell lesion from skin, now with this sign and now with that; "
    "but maps have few cells, and chance alone gives about 0.8 / sqrt(cells - 1)."
)
DELETION_HOW_TO_READ = (
    "If the hottest cells of a heat-map are what the answer rests on, blurring them must lower the "
    "probability of the class faster than blurring as many cells in random order. A small area "
    "under the deletion curve and a large one under the insertion curve are good. Blurring from "
    "the centre outwards is a harder rival than chance, since most lesions lie in the middle. "
    "Blurred pictures are unlike any the network has seen, so the curves say which cells matter to "
    "the network, not how it would judge a real lesion without them."
)


class MapSimilarity(Figures):
    """How much the maps of two models, or of two pictures, resemble each other.

    Attributes:
        name: What was done to the trained model.
        rank_correlation: Mean Spearman correlation of the signed evidence, -1 to 1.
        absolute_rank_correlation: Mean of its absolute value, 0 to 1.
        structural_similarity: Mean structural similarity of the signed evidence, brought to 0 to 1;
            1 for equal maps. None where the map is smaller than 3 x 3.
        undefined: Pictures left out of all three, since a map was the same everywhere in
            every repeat.
    """

    name: str
    rank_correlation: Estimate
    absolute_rank_correlation: Estimate
    structural_similarity: Estimate
    undefined: int


class RandomisationFigures(Figures):
    """Sanity check of Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018.

    Attributes:
        how_to_read: What the figures mean.
        n_images: Pictures.
        n_lesions: Their lesion groups.
        map_height: Rows of the last feature map, at which maps are compared.
        map_width: Its columns.
        repeats: Randomised models that a figure is the mean of.
        unrelated: Two pictures, both of the trained model: what their common framing explains.
        head: Only the classification layer was shuffled, in closed form.
        cascade: Weights shuffled from the classification layer downwards, one more block at each
            stage; empty where the Keras model was not used.
        goal: Largest rank correlation that is accepted of the last stage.
        reached: Whether the last stage, or `head` where there is no cascade, keeps to it; None
            where it is not defined.
    """

    how_to_read: str = RANDOMISATION_HOW_TO_READ
    n_images: int
    n_lesions: int
    map_height: int
    map_width: int
    repeats: int
    unrelated: MapSimilarity
    head: MapSimilarity
    cascade: tuple[MapSimilarity, ...]
    goal: float
    reached: bool | None


class DeletionFigures(Figures):
    """Deletion and insertion of Petsiuk et al., "RISE", BMVC 2018, on cells of the feature map.

    Areas are under the probability of the class, over the share of cells hidden (deletion) or
    shown (insertion), 0 to 1.

    Attributes:
        how_to_read: What the figures mean.
        n_images: Pictures, one of each lesion group.
        n_lesions: Their lesion groups.
        indicative: True where these are too few for more than a hint.
        map_height: Rows of cells.
        map_width: Columns of cells.
        steps: Steps from all of the picture to none of it.
        repeats: Random orders for each picture.
        blur: Standard deviation of the blur that hides a cell, as a share of the shorter side.
        hidden: Shares of cells hidden at which the curves are known, ascending.
        deletion: Mean probability while the hottest cells are hidden first.
        insertion: Mean probability while the hottest cells are shown first; its share shown is one
            minus `hidden` from the end.
        random: Mean probability while cells are hidden in random order. Read from the end it is
            the random insertion curve too: the reverse of a random order is a random order.
        centre: Mean probability while cells are hidden from the centre outwards.
        deletion_auc: Mean area under the deletion curve.
        insertion_auc: Mean area under the insertion curve.
        random_auc: Mean area of random order, of deletion and of insertion.
        centre_auc: Mean area under the deletion curve from the centre outwards.
        deletion_gain: Mean of random area less that of the map; above 0 is good.
        insertion_gain: Mean of the map's insertion area less the random one; above 0 is good.
        better_deletion: Share of pictures in which the map's deletion area is below the random one.
        better_insertion: Share of pictures in which its insertion area is above the random one.
        better_than_centre: Share of pictures in which its deletion area is below the centre's.
        goal: Share asked of `better_deletion`.
        reached: Whether `better_deletion` is at least that; None where the pictures are too few.
    """

    how_to_read: str = DELETION_HOW_TO_READ
    n_images: int
    n_lesions: int
    indicative: bool
    map_height: int
    map_width: int
    steps: int
    repeats: int
    blur: float
    hidden: tuple[float, ...]
    deletion: tuple[float, ...]
    insertion: tuple[float, ...]
    random: tuple[float, ...]
    centre: tuple[float, ...]
    deletion_auc: Estimate
    insertion_auc: Estimate
    random_auc: Estimate
    centre_auc: Estimate
    deletion_gain: Estimate
    insertion_gain: Estimate
    better_deletion: Estimate
    better_insertion: Estimate
    better_than_centre: Estimate
    goal: float
    reached: bool | None


class ExplanationFigures(Figures):
    """Evidence that the heat-maps mean something.

    Attributes:
        label: Code of the class of the deletion curves.
        n_correct_lesions: Lesion groups of this class with a right answer, of which the curves use
            some or all.
        randomisation: Whether maps depend on the weights; pictures of all classes.
        deletion: Whether the hottest cells matter; None where no picture of the class was called
            right.
        resamples: Bootstrap resamples of lesions behind every interval.
        seed: Of pictures, weights, orders and resamples.
    """

    label: str
    n_correct_lesions: int
    randomisation: RandomisationFigures
    deletion: DeletionFigures | None
    resamples: int
    seed: int
