"""What pytest needs to know of this folder."""

# It holds no doctest. Collected for one where Keras is missing, it would stay half loaded, and the tests that
# import it would fail instead of being skipped.
collect_ignore = ["keras_peer.py"]
