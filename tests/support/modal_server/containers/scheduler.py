"""Starts and ends containers: as many as a function may have, each taking inputs until none waits."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress

from modal_proto import api_pb2 as pb
from support.modal_server.containers import memory, sandbox
from support.modal_server.state import SUCCESS, TERMINATED, TIMEOUT, Function, Input, State, Task

DEFAULT_CONTAINERS = 2  # where the function sets no limit
PREEMPTION_TIMEOUT_S = 5.0


class Scheduler:
    """Gives inputs to containers."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.background: set[asyncio.Task[None]] = set()

    def queue(self, item: Input) -> None:
        """Queue an input for the next free container."""
        item.call.function.waiting.append(item)
        self.scale(item.call.function)

    def scale(self, function: Function) -> None:
        """Start as many containers as the function needs and may have."""
        limit = function.definition.autoscaler_settings.max_containers or DEFAULT_CONTAINERS
        running = sum(task.function is function for task in self.state.tasks.values())
        if self.state.faults.no_capacity:
            return
        for _ in range(min(limit - running, len(function.waiting))):
            task_id = self.state.new_id("ta")
            task = Task(task_id, function, self.state.path("tasks", task_id))
            self.state.tasks[task_id] = task
            self._spawn(task)

    def next_input(self, task: Task) -> Input | None:
        """Return a container's next input; None when it shall end."""
        if (
            task.preempted
            or not task.function.waiting
            or (task.used and task.function.definition.single_use_containers)
        ):
            return None
        task.used = True
        task.current = task.function.waiting.popleft()
        task.current.task_id = task.task_id
        timeout = task.function.definition.timeout_secs
        asyncio.get_running_loop().call_later(timeout, self._time_out, task, task.current)
        return task.current

    def put_output(self, task: Task, result: pb.GenericResult, data_format: int) -> None:
        """Take a container's output: the input has ended, or gets another attempt."""
        item, task.current = task.current, None
        if item is None:
            return
        policy = task.function.definition.retry_policy
        retryable = result.status not in {SUCCESS, TERMINATED}
        if retryable and item.retries < policy.retries:
            item.retries += 1
            self.queue(item)
        else:
            item.finish(result, data_format)

    def cancel(self, item: Input, *, terminate: bool) -> None:
        """Cancel an input: at once if it waits, through its container if it runs."""
        task = self.state.tasks.get(item.task_id)
        if item in item.call.function.waiting:
            item.call.function.waiting.remove(item)
            item.end(TERMINATED, "Input was cancelled by user")
        elif task and not terminate:
            task.cancelled.set()
        else:
            item.end(TERMINATED, "Input was cancelled by user")
            if task:
                sandbox.kill(task)

    def lose(self, task: Task, result: pb.GenericResult | None) -> None:
        """Kill a container, as a machine that breaks; ``result`` becomes the output of its input."""
        task.lost = result or task.lost
        sandbox.kill(task)

    def preempt(self, task: Task) -> None:
        """Preempt a container: its input goes to another one, and no retry is counted."""
        task.preempted = True
        sandbox.interrupt(task)
        asyncio.get_running_loop().call_later(PREEMPTION_TIMEOUT_S, sandbox.kill, task)

    async def close(self) -> None:
        """End every container."""
        self.state.faults.no_capacity = True
        for task in list(self.state.tasks.values()):
            sandbox.kill(task)
        await asyncio.gather(*self.background, return_exceptions=True)

    def _spawn(self, task: Task) -> None:
        running = asyncio.get_running_loop().create_task(self._run(task))
        self.background.add(running)
        running.add_done_callback(self.background.discard)

    def _time_out(self, task: Task, item: Input) -> None:
        if task.current is item:
            message = (
                f"Task's current input {item.input_id} hit its timeout of {task.function.definition.timeout_secs}s"
            )
            self.put_output(task, pb.GenericResult(status=TIMEOUT, exception=message), 0)
            sandbox.kill(task)

    async def _run(self, task: Task) -> None:
        task.process = await sandbox.start(self.state, task)
        out, err = task.process.stdout, task.process.stderr
        if out and err:
            await asyncio.gather(
                self._copy(task, out, pb.FILE_DESCRIPTOR_STDOUT), self._copy(task, err, pb.FILE_DESCRIPTOR_STDERR)
            )
        await task.process.wait()
        sandbox.kill(task)  # processes that its main process left behind
        del self.state.tasks[task.task_id]
        shutil.rmtree(task.folder, ignore_errors=True)
        memory.remove_group(task.task_id)
        if task.preempted and task.current:
            task.function.waiting.appendleft(task.current)
        elif task.current:
            self.put_output(task, task.lost, 0)
        self.scale(task.function)

    async def _copy(self, task: Task, stream: asyncio.StreamReader, descriptor: pb.FileDescriptor.ValueType) -> None:
        with suppress(ValueError):
            while chunk := await stream.read(65536):
                self.state.log(task, chunk.decode("utf-8", "replace"), descriptor)
