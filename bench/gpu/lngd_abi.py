# SPDX-License-Identifier: Apache-2.0
"""liblngd for Python by ctypes: constants, struct layouts and prototypes are read from lngd.h itself, so that they cannot drift.
Needs neither NumPy nor PyTorch; tensors are given by address, shape and strides, or as anything that has them."""
import ctypes
import os
import re

HEADER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "native", "include", "lngd", "lngd.h")

CPU, CUDA = 1, 2  # DLDeviceType of lngd_tensor
_FLOAT = 2  # DLDataTypeCode

_SCALARS = {
    "char": ctypes.c_char,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
    "lngd_status": ctypes.c_int32,
    **{f"{u}int{bits}_t": getattr(ctypes, f"c_{u}int{bits}") for u in ("", "u") for bits in (8, 16, 32, 64)},
}


class LngdError(RuntimeError):
    """A call that did not return LNGD_OK; `status` is that one's name."""

    def __init__(self, function, status, message):
        super().__init__(f"{function}: {status}: {message}")
        self.function, self.status = function, status


class Header:
    """What lngd.h declares. `constants`: name to int; `structs`: name to a ctypes.Structure; `functions`: name to (result,
    arguments) as ctypes. Anything that this parser does not know is an error: a guess would be a wrong layout."""

    def __init__(self, path=HEADER):
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/", " ", file.read(), flags=re.S)
        self.constants, self.structs, self.functions = {}, {}, {}
        for name, value in re.findall(r"#define (LNGD_\w+) (\w+)", text):
            if re.fullmatch(r"\d+u?", value):
                self.constants[name] = int(value.rstrip("u"))
        text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
        for body in re.findall(r"typedef enum \w+ \{(.*?)\}", text, re.S):
            for name, value in re.findall(r"(\w+) = (\d+)", body):
                self.constants[name] = int(value)
        for name, body in re.findall(r"typedef struct (\w+) \{(.*?)\}", text, re.S):
            fields = [self._field(line) for line in body.split(";") if line.strip()]
            self.structs[name] = type(name, (ctypes.Structure,), {"_fields_": fields})
        for result, name, arguments in re.findall(r"LNGD_API ([\w ]+\*?) ?(lngd_\w+)\((.*?)\);", text, re.S):
            types = [] if arguments.strip() == "void" else [self._argument(a) for a in arguments.split(",")]
            self.functions[name] = (self._result(result), types)

    def _field(self, line):
        match = re.fullmatch(r"\s*(\w+)(\s*\*\s*|\s+)(\w+)(?:\[(\d+)\])?\s*", line)
        if not match:
            raise ValueError(f"lngd.h: a field that this parser does not know: {line.strip()!r}")
        kind, star, name, count = match.groups()
        if "*" in star:
            return name, ctypes.c_void_p
        known = _SCALARS.get(kind) or self.structs.get(kind)
        if known is None:
            raise ValueError(f"lngd.h: type {kind!r} of field {name!r} is not known")
        return name, known * int(count) if count else known

    @staticmethod
    def _argument(text):
        if "*" in text or "[" in text:
            return ctypes.c_char_p if re.match(r"\s*const char\s*\*", text) else ctypes.c_void_p
        return _SCALARS[text.split()[-2]]

    @staticmethod
    def _result(text):
        return ctypes.c_char_p if "*" in text else _SCALARS[text.split()[-1]]


class Library:
    """liblngd.so. `lib.call(name, ...)` makes a call and raises LngdError; `lib.NAME` is the constant LNGD_NAME;
    `lib.struct(name)` a struct of lngd.h, its struct_size set."""

    def __init__(self, folder, header=HEADER):
        self.header = Header(header)
        self.path = find(folder, "liblngd.so")
        if not self.path:
            raise FileNotFoundError(f"--library is {folder!r}: there is no liblngd.so in it or below it")
        self._library = ctypes.CDLL(self.path)
        for name, (result, arguments) in self.header.functions.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments
        version = self._library.lngd_version()
        major, minor = self.header.constants["LNGD_VERSION_MAJOR"], self.header.constants["LNGD_VERSION_MINOR"]
        if version >> 8 != (major << 8 | minor):
            raise RuntimeError(f"{self.path} is version {version >> 16}.{version >> 8 & 255}, lngd.h is {major}.{minor}")
        self.version = self._library.lngd_version_string().decode()
        # The backends may lie in other folders of a build tree than liblngd.so, where it would look for them.
        for variable, file in (("LNGD_CUDA_LIBRARY", "liblngd_cuda.so"), ("LNGD_CUDA_EMULATED_LIBRARY", "liblngd_cuda_emulated.so")):
            backend = find(folder, file)
            if backend and variable not in os.environ:
                os.environ[variable] = backend

    def __getattr__(self, name):
        try:
            return self.__dict__["header"].constants["LNGD_" + name]
        except KeyError:
            raise AttributeError(f"lngd.h has no constant LNGD_{name}") from None

    def call(self, name, *arguments):
        status = getattr(self._library, name)(*arguments)
        if status:
            text = self._library.lngd_status_name(status).decode()
            raise LngdError(name, text, self._library.lngd_last_error().decode("utf-8", "replace"))

    def struct(self, name):
        out = self.header.structs[name]()
        if hasattr(out, "struct_size"):
            out.struct_size = ctypes.sizeof(out)
        return out

    def handle(self, name, *arguments):
        """A call whose last argument is where a handle or an address is written."""
        out = ctypes.c_void_p()
        self.call(name, *arguments, ctypes.byref(out))
        return out

    def backend_info(self, device):
        info = self.struct("lngd_backend_description")
        self.call("lngd_backend_info", device, ctypes.byref(info))
        values = {field: getattr(info, field) for field, _ in info._fields_ if field != "struct_size"}
        return {k: v.decode("utf-8", "replace") if isinstance(v, bytes) else v for k, v in values.items()}

    def tensor(self, address, shape, strides, device_type=CPU, device_id=0):
        """An lngd_tensor of float32. Strides in elements. It does not keep the memory alive: the caller does."""
        out = self.header.structs["lngd_tensor"]()
        numbers = ctypes.c_int64 * len(shape)
        out.kept = numbers(*shape), numbers(*strides)
        out.data, out.device_type, out.device_id, out.ndim = address, device_type, device_id, len(shape)
        out.dtype_code, out.dtype_bits, out.dtype_lanes = _FLOAT, 32, 1
        out.shape, out.strides = (ctypes.addressof(numbers) for numbers in out.kept)
        return out

    def of_torch(self, tensor):
        if str(tensor.dtype) != "torch.float32":
            raise TypeError(f"a tensor of {tensor.dtype}: lngd.h takes float32")
        device = (CUDA, tensor.device.index or 0) if tensor.is_cuda else (CPU, 0)
        return self.tensor(tensor.data_ptr(), tensor.shape, tensor.stride(), *device)

    def of_numpy(self, array, device_type=CPU):
        if array.dtype != "float32":
            raise TypeError(f"an array of {array.dtype}: lngd.h takes float32")
        return self.tensor(array.ctypes.data, array.shape, [s // 4 for s in array.strides], device_type)


def find(folder, name):
    """The file `name` in a folder or below it, the highest one, or None."""
    found = [os.path.join(at, name) for at, _, files in os.walk(folder) if name in files]
    return min(found, key=lambda path: (path.count(os.sep), path)) if found else None
