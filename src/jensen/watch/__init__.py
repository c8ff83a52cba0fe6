"""EM to look at: runs recorded half step by half step, in a page that plays them.

>>> import jensen
>>> recording = jensen.watch.mixture(jensen.datasets.load("faithful"), 2, n_starts=2, random_state=0)
>>> recording.comparisons[0].plain.frames[1].kind
'E'
"""

from jensen.watch.door import mixture
from jensen.watch.recording import Recording

__all__ = ["Recording", "mixture"]
