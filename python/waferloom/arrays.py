"""Arrays on their way into the native module, and what comes back."""

import numpy as np

# Types of models that NumPy has no name for, and what their elements are where ml_dtypes is not installed.
PLAIN = {"bfloat16": "float32", "int4": "int8", "uint4": "uint8", "int2": "int8", "uint2": "uint8"}


def dtype_named(name):
    """The dtype of that name: of NumPy, or of ml_dtypes."""
    try:
        return np.dtype(name)
    except TypeError:
        pass
    try:
        import ml_dtypes
        return np.dtype(getattr(ml_dtypes, name))
    except (ImportError, AttributeError):
        return np.dtype(PLAIN.get(name, "float32"))


def taken(array, dtype=None):
    """The same values in this host's order of bytes, and in a type that the native module takes. `dtype`: what the
    model has; doubles are given only where it has them."""
    array = array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    if array.dtype == dtype and array.dtype.kind in "fV" and array.dtype not in (np.float32, np.float16):
        wide = array.astype(np.float32)
        return wide if dtype_is_real(array.dtype) else wide.astype(np.int32)
    if array.dtype.kind not in "iu" or array.dtype in (np.int32, np.int64):
        return array
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        return array  # refused, by its type
    return array.astype(np.int32 if array.dtype.itemsize < 4 else np.int64)


def dtype_is_real(dtype):
    """Of NumPy's, or of ml_dtypes, whose integers are neither."""
    return "int" not in dtype.name
