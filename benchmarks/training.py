"""Training steps per second: netdef beside PyTorch, alternately, in one run.

    python benchmarks/training.py [--seconds S] [--rounds N] [NAME ...]

A step is forward, backward and an SGD update with momentum on float32 data that lie in memory.  The table
gives the median over the rounds of images per second, and netdef's ratio to PyTorch where it is installed
(eager, and with the images in its channels_last layout, whichever is faster).
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable

from netdef.cli.threads import hold_blas_to_one_thread

hold_blas_to_one_thread()

import numpy as np  # noqa: E402

from netdef.diag import Findings  # noqa: E402
from netdef.passes.pipeline import build_net  # noqa: E402
from netdef.spec.check import check_net  # noqa: E402
from netdef.spec.net import NetState  # noqa: E402
from netdef.spec.overrides import substitute  # noqa: E402
from netdef.spec.read import read_string  # noqa: E402
from netdef.train.blobs import Blobs  # noqa: E402
from netdef.train.trainer import Trainer  # noqa: E402

#: a function that runs a number of training steps
Steps = Callable[[int], None]

SOLVER = "solver: {base_lr: 0.01, momentum: 0.9, lr_policy: fixed, max_iter: 1000000000}\n"
FILL = "weight_filler: {type: xavier}"
LOSS = "  - {name: loss, type: SoftmaxWithLoss, bottom: [score, label], top: loss}\n"


def inputs(batch: int, image: str) -> str:
    """Input layers for images and labels."""
    return (
        f"  - {{name: data, type: Input, top: data, input_param: {{shape: {{dim: [{batch}, {image}]}}}}}}\n"
        f"  - {{name: label, type: Input, top: label, input_param: {{shape: {{dim: [{batch}]}}}}}}\n"
    )


def inner_product(name: str, size: int, bottom: str) -> str:
    """A fully connected layer."""
    param = f"inner_product_param: {{num_output: {size}, {FILL}}}"
    return f"  - {{name: {name}, type: InnerProduct, bottom: {bottom}, top: {name}, {param}}}\n"


def mlp(batch: int) -> str:
    """784-128-64-10 with ReLU."""
    layers = inputs(batch, "784")
    for name, size, bottom in (("ip1", 128, "data"), ("ip2", 64, "ip1"), ("score", 10, "ip2")):
        layers += inner_product(name, size, bottom)
        if name != "score":
            layers += f"  - {{name: relu_{name}, type: ReLU, bottom: {name}, top: {name}}}\n"
    return layers + LOSS


def lenet(batch: int) -> str:
    """Caffe's LeNet."""
    layers = inputs(batch, "1, 28, 28")
    bottom = "data"
    for number, filters in ((1, 20), (2, 50)):
        conv = f"convolution_param: {{num_output: {filters}, kernel_size: 5, {FILL}}}"
        layers += (
            f"  - {{name: conv{number}, type: Convolution, bottom: {bottom}, top: conv{number}, {conv}}}\n"
        )
        pool = "pooling_param: {pool: MAX, kernel_size: 2, stride: 2}"
        layers += (
            f"  - {{name: pool{number}, type: Pooling, bottom: conv{number}, top: pool{number}, {pool}}}\n"
        )
        bottom = f"pool{number}"
    layers += inner_product("ip1", 500, "pool2")
    layers += "  - {name: relu1, type: ReLU, bottom: ip1, top: ip1}\n"
    layers += inner_product("score", 10, "ip1")
    return layers + LOSS


def netdef_steps(layers: str, images: np.ndarray, labels: np.ndarray) -> Steps:
    """netdef's training step."""
    findings = Findings()
    document = read_string(f"name: bench\n{SOLVER}layer:\n{layers}", "bench.yaml", findings)
    spec = check_net(substitute(document, (), findings), findings)
    loaded = build_net(spec, NetState(phase="TRAIN"), findings)
    findings.raise_errors()
    trainer = Trainer(spec.solver, loaded, Blobs(seed=1))

    def fill(arrays: dict[str, np.ndarray]) -> None:
        arrays["data"][...] = images
        arrays["label"][...] = labels

    def run(count: int) -> None:
        for _ in range(count):
            trainer.step(fill)

    return run


def torch_steps(name: str, images: np.ndarray, labels: np.ndarray, channels_last: bool) -> Steps:
    """PyTorch's training step; raises ImportError where it is not installed."""
    import torch
    from torch import nn

    if name == "mlp":
        model = nn.Sequential(
            nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)
        )
    else:
        model = nn.Sequential(
            *(nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.Flatten()),
            *(nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10)),
        )
    data, target = torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))
    if channels_last:
        model, data = model.to(memory_format=torch.channels_last), data.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    loss = nn.CrossEntropyLoss()

    def run(count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad(set_to_none=True)
            loss(model(data), target).backward()
            optimizer.step()

    return run


def images_per_second(steps: Steps, batch: int, seconds: float) -> float:
    """How many images the steps get through in about this time."""
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        steps(5)
        count += 5
    return count * batch / elapsed


def contenders(name: str, layers: str, images: np.ndarray, labels: np.ndarray) -> dict[str, Steps]:
    """netdef and every peer that is installed."""
    found = {"netdef": netdef_steps(layers, images, labels)}
    try:
        found["torch"] = torch_steps(name, images, labels, channels_last=False)
        if images.ndim == 4:
            found["torch channels_last"] = torch_steps(name, images, labels, channels_last=True)
    except ImportError:
        pass
    return found


def main() -> None:
    """Run the benchmark and print the table."""
    nets = {"mlp": (mlp, (784,)), "lenet": (lenet, (1, 28, 28))}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(nets)}; default all")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    print(f"{'net':6} {'batch':>5} {'system':20} {'images/s':>10} {'netdef is':>10}")
    for name in options.names or nets:
        if name not in nets:
            parser.error(f"there is no net {name}; there are {', '.join(nets)}")
        build, shape = nets[name]
        random = np.random.default_rng(0)
        images = random.random((options.batch, *shape), np.float32)
        labels = random.integers(0, 10, options.batch).astype(np.float32)
        systems = contenders(name, build(options.batch), images, labels)
        for steps in systems.values():
            steps(5)
        speeds: dict[str, list[float]] = {system: [] for system in systems}
        for _ in range(options.rounds):
            for system, steps in systems.items():
                speeds[system].append(images_per_second(steps, options.batch, options.seconds))
        medians = {system: statistics.median(values) for system, values in speeds.items()}
        for system, speed in medians.items():
            ratio = "" if system == "netdef" else f"{medians['netdef'] / speed:.2f} x"
            print(f"{name:6} {options.batch:5} {system:20} {speed:10,.0f} {ratio:>10}")


if __name__ == "__main__":
    main()
