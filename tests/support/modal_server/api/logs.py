"""Handlers of logs: followed live, or fetched for a span of time."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator

from modal_proto import api_pb2 as pb
from support.modal_server.api.service import Handlers
from support.modal_server.state import LogItem

LogRequest = pb.AppGetLogsRequest | pb.AppCountLogsRequest | pb.AppFetchLogsRequest


class LogHandlers(Handlers):
    """Reading logs."""

    async def app_get_logs(self, request: pb.AppGetLogsRequest) -> AsyncIterator[pb.TaskLogsBatch]:
        position = int(request.last_entry_id.partition("-")[0] or 0)
        end = time.monotonic() + (request.timeout or 55)
        while True:
            arrived = self.state.new_logs
            for found in self.state.logs[position:]:
                position += 1
                if _matches(found, request):
                    yield found.batch
            left = end - time.monotonic()
            if left <= 0:
                return
            try:
                await asyncio.wait_for(arrived.wait(), left)
            except TimeoutError:
                return

    async def app_count_logs(self, request: pb.AppCountLogsRequest) -> pb.AppCountLogsResponse:
        step = max(request.bucket_secs, 1)
        counted = Counter(int(found.item.timestamp // step) for found in self._between(request))
        response = pb.AppCountLogsResponse(app_id=request.app_id)
        for bucket, count in sorted(counted.items()):
            response.buckets.add(stdout_logs=count).bucket_start_at.FromSeconds(bucket * step)
        return response

    async def app_fetch_logs(self, request: pb.AppFetchLogsRequest) -> pb.AppFetchLogsResponse:
        found = [item.batch for item in self._between(request)]
        return pb.AppFetchLogsResponse(batches=found[-(request.limit or 20000) :])

    def _between(self, request: pb.AppCountLogsRequest | pb.AppFetchLogsRequest) -> list[LogItem]:
        since, until = request.since.ToNanoseconds(), request.until.ToNanoseconds()
        return [
            found for found in self.state.logs if _matches(found, request) and since <= found.item.timestamp_ns <= until
        ]


def _matches(found: LogItem, request: LogRequest) -> bool:
    call = found.item.function_call_id
    return found.app_id == request.app_id and request.function_call_id in {"", call}
