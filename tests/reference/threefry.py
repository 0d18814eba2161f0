"""Threefry-2x32, the random numbers of dropout, one number at a time.

Belongs here: the generator and which of its numbers belongs to which element.
Does not belong here: what is done with them.
"""

import numpy as np

ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
PARITY = 0x1BD11BDA
WORD = 0xFFFFFFFF


def threefry(counter, key, rounds):
    """Two words of 32 bits from a counter and a key of two words each."""
    keys = (*key, PARITY ^ key[0] ^ key[1])
    x, y = (counter[0] + key[0]) & WORD, (counter[1] + key[1]) & WORD
    for number in range(rounds):
        x = (x + y) & WORD
        left = ROTATIONS[number % 8]
        y = (((y << left) | (y >> (32 - left))) & WORD) ^ x
        if number % 4 == 3:
            injection = number // 4 + 1
            x = (x + keys[injection % 3]) & WORD
            y = (y + keys[(injection + 1) % 3] + injection) & WORD
    return x, y


def dropout_numbers(size, key):
    """The word of each element: 64 b + j and 64 b + 32 + j share the counter 32 b + j."""
    words = np.empty(size, np.uint32)
    for place in range(size):
        block, within = divmod(place, 64)
        counter = 32 * block + within % 32
        pair = threefry((counter & WORD, counter >> 32), (key & WORD, key >> 32), rounds=13)
        words[place] = pair[within // 32]
    return words
