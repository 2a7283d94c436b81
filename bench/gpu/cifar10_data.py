# SPDX-License-Identifier: Apache-2.0
"""CIFAR-10 from a .tar.xz of JPEGs (train/CLASS/*.jpg, test/CLASS/*.jpg) or from the official binary files, as one table of
records: a label byte and 32 x 32 x 3 pixel bytes, row-major, colours last. Imports neither NumPy nor PyTorch at the top: the processes
that decode are forked from a process without threads."""
import concurrent.futures
import io
import multiprocessing
import os
import tarfile
import tempfile

SIDE, PIXELS = 32, 32 * 32 * 3
RECORD = 1 + PIXELS
BINARY = ["data_batch_%d.bin" % i for i in range(1, 6)], ["test_batch.bin"]


def load(source, cores=None):
    """(training records, test records): uint8 arrays of N x 3073. What was decoded is kept in the folder for temporary files, for the
    next process."""
    import numpy

    if os.path.isdir(source):
        return _binary(source)
    if not os.path.isfile(source):
        raise FileNotFoundError(f"--data is {source!r}: neither a folder nor an archive")
    known = os.stat(source)
    name = f"{os.path.basename(source)}-{known.st_size}-{known.st_mtime_ns}-{os.getuid()}"
    kept = [os.path.join(tempfile.gettempdir(), f"{name}.{split}.npy") for split in ("train", "test")]
    if all(os.path.isfile(path) for path in kept):
        return tuple(numpy.load(path) for path in kept)
    out = tuple(numpy.frombuffer(split, numpy.uint8).reshape(-1, RECORD) for split in decode(source, cores))
    try:
        for path, records in zip(kept, out):
            _save(path, records)
    except OSError:
        pass  # no room: the next process decodes again
    return out


def _save(path, records):
    """Whole or not at all: another process may look for it."""
    import numpy

    handle, draft = tempfile.mkstemp(dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "wb") as file:
            numpy.save(file, records)
        os.replace(draft, path)
    except OSError:
        os.unlink(draft)
        raise


def _binary(folder):
    import numpy

    for at in (folder, os.path.join(folder, "cifar-10-batches-bin")):
        if all(os.path.isfile(os.path.join(at, name)) for names in BINARY for name in names):
            folder = at
            break
    else:
        raise FileNotFoundError(f"--data is {folder!r}: it holds no data_batch_1.bin to data_batch_5.bin and test_batch.bin")
    out = []
    for names in BINARY:
        table = numpy.concatenate([numpy.fromfile(os.path.join(folder, name), numpy.uint8).reshape(-1, RECORD) for name in names])
        # The official files have one colour after the other.
        pixels = table[:, 1:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1).reshape(-1, PIXELS)
        out.append(numpy.concatenate([table[:, :1], pixels], 1))
    return tuple(out)


def decode(archive, cores=None):
    """(training records, test records) as bytearrays, in the order of the archive's names."""
    images = {"train": [], "test": []}
    with tarfile.open(archive) as tar:
        for member in tar:
            names = member.name.removeprefix("./").split("/")
            if member.isfile() and len(names) == 3 and names[0] in images:
                images[names[0]].append((names[1], names[2], tar.extractfile(member).read()))
    classes = sorted({label for label, _, _ in images["train"]})
    if not classes or not images["test"]:
        raise ValueError(f"{archive}: no train/CLASS/*.jpg and test/CLASS/*.jpg in it")
    cores = cores or len(os.sched_getaffinity(0))
    out = []
    with concurrent.futures.ProcessPoolExecutor(cores, multiprocessing.get_context("fork")) as pool:
        for split in ("train", "test"):
            rows = sorted(images[split])
            work = [(classes.index(label), data) for label, _, data in rows]
            chunk = max(1, min(512, -(-len(work) // (4 * cores))))
            out.append(bytearray().join(pool.map(_records, [work[i : i + chunk] for i in range(0, len(work), chunk)])))
    return tuple(out)


def _records(work):
    from PIL import Image

    out = bytearray()
    for label, data in work:
        image = Image.open(io.BytesIO(data)).convert("RGB")
        if image.size != (SIDE, SIDE):
            raise ValueError(f"an image of {image.size[0]} x {image.size[1]}, allowed is {SIDE} x {SIDE}")
        out.append(label)
        out += image.tobytes()
    return bytes(out)
