"""People who are drawn: a data set without files, for trying, testing and training where no real one can be had."""

from nlreid.data.datasets.synthetic.identity import UNRELATED as UNRELATED
from nlreid.data.datasets.synthetic.identity import LookAlikes as LookAlikes
from nlreid.data.datasets.synthetic.people import SyntheticPeople as SyntheticPeople
