#!/usr/bin/env python3
"""Runs the same graphs on LangGraph, on pydantic-graph and on Martlet, and prints one table.

usage: benches/peers/langgraph_shapes.py [--martlet BINARY] [--cap SECONDS] [--rounds N] [--only TEXT]

Shapes:
  chains      two chains of unequal nodes (10, 200, 10, 200 ms beside 200, 10, 200, 10 ms), joined: wall time
  wide N      one node, then N nodes that do nothing, then one that waits for them all
  long N      N nodes that do nothing, one after the other

BINARY is the benchmark of Martlet's graphs, which `cargo bench --workspace --bench graphs --no-run` builds; asked
to `measure wide 1000`, it prints `shape=wide nodes=1000 build_s=… run_s=… memory_kb=…`.

Each case is a process of its own, which begins no other round after half of SECONDS (120) and is ended after all of them, so
one that is slow or grows without bound is reported and harms no other. Times are the best of N rounds (3) after one that is
not counted, if there was time for more than one, and of the run alone: building the graph is shown beside it. Memory is the
growth of the largest resident set, from before the graph was built, through all rounds. Every run is checked: the nodes
count themselves.
"""

import argparse
import asyncio
import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
import time

CHAINS = {"a": [10, 200, 10, 200], "b": [200, 10, 200, 10]}
CRITICAL_PATH_MS = 420
SIZES = [1_000, 10_000]


def langgraph(shape, size):
    """Gives a function that runs the shape once and returns how many nodes ran."""
    import operator
    from typing import Annotated, TypedDict

    from langgraph.graph import END, START, StateGraph

    class State(TypedDict):
        done: Annotated[int, operator.add]

    def node(milliseconds=0):
        async def run(state):
            if milliseconds:
                await asyncio.sleep(milliseconds / 1_000)
            return {"done": 1}

        return run

    graph = StateGraph(State)
    if shape == "chains":
        for chain, times in CHAINS.items():
            names = [f"{chain}{place}" for place in range(len(times))]
            for name, milliseconds in zip(names, times):
                graph.add_node(name, node(milliseconds))
            for one, other in zip([START, *names], names):
                graph.add_edge(one, other)
        graph.add_node("join", node())
        graph.add_edge(["a3", "b3"], "join")
        graph.add_edge("join", END)
    elif shape == "wide":
        names = [f"n{number}" for number in range(size)]
        graph.add_node("first", node())
        graph.add_node("last", node())
        graph.add_edge(START, "first")
        for name in names:
            graph.add_node(name, node())
            graph.add_edge("first", name)
        graph.add_edge(names, "last")
        graph.add_edge("last", END)
    else:
        names = [f"n{number}" for number in range(size)]
        for name in names:
            graph.add_node(name, node())
        for one, other in zip([START, *names], [*names, END]):
            graph.add_edge(one, other)
    compiled = graph.compile()

    async def run():
        result = await compiled.ainvoke({"done": 0}, {"recursion_limit": max(100, size + 10)})
        return result["done"]

    return run


def pydantic_graph(shape, size):
    """The same with pydantic-graph; a join is no step there, so a last step counts for it."""
    from pydantic_graph import GraphBuilder, StepContext, reduce_sum

    class State:
        def __init__(self):
            self.done = 0

    graph = GraphBuilder(state_type=State, input_type=int, output_type=int)

    def step(name, milliseconds=0):
        async def run(ctx: StepContext[State, None, int]) -> int:
            if milliseconds:
                await asyncio.sleep(milliseconds / 1_000)
            ctx.state.done += 1
            return 1

        return graph.step(run, node_id=name)

    last = step("last")
    if shape == "long":
        steps = [step(f"n{number}") for number in range(size - 1)] + [last]
        for one, other in zip([graph.start_node, *steps], [*steps, graph.end_node]):
            graph.add(graph.edge_from(one).to(other))
    else:
        join = graph.join(reduce_sum, initial=0)
        if shape == "chains":
            first, ends = graph.start_node, []
            begins = []
            for chain, times in CHAINS.items():
                steps = [step(f"{chain}{place}", ms) for place, ms in enumerate(times)]
                for one, other in zip(steps, steps[1:]):
                    graph.add(graph.edge_from(one).to(other))
                begins.append(steps[0])
                ends.append(steps[-1])
        else:
            first = step("first")
            graph.add(graph.edge_from(graph.start_node).to(first))
            begins = ends = [step(f"n{number}") for number in range(size)]
        graph.add(graph.edge_from(first).to(*begins))
        graph.add(graph.edge_from(*ends).to(join))
        graph.add(graph.edge_from(join).to(last))
        graph.add(graph.edge_from(last).to(graph.end_node))
    built = graph.build()

    async def run():
        state = State()
        await built.run(state=state, inputs=0)
        return state.done

    return run


