"""What data can resolve, before analysis: conditioning, confused types, detectable changes."""

from bayesdecov.doctor.bulk import examine_bulk
from bayesdecov.doctor.cohort import examine_cohort
from bayesdecov.doctor.examination import Examination

__all__ = ["Examination", "examine_bulk", "examine_cohort"]
