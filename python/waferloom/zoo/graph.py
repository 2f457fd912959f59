"""An ONNX graph under construction: nodes, initializers, and names for what they
give. Large weights may go to a file beside the model as soon as they are added,
so that a model never has to be in memory as a whole."""

import numpy as np
from onnx import TensorProto, external_data_helper, helper, numpy_helper

# Smaller tensors stay in the model, as exporters have it: shapes must be readable without the data.
EXTERNAL = 1024  # bytes
PAGE = 4096  # weights begin on a page, so that a reader can map them


class DataFile:
    """The file of external data beside a model. `name` is how the model calls it,
    `file` where the bytes go."""

    def __init__(self, file, name):
        self.file, self.name = file, name

    def append(self, array):
        """Writes the bytes of an array; returns (offset, length)."""
        self.file.write(bytes(-self.file.tell() % PAGE))
        offset = self.file.tell()
        np.ascontiguousarray(array).tofile(self.file)
        return offset, array.nbytes


class NoFile:
    """A file of external data that nobody writes: models of shapes alone, to count cycles
    of (`--no-weights`)."""

    def __init__(self, name):
        self.name, self.end = name, 0

    def append(self, array):
        offset = self.end
        self.end += -(-array.nbytes // PAGE) * PAGE
        return offset, array.nbytes


class Graph:
    """Collects a graph. Constants with equal bytes become one initializer."""

    def __init__(self, data=None):
        self.nodes, self.initializers, self.constants, self.data = [], [], {}, data

    def node(self, op, *inputs, name=None, output=None, outputs=None, domain="", **attributes):
        """Adds a node and returns the name of its output, or of each of `outputs`."""
        outputs = outputs or [output or f"{name or op}_{len(self.nodes)}"]
        self.nodes.append(helper.make_node(op, inputs, outputs, name=name or outputs[0], domain=domain, **attributes))
        return outputs[0] if len(outputs) == 1 else outputs

    def weight(self, name, array):
        """Adds an initializer and returns its name."""
        if self.data is None or array.nbytes < EXTERNAL:
            tensor = numpy_helper.from_array(np.ascontiguousarray(array), name)
        else:
            tensor = TensorProto(name=name, dims=array.shape, data_type=helper.np_dtype_to_tensor_dtype(array.dtype),
                                 raw_data=b"")
            external_data_helper.set_external_data(tensor, self.data.name, *self.data.append(array))
            tensor.data_location = TensorProto.EXTERNAL
            tensor.ClearField("raw_data")
        self.initializers.append(tensor)
        return name

    def ints(self, *values):
        """A constant vector of int64."""
        return self._constant(np.array(values, np.int64))

    def number(self, value, dtype=np.float32):
        """A constant scalar."""
        return self._constant(np.array(value, dtype))

    def _constant(self, array):
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = self.weight(f"const_{len(self.constants)}", array)
        return self.constants[key]