LIBRARIES = {"langgraph": langgraph, "pydantic-graph": pydantic_graph}


def expected(shape, size):
    return {"chains": 9, "wide": size + 2, "long": size}[shape]


def resident_kb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(library, shape, size, rounds, cap):
    """Runs in the case's own process; prints what it measured as JSON."""
    begun = time.perf_counter()
    # Loading the library is no part of the graph.
    tiny = LIBRARIES[library]("long", 3)
    asyncio.run(tiny())
    before = resident_kb()
    start = time.perf_counter()
    run = LIBRARIES[library](shape, size)
    build = time.perf_counter() - start

    async def all_rounds():
        times = []
        while len(times) <= rounds and (not times or time.perf_counter() - begun < cap / 2):
            start = time.perf_counter()
            done = await run()
            times.append(time.perf_counter() - start)
            if done != expected(shape, size):
                raise SystemExit(f"{done} nodes ran, not {expected(shape, size)}")
            # What is known so far, in case that the process is ended.
            print(json.dumps(report(times)), flush=True)

    def report(times):
        counted = times[1:] or times
        return {"build_s": build, "run_s": min(counted), "rounds": len(times) - 1, "memory_kb": resident_kb() - before}

    asyncio.run(all_rounds())


def case(library, shape, size, cap, rounds):
    command = [sys.executable, __file__, "--case", library, shape, str(size), str(rounds), str(cap)]
    environment = {**os.environ, "LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false"}
    try:
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=cap)
        lines, error = ended.stdout, ended.stderr.strip().splitlines()
        note = (error[-1][:100] if error else f"exit {ended.returncode}") if ended.returncode else ""
    except subprocess.TimeoutExpired as expired:
        lines, note = (expired.stdout or b"").decode(), f"ended after {cap:.0f} s"
    last = lines.strip().splitlines()[-1:]
    return {"note": note, **(json.loads(last[0]) if last else {})}


def martlet(binary, shape, size):
    """What the benchmark of Martlet prints for a shape, as `key=value` words."""
    ended = subprocess.run([binary, "measure", shape, str(size)], capture_output=True, text=True, timeout=600, check=True)
    words = dict(word.split("=", 1) for word in ended.stdout.split())
    return {"note": "", **{key: float(words[key]) for key in ("build_s", "run_s", "memory_kb")}}


def row(name, shape, size, result, base):
    nodes = expected(shape, size)
    if "run_s" not in result:
        return [name, "", "", "", "", result["note"] or "no result"]
    run = result["run_s"]
    ratio = f"{run / base['run_s']:.1f}" if base and "run_s" in base else ""
    if shape == "chains":
        cells = [f"{run * 1e3:.0f} ms", f"{run * 1e3 / CRITICAL_PATH_MS:.2f} of the critical path", ""]
    else:
        cells = [
            f"{run * 1e3:.1f} ms",
            f"{run / nodes * 1e6:.1f} µs a node",
            f"{result['memory_kb'] / nodes:.2f} KB a node",
        ]
    built = f"{result['build_s'] * 1e3:.1f} ms"
    return [name, *cells, built, " ".join(part for part in [f"{ratio}×" if ratio else "", result["note"]] if part)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--martlet", metavar="BINARY")
    parser.add_argument("--cap", type=float, default=120.0, metavar="SECONDS")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", metavar="TEXT", help="only shapes whose name has this text")
    parser.add_argument("--case", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        library, shape, size, rounds, cap = options.case
        measure(library, shape, int(size), int(rounds), float(cap))
        return
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    print(f"Python {platform.python_version()}, {versions}\n")
    print("| shape | library | run | | memory | build | Martlet is faster by |")
    print("|---|---|---|---|---|---|---|")
    shapes = [("chains", 9), *(("wide", size) for size in SIZES), *(("long", size) for size in SIZES)]
    for shape, size in shapes:
        name = shape if shape == "chains" else f"{shape} {size:,}"
        if options.only not in name:
            continue
        base = martlet(options.martlet, shape, size) if options.martlet else None
        rows = [row("Martlet", shape, size, base, None)] if base else []
        for library in LIBRARIES:
            rows.append(row(library, shape, size, case(library, shape, size, options.cap, options.rounds), base))
        for place, cells in enumerate(rows):
            print(f"| {name if place == 0 else ''} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
