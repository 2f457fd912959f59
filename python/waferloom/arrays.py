"""Arrays on their way into the native module."""

import numpy as np


def taken(array):
    """The same values in this host's order of bytes, and integers in a type that the native module takes."""
    array = array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    if array.dtype.kind not in "iu" or array.dtype in (np.int32, np.int64):
        return array
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        return array  # refused, by its type
    return array.astype(np.int32 if array.dtype.itemsize < 4 else np.int64)
