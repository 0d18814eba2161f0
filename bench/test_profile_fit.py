"""The shares of a training step add up to the whole, and watching leaves nothing behind."""

import re

from bench import profile_fit
from timeloom import _core
from timeloom.models import trainer
from timeloom.models.batches import Batches


def test_shares_add_up_and_everything_is_put_back(capsys):
    before = _core.rnn_forward
    profile_fit.main(["--networks", "tiny", "--rounds", "1"])
    printed = capsys.readouterr().out
    shares = [float(share) for share in re.findall(r"(\d+\.\d)% +\d", printed)]
    parts = [profile_fit.KERNELS, profile_fit.LOSS, profile_fit.TAPE, profile_fit.OPTIMIZER]
    assert all(part in printed for part in parts)
    # Each is rounded to a tenth.
    assert abs(sum(shares) - 100) <= 0.05 * len(shares) + 1e-9
    assert _core.rnn_forward is before
    assert trainer.Batches is Batches
