"""Models as the benchmarks of others want them (mteb, MSEB, X-ARES), and MAEB's protocols on data of one's own.

The module of each benchmark is written in its language, and imported only by its users: `mteb_model`, `mseb_encoder`
and `xares_encoder`.
"""

from sonant.integrations.local_maeb import MaebEvaluation, evaluate_maeb
from sonant.integrations.state_choice import StateChoice, chosen_states

__all__ = ["MaebEvaluation", "StateChoice", "chosen_states", "evaluate_maeb"]
