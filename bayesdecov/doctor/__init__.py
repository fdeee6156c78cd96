"""What data can say before they are asked: conditions, confusable types, detectable changes."""

from bayesdecov.doctor.bulk import examine_bulk
from bayesdecov.doctor.cohort import examine_cohort
from bayesdecov.doctor.examination import Examination

__all__ = ["Examination", "examine_bulk", "examine_cohort"]
