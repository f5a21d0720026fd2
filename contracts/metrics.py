"""The names of the functions' own metrics that an alarm watches: the functions count them, the program watches them."""

NAMESPACE = "Recommender"
"""The CloudWatch namespace. The dimension `service` is the function's folder below `functions/`."""

RECORDS_FAILED = "RecordsFailed"
"""Records of a batch that were kept unanswered."""

VERSION_FALLBACKS = "VersionFallbacks"
"""Calls that an earlier model version answered, because the active one cannot be served."""

RULES_PROBLEMS = "RulesProblems"
"""Calls whose rules were not those of the file, because it is gone or cannot be used."""

CATALOG_REFRESHES = "CatalogRefreshes"
"""Refreshes of the catalogue that read all items, and after which every served version was up to date."""

ANSWERS_FROM_MEMORY = "AnswersFromMemory"
"""Requests that were answered by remembered popular items."""
