"""
Compiled kernels of timeloom. Private: use the Python modules above it.
"""
from __future__ import annotations
import collections.abc
import numpy
import typing
__all__: list[str] = ['PackedWeights', 'PoolModel', 'RnnCache', 'Segments', 'activation', 'activation_gradient', 'activations', 'active_isa', 'adam_update', 'build_info', 'clip_by_value', 'dropout', 'embedding', 'embedding_gradient', 'exp', 'fma_chains', 'free_workspaces', 'get_num_threads', 'last_thread_count', 'log', 'log_softmax', 'log_softmax_gradient', 'loss_gradient', 'loss_sum', 'loss_values', 'matmul', 'matmul_memory', 'measure_round_trip', 'rmsprop_update', 'rnn_backward', 'rnn_backward_both', 'rnn_cells', 'rnn_forward', 'rnn_forward_both', 'rnn_memory', 'rnn_paths', 'rnn_side_by_side', 'scale', 'set_num_threads', 'sgd_update', 'softmax', 'softmax_gradient', 'squared_norms', 'sum_last', 'sum_rows', 'supported_isas', 'workspace_bytes']
class RnnCache:
    """
    What rnn_forward keeps for rnn_backward. Opaque and read only.
    """
    @property
    def nbytes(self) -> int:
        """
        Bytes of what only backward reads, the tables of a batch of unequal lengths among them; not the arrays of the call.
        """
class PackedWeights:
    """
    The weights of one cell as the kernels read them, packed by the first call that takes this object.
    """
    def __init__(self) -> None:
        ...
    def close(self) -> None:
        """
        The weights change: forget them and take nothing any more.
        """
    @property
    def nbytes(self) -> int:
        ...
class Segments:
    """
    Parameters and the arrays an optimizer keeps beside them: slots[parameter][kind].
    
    All of one dtype, C-contiguous, writable, without shared memory; a slot has the shape of
    its parameter. The arrays are kept alive and are updated in place.
    """
    def __init__(self, parameters: collections.abc.Sequence, slots: collections.abc.Sequence) -> None:
        ...
    def __len__(self) -> int:
        """
        Number of parameters.
        """
    @property
    def dtype(self) -> str:
        """
        float32 or float64.
        """
    @property
    def size(self) -> int:
        """
        Elements of all parameters together.
        """
    @property
    def slot_kinds(self) -> int:
        """
        Arrays kept beside each parameter.
        """
class PoolModel:
    """
    The workspace pool without its memory, to follow its rules.
    """
    def __init__(self) -> None:
        ...
    def give(self, block: typing.SupportsInt | typing.SupportsIndex) -> None:
        """
        Takes a block of this size back.
        """
    def take(self, bytes: typing.SupportsInt | typing.SupportsIndex) -> int:
        """
        Size of the block that serves this many bytes.
        """
    @property
    def idle(self) -> int:
        """
        Bytes of idle blocks.
        """
    @property
    def used(self) -> int:
        """
        Bytes in use.
        """
