"""Which queues each box of a drawing stands for, so that a drawing can show what happens there."""

from collections.abc import Iterator
from dataclasses import replace

from compose.flow import Flow, Step
from compose.plan import REDUCE_QUEUE, IndexPlan, Plan
from compose.render.drawing import draw
from compose.routing import Graph, Node, is_layered, route


def queues_of_boxes(flow: Flow, plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return the queues behind each box of ``draw(flow)``, by the box's id.

    A shard has its own queue, replicas of a step share theirs, a router that merges is the queue
    of reductions; boxes without a queue (the frontend, routers that are a queue's own) are absent.
    """
    named = {box.id for box in draw(flow).boxes}
    pairs = _layered(flow, plan) if is_layered(flow) else _free(flow, plan)
    return {box: queues for box, queues in pairs if box in named and queues}


def resized(flow: Flow, plan: Plan) -> Flow:
    """Return the flow with as many shards as the plan says: their number may have been changed."""
    shards = {index.name: index.shards for index in plan.indexes}
    steps = (
        replace(step, shards=shards[step.id.lower()], replicas=step.index_replicas)
        if step.service == "Indexer" and step.id.lower() in shards
        else step
        for step in flow.steps
    )
    return replace(flow, steps=tuple(steps))


def _layered(flow: Flow, plan: Plan) -> Iterator[tuple[str, tuple[str, ...]]]:
    graph = route(flow)
    merging = _merging(graph)
    for node in graph.nodes:
        for replica in range(node.replicas):
            name = node.id if node.replicas == 1 else f"{node.id}_{replica}"
            yield name, (REDUCE_QUEUE,) if node.id in merging else _behind(node, replica, plan)


def _merging(graph: Graph) -> set[str]:
    """Return the routers that merge what shards answer; others of their kind only hand on."""
    merging: set[str] = set()
    for edge in graph.edges:  # they stand in the order of their targets
        is_after = edge.source.service == "Indexer" or edge.source.id in merging
        if is_after and "Reduce" in edge.target.router:
            merging.add(edge.target.id)
    return merging


def _behind(node: Node, replica: int, plan: Plan) -> tuple[str, ...]:
    if node.step is None:
        return ()
    index = _index_of(node.step, plan)
    return (index.queue(replica),) if index else _stage_queue(node.step, plan)


def _free(flow: Flow, plan: Plan) -> Iterator[tuple[str, tuple[str, ...]]]:
    for step in flow.steps:
        index = _index_of(step, plan)
        yield step.id, index.queues() if index else _stage_queue(step, plan)


def _index_of(step: Step, plan: Plan) -> IndexPlan | None:
    if step.service != "Indexer":
        return None
    return next((index for index in plan.indexes if index.name == step.id.lower()), None)


def _stage_queue(step: Step, plan: Plan) -> tuple[str, ...]:
    return next(((stage.queue,) for stage in plan.stages if stage.name == step.id), ())
