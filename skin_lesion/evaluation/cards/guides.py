"""The reporting guides, item by item: number, topic, and which answer is given.

Topics are paraphrased. The guides:

* CLEAR Derm: Daneshjou et al., JAMA Dermatol. 158(1):90-96, 2022. Its table was not at hand when this
  was written: four parts and 25 items are as published, their order within a part is ours.
* CLAIM, 2024 update: Tejani et al., Radiol. Artif. Intell. 6(4):e240300, 2024.
* TRIPOD+AI: Collins et al., BMJ 385:e078378, 2024; its sub-items are taken together.
"""

from collections.abc import Callable
from dataclasses import dataclass

from skin_lesion.evaluation.cards import answers_data as data
from skin_lesion.evaluation.cards import answers_flow as flow
from skin_lesion.evaluation.cards import answers_labels as labels
from skin_lesion.evaluation.cards import answers_model as model
from skin_lesion.evaluation.cards import answers_results as results
from skin_lesion.evaluation.cards.answers import Answer
from skin_lesion.evaluation.cards.facts import CardFacts

Item = tuple[str, Callable[[CardFacts], Answer]]


@dataclass(frozen=True)
class Guide:
    """One reporting guide.

    Attributes:
        name: What it is called.
        source: Where it is from.
        numbering: Whose the numbers of the items are.
        parts: Its parts in order; items are numbered through from 1.
    """

    name: str
    source: str
    numbering: str
    parts: dict[str, tuple[Item, ...]]


CLEAR_DERM = Guide(
    "CLEAR Derm",
    "Daneshjou et al., JAMA Dermatology 158(1):90–96 (2022), 25 items",
    "The paper's own table could not be consulted when this list was made: the numbers and the order "
    "of the items are ours, and may differ from the paper's.",
    {
        "Data": (
            ("Image types", data.image_types),
            ("Image artefacts", data.artefacts),
            ("Technical details of acquisition", data.acquisition),
            ("Preprocessing", data.preprocessing),
            ("Synthetic images made public, if used", data.synthetic_pictures),
            ("Public images referenced", data.referenced),
            ("Patient-level metadata", data.metadata),
            ("Skin colour", data.skin_tone),
            ("Bias that may come from patient information", data.metadata_bias),
            ("Partitions of the data", data.partitions),
            ("Sizes of training, validation and test sets", data.sample_sizes),
            ("External test set", data.external_test),
            ("Images of several vendors", data.vendors),
            ("Class distribution and balance", data.class_balance),
            ("Out-of-distribution images", results.out_of_distribution),
        ),
        "Technique": (
            ("Labelling: reference standard and who made it", labels.labelling),
            ("Common, accepted diagnostic labels", labels.common_labels),
            ("Histopathology for malignancies", labels.histopathology),
            ("Development of the algorithm in detail", model.development),
        ),
        "Technical assessment": (
            ("How the public can evaluate the algorithm", model.public_evaluation),
            ("Performance measures", results.performance),
            ("Benchmarking, comparison and novelty", results.benchmarking),
            ("Assessment of bias", results.bias),
        ),
        "Application": (
            ("Use cases and target conditions", model.use_cases),
            ("Potential impact on health care team and patients", model.impact),
        ),
    },
)

CLAIM = Guide(
    "CLAIM",
    "Tejani et al., Radiology: Artificial Intelligence 6(4):e240300 (2024 update), 44 items",
    "Numbered as in the paper.",
    {
        "Title, abstract and introduction": (
            ("Identification as a study of AI, with the technology", model.identification),
            ("Summary of design, methods, results, conclusions", model.summary),
            ("Background, intended use and role", model.background),
            ("Aims, objectives, hypotheses", model.objectives),
        ),
        "Methods: design and data": (
            ("Prospective or retrospective", data.retrospective),
            ("Study goal", model.goal),
            ("Data sources", data.referenced),
            ("Inclusion and exclusion criteria", data.inclusion),
            ("Preprocessing", data.preprocessing),
            ("Selection of data subsets", flow.subsets),
            ("De-identification", data.deidentification),
            ("Missing data", data.missing_data),
            ("Image acquisition protocol", data.acquisition),
        ),
        "Methods: reference standard and partitions": (
            ("How the reference standard was obtained", labels.labelling),
            ("Rationale for the reference standard", labels.label_rationale),
            ("Source of the annotations", labels.annotators),
            ("Annotation of the test set", labels.test_labels),
            ("Inter- and intra-rater variability", labels.rater_variability),
            ("How data were assigned to partitions", data.partitions),
            ("Level at which partitions are disjoint", data.disjointness),
            ("Intended sample size", data.sample_size_reason),
        ),
        "Methods: model and training": (
            ("Description of the model", model.architecture),
            ("Software", model.software),
            ("Initialisation of the parameters", model.initialisation),
            ("Training approach", model.development),
            ("Selection of the final model", model.selection),
            ("Ensembling", model.ensembling),
        ),
        "Methods: evaluation": (
            ("Metrics of performance", results.metrics),
            ("Significance and uncertainty", results.uncertainty),
            ("Robustness or sensitivity analysis", results.robustness),
            ("Explainability", results.explanations),
            ("Evaluation on internal data", results.performance),
            ("Testing on external data", data.external_test),
            ("Clinical trial registration", model.registration),
        ),
        "Results": (
            ("Numbers included and excluded", flow.flow),
            ("Characteristics of the cases in each partition", flow.characteristics),
            ("Performance with uncertainty", results.performance),
            ("Diagnostic performance and its precision", results.operating_points),
            ("Analysis of failures", results.failures),
        ),
        "Discussion and other information": (
            ("Limitations", model.limitations),
            ("Implications for practice", model.use_cases),
            ("Protocol or technical details", model.protocol),
            ("Availability of software, model and data", data.availability),
            ("Funding", model.funding),
        ),
    },
)

TRIPOD_AI = Guide(
    "TRIPOD+AI",
    "Collins et al., BMJ 385:e078378 (2024), 27 items, sub-items taken together",
    "Numbered as in the paper; an answer speaks for all sub-items of its number.",
    {
        "Title, abstract and introduction": (
            ("Title", model.identification),
            ("Abstract", model.summary),
            ("Background", model.background),
            ("Objectives", model.objectives),
        ),
        "Methods": (
            ("Data: sources and dates", data.inclusion),
            ("Participants: setting and eligibility", data.inclusion),
            ("Data preparation", data.preprocessing),
            ("Outcome", labels.labelling),
            ("Predictors", model.predictors),
            ("Sample size", data.sample_size_reason),
            ("Missing data", data.missing_data),
            ("Analytical methods", model.analysis),
            ("Class imbalance", model.imbalance),
            ("Fairness", results.fairness),
            ("Model output and thresholds", results.operating_points),
            ("Training versus evaluation data", model.same_source),
            ("Ethical approval", data.ethics),
        ),
        "Open science and involvement": (
            ("Funding, protocol, registration, data, code", model.open_science),
            ("Patient and public involvement", model.involvement),
        ),
        "Results": (
            ("Participants", flow.participants),
            ("Model development: numbers", data.sample_sizes),
            ("Model specification", model.specification),
            ("Model performance", results.performance),
            ("Model updating", model.updating),
        ),
        "Discussion": (
            ("Interpretation", results.interpretation),
            ("Limitations", model.limitations),
            ("Usability in current care", results.bad_input),
        ),
    },
)
