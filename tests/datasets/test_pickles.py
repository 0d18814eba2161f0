import collections
import io
import os
import pickle
import subprocess

import numpy as np
import pytest

from timeloom.datasets.pickles import ArrayUnpickler


def load(content):
    return ArrayUnpickler(io.BytesIO(content)).load()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL))
@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8", ">i4", "bool"])
def test_arrays_of_numbers_come_back(protocol, dtype):
    array = np.arange(12).reshape(3, 4).astype(dtype)
    result = load(pickle.dumps(((array, [1, "label"]), {"n": 2}), protocol))
    assert result[0][1] == [1, "label"]
    assert result[1] == {"n": 2}
    assert result[0][0].dtype == array.dtype.newbyteorder("=")  # NumPy swaps bytes while it reads
    np.testing.assert_array_equal(result[0][0], array)


def test_array_pickled_by_python_2_and_an_old_numpy():
    content = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03"
        b"(K\x01K\x02\x85cnumpy\ndtype\nq\x04U\x02f4K\x00K\x01\x87Rq\x05(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x08\x00\x00\x80?\x00\x00 \xc1tb."
    )
    np.testing.assert_array_equal(load(content), np.array([1, -10], np.float32))


class Calls:
    """Pickled as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(Calls(os.system, "touch {path}")).replace(b"{path}", b"hostile"),
        pickle.dumps(Calls(eval, "open('hostile', 'w')")),
        pickle.dumps(Calls(subprocess.getoutput, "touch hostile")),
        pickle.dumps(Calls(np.load, "hostile.npy")),
        pickle.dumps((np.arange(3), Calls(os.mkdir, "hostile"))),
        pickle.dumps(np.array([Calls(os.mkdir, "hostile")], dtype=object)),
        pickle.dumps(np.array(["text"], dtype=object)),
        pickle.dumps(np.ma.array([1, 2])),
        pickle.dumps(collections.OrderedDict(a=1)),
        pickle.dumps(np.zeros(2, dtype=[("a", "f4")])),
        pickle.dumps(np.array(["text"])),
        pickle.dumps(Calls(np.ndarray, (10**9,))),
        b"cposix\nsystem\n(S'touch hostile'\ntR.",
        b"cnumpy\nndarray.tofile\n.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I0\ntS'b'\ntR.",
        b"Phostile\n.",
    ],
)
def test_everything_else_is_refused_before_it_runs(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((pickle.UnpicklingError, TypeError)):
        load(content)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"\x80\x04", b"not a pickle", pickle.dumps(np.arange(9))[:-9]])
def test_damaged_pickles_raise(content):
    with pytest.raises((pickle.UnpicklingError, EOFError, ValueError)):
        load(content)