def activation(name: str, x: typing.Any, *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> numpy.ndarray:
    """
    y = f(x) for each element; name: one of activations().
    """
def activation_gradient(name: str, value: typing.Any, d_output: typing.Any, *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> numpy.ndarray:
    """
    d_output f'(x) for each element; value: the output of the activation, or x where activations() says so.
    """
def activations() -> dict:
    """
    The list of activations: name -> whether activation_gradient takes the input x of the activation, not its output.
    """
def active_isa() -> str:
    """
    Name of the kernel table in use; ValueError if TIMELOOM_ISA is bad.
    """
def adam_update(segments: Segments, gradients: collections.abc.Sequence, learning_rate: typing.SupportsFloat | typing.SupportsIndex, beta_1: typing.SupportsFloat | typing.SupportsIndex = 0.9, beta_2: typing.SupportsFloat | typing.SupportsIndex = 0.999, epsilon: typing.SupportsFloat | typing.SupportsIndex = 1e-07, step: typing.SupportsInt | typing.SupportsIndex = 1, amsgrad: bool = False, weight_decay: typing.SupportsFloat | typing.SupportsIndex = 0.0, *, gradient_scales: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex] | None = None, clip_value: typing.SupportsFloat | typing.SupportsIndex | None = None, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> None:
    """
    Step number `step` (from 1) of Adam on every parameter, in place. Slots: first and second moment; then the largest second moment if amsgrad.
    """
def build_info() -> dict:
    """
    Facts fixed when this module was compiled: version, compiler, openmp, isas.
    """
def clip_by_value(gradients: collections.abc.Sequence, clip_value: typing.SupportsFloat | typing.SupportsIndex, *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> None:
    """
    Holds every element of every array in [-clip_value, clip_value], in place; NaN stays.
    """
def dropout(x: typing.Any, rate: typing.SupportsFloat | typing.SupportsIndex, key: typing.SupportsInt | typing.SupportsIndex, *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> numpy.ndarray:
    """
    x times 0 with probability rate, else 1 / (1 - rate): a function of key and place alone.
    """
def embedding(embeddings: typing.Any, indices: typing.Any, *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> numpy.ndarray:
    """
    embeddings[indices], int64 indices.
    """
def embedding_gradient(d_outputs: typing.Any, indices: typing.Any, rows: typing.SupportsInt | typing.SupportsIndex, *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> numpy.ndarray:
    """
    Sums of the rows of d_outputs by their index: one chain each, in ascending order.
    """
def exp(x: typing.Any, *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> numpy.ndarray:
    """
    e^x for each element.
    """
def fma_chains(rounds: typing.SupportsInt | typing.SupportsIndex, *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> numpy.ndarray:
    """
    Runs 12 chains a <- a * 0.5 + 1 of `rounds` steps in every lane of every thread, in registers; chain i starts from i. Returns the sums of their ends [threads, lanes].
    """
def free_workspaces() -> None:
    """
    Returns the idle memory of the workspace pool to the system.
    """
def get_num_threads() -> int:
    """
    How many threads a kernel may use at most.
    """
def last_thread_count() -> int:
    """
    How many threads the last kernel called from this Python thread was divided among; where _threads forces a number, how many came.
    """
def log(x: typing.Any, *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> numpy.ndarray:
    """
    The natural logarithm of each element.
    """
def log_softmax(x: typing.Any, *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> numpy.ndarray:
    """
    x - log(sum(e^x)) over the last axis.
    """
def log_softmax_gradient(output: typing.Any, d_output: typing.Any, *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> numpy.ndarray:
    """
    d_output - e^output sum(d_output) over the last axis; output is that of log_softmax.
    """
def loss_gradient(name: str, outputs: typing.Any, targets: typing.Any, d_values: typing.Any, smoothing: typing.SupportsFloat | typing.SupportsIndex = 0.0, epsilon: typing.SupportsFloat | typing.SupportsIndex = 1e-07, ignored: typing.SupportsInt | typing.SupportsIndex | None = None, *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> numpy.ndarray:
    """
    The gradient of the outputs for that of the values: one a row, or one for all without axes.
    """
def loss_sum(name: str, outputs: typing.Any, targets: typing.Any, weights: typing.Any, divisor: typing.SupportsFloat | typing.SupportsIndex, smoothing: typing.SupportsFloat | typing.SupportsIndex = 0.0, epsilon: typing.SupportsFloat | typing.SupportsIndex = 1e-07, ignored: typing.SupportsInt | typing.SupportsIndex | None = None, *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> numpy.ndarray:
    """
    sum(loss_values * weights) / divisor, an array without axes; weights: one a row, or None.
    """
def loss_values(name: str, outputs: typing.Any, targets: typing.Any, smoothing: typing.SupportsFloat | typing.SupportsIndex = 0.0, epsilon: typing.SupportsFloat | typing.SupportsIndex = 1e-07, ignored: typing.SupportsInt | typing.SupportsIndex | None = None, *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> numpy.ndarray:
    """
    The loss of each row of outputs; name: squared, absolute, binary, binary_logits, categorical or categorical_logits. targets: as outputs, or int64 labels of the rows; those equal to `ignored` cost nothing.
    """
def matmul(a: typing.Any, b: typing.Any, bias: typing.Any = None, transpose_a: bool = False, transpose_b: bool = False, *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> numpy.ndarray:
    """
    a @ b (+ bias), every element one chain of fma in ascending order; transpose_a: the rule of weight gradients.
    """
def matmul_memory(rows: typing.SupportsInt | typing.SupportsIndex, depth: typing.SupportsInt | typing.SupportsIndex, cols: typing.SupportsInt | typing.SupportsIndex, dtype: str, transpose_a: bool = False) -> list[tuple[str, int, bool]]:
    """
    As rnn_memory, of matmul.
    """
def measure_round_trip() -> float:
    """
    Seconds that a message to another thread and its answer take: how far cores are from each other; infinite without another thread.
    """
def rmsprop_update(segments: Segments, gradients: collections.abc.Sequence, learning_rate: typing.SupportsFloat | typing.SupportsIndex, rho: typing.SupportsFloat | typing.SupportsIndex = 0.9, momentum: typing.SupportsFloat | typing.SupportsIndex = 0.0, epsilon: typing.SupportsFloat | typing.SupportsIndex = 1e-07, centered: bool = False, weight_decay: typing.SupportsFloat | typing.SupportsIndex = 0.0, *, gradient_scales: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex] | None = None, clip_value: typing.SupportsFloat | typing.SupportsIndex | None = None, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> None:
    """
    One step of RMSprop on every parameter, in place. Slots: velocity; then momentum if it is not 0; then the average gradient if centered.
    """
def rnn_backward(cache: RnnCache, d_outputs: typing.Any, d_states: typing.Any, need_inputs: bool = True, copies: bool = False, *, _threads: int = 0, _path: str = '', _k_block: int = 0) -> tuple:
    """
    Gradients of rnn_forward: (d_inputs or None, d_kernel, d_recurrent_kernel, d_bias or None, d_initial_states). With `copies` arrays of another layout are copied, else refused.
    """
def rnn_backward_both(first: tuple, second: tuple, *, _side_by_side: typing.Any = None) -> typing.Any:
    """
    As rnn_forward_both, of two calls of rnn_backward, given by their arguments.
    """
def rnn_cells() -> dict:
    """
    The list of cells: name -> input_gates, state_gates, states, bias_rows, activation, recurrent_activation.
    """
def rnn_forward(cell: str, inputs: typing.Any, kernel: typing.Any, recurrent_kernel: typing.Any, bias: typing.Any, initial_states: typing.Any, activation: str, recurrent_activation: str, go_backwards: bool, return_sequences: bool, keep: bool, weights: PackedWeights | None = None, copies: bool = False, *, mask: typing.Any = None, lengths: typing.Any = None, zero_output_for_mask: bool = False, keep_time_order: bool = False, input_dropout: typing.Any = None, recurrent_dropout: typing.Any = None, zoneout: typing.Any = None, _threads: int = 0, _isa: str = '', _path: str = '', _k_block: int = 0) -> tuple:
    """
    Runs a cell over inputs [B, T, F], or over packed ones [sum(lengths), F]. Returns (outputs [B, T, U], [sum(lengths), U] or [B, U], final states, cache or None). With `weights` they are packed once for all calls until it is closed; with `copies` arrays of another layout are copied, else refused.
    """
def rnn_forward_both(first: tuple, first_options: dict, second: tuple, second_options: dict, *, _side_by_side: typing.Any = None) -> typing.Any:
    """
    The results of two calls of rnn_forward, given by their arguments and those by name: side by side, a thread each, where that is sooner.
    """
def rnn_memory(cell: str, dtype: str, batch: typing.SupportsInt | typing.SupportsIndex, timesteps: typing.SupportsInt | typing.SupportsIndex, features: typing.SupportsInt | typing.SupportsIndex, units: typing.SupportsInt | typing.SupportsIndex, activation: str, return_sequences: bool, keep: bool, *, initial: bool = False, zoned: bool = False, input_dropout: bool = False, recurrent_dropout: bool = False, alone: bool = False) -> tuple[list[tuple[str, int, bool]], list[tuple[str, int, bool]]]:
    """
    What rnn_forward and rnn_backward would take from the pool now, in this order: two lists of (name, bytes, whether it is kept for backward). `alone`: on one thread, beside another call.
    """
def rnn_paths() -> list[str]:
    """
    Names that _path takes.
    """
def rnn_side_by_side(one: tuple[str, str, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex], other: tuple[str, str, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex], backward: bool) -> bool:
    """
    Whether two calls of rnn_forward or rnn_backward run side by side, a thread each; each is told by its cell, dtype, batch, timesteps, features and units.
    """
def scale(gradients: collections.abc.Sequence, factors: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex], *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> None:
    """
    Multiplies each array by its factor, in place.
    """
def set_num_threads(threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Sets how many threads a kernel may use at most; 0 returns to the default.
    """
def sgd_update(segments: Segments, gradients: collections.abc.Sequence, learning_rate: typing.SupportsFloat | typing.SupportsIndex, momentum: typing.SupportsFloat | typing.SupportsIndex = 0.0, nesterov: bool = False, weight_decay: typing.SupportsFloat | typing.SupportsIndex = 0.0, *, gradient_scales: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex] | None = None, clip_value: typing.SupportsFloat | typing.SupportsIndex | None = None, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> None:
    """
    One step of SGD on every parameter, in place. Slots: velocity if momentum is not 0.
    """
def softmax(x: typing.Any, *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> numpy.ndarray:
    """
    e^x / sum(e^x) over the last axis.
    """
def softmax_gradient(output: typing.Any, d_output: typing.Any, *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> numpy.ndarray:
    """
    output (d_output - sum(d_output output)) over the last axis; output is that of softmax.
    """
def squared_norms(gradients: collections.abc.Sequence, *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> numpy.ndarray:
    """
    Sum of the squares of each array, in float64: [n]. The same bits for any number of threads.
    """
def sum_last(a: typing.Any, *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> numpy.ndarray:
    """
    Sum over the last axis: one chain of additions a row, in ascending order.
    """
def sum_rows(a: typing.Any, *, _threads: typing.SupportsInt | typing.SupportsIndex = 0, _isa: str = '') -> numpy.ndarray:
    """
    Sum over the rows of a matrix: chunks of 512 rows, one chain each, then added.
    """
def supported_isas() -> list[str]:
    """
    Names of the kernel tables this CPU can run, best last.
    """
def workspace_bytes() -> tuple[int, int]:
    """
    Bytes that the workspace pool holds: in use, idle.
    """
__version__: str = '0.1.0'
