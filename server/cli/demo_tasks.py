"""Problems of the demo's kind, held out from its training."""

from models.training.demo.tasks.stream import held_out_problems
from search.evaluation.tasks import Task


def demo_tasks(seed: int, count: int) -> list[Task]:
    """Return problems of the demo's kind that it was not trained on."""
    return [Task(task.problem, task.answer, task.level) for task in held_out_problems(seed, count)]
