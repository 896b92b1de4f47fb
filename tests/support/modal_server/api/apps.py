"""Handlers of client, environment and app."""

from __future__ import annotations

import time

from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from modal_proto import api_pb2 as pb
from support.modal_server.api.functions import handle_metadata
from support.modal_server.api.service import Handlers
from support.modal_server.state import App, find


class AppHandlers(Handlers):
    """Deploying, looking up and stopping apps."""

    async def client_hello(self, _request: Empty) -> pb.ClientHelloResponse:
        return pb.ClientHelloResponse(image_builder_version=self.state.builder_version)

    async def environment_get_or_create(
        self, request: pb.EnvironmentGetOrCreateRequest
    ) -> pb.EnvironmentGetOrCreateResponse:
        name = request.deployment_name or "main"
        settings = pb.EnvironmentSettings(image_builder_version=self.state.builder_version)
        return pb.EnvironmentGetOrCreateResponse(
            environment_id="en-1", metadata=pb.EnvironmentMetadata(name=name, settings=settings)
        )

    async def app_get_by_deployment_name(
        self, request: pb.AppGetByDeploymentNameRequest
    ) -> pb.AppGetByDeploymentNameResponse:
        app = self._deployed(request.name)
        return pb.AppGetByDeploymentNameResponse(app_id=app.app_id if app else "")

    async def app_create(self, request: pb.AppCreateRequest) -> pb.AppCreateResponse:
        app_id = self.state.new_id("ap")
        self.state.apps[app_id] = App(app_id, request.description, dict(request.tags), request.app_state)
        return pb.AppCreateResponse(app_id=app_id, app_page_url=f"https://modal.com/id/{app_id}")

    async def app_get_or_create(self, request: pb.AppGetOrCreateRequest) -> pb.AppGetOrCreateResponse:
        app = self._deployed(request.app_name)
        if app is None:
            raise GRPCError(Status.NOT_FOUND, f"App '{request.app_name}' not found")
        return pb.AppGetOrCreateResponse(app_id=app.app_id)

    async def app_get_layout(self, request: pb.AppGetLayoutRequest) -> pb.AppGetLayoutResponse:
        return pb.AppGetLayoutResponse(app_layout=self.state.apps[request.app_id].layout)

    async def app_get_tags(self, request: pb.AppGetTagsRequest) -> pb.AppGetTagsResponse:
        return pb.AppGetTagsResponse(tags=self.state.apps[request.app_id].tags)

    async def app_heartbeat(self, _request: pb.AppHeartbeatRequest) -> Empty:
        return Empty()

    async def app_client_disconnect(self, _request: pb.AppClientDisconnectRequest) -> Empty:
        return Empty()

    async def app_publish(self, request: pb.AppPublishRequest) -> pb.AppPublishResponse:
        app = find(self.state.apps, request.app_id, "App")
        app.name, app.state, app.tags = request.name, request.app_state, dict(request.tags)
        app.commit_info = request.commit_info if request.HasField("commit_info") else None
        app.layout = self._layout(request)
        return pb.AppPublishResponse(url=f"https://modal.com/id/{app.app_id}", deployed_at=time.time())

    async def app_stop(self, request: pb.AppStopRequest) -> Empty:
        find(self.state.apps, request.app_id, "App").state = pb.APP_STATE_STOPPED
        return Empty()

    def _deployed(self, name: str) -> App | None:
        apps = reversed(self.state.apps.values())
        return next((app for app in apps if app.name == name and app.state == pb.APP_STATE_DEPLOYED), None)

    def _layout(self, request: pb.AppPublishRequest) -> pb.AppLayout:
        layout = pb.AppLayout(function_ids=request.function_ids)
        for function_id in request.function_ids.values():
            layout.objects.add(object_id=function_id, function_handle_metadata=handle_metadata(self.state, function_id))
            for needed in self.state.functions[function_id].definition.object_dependencies:
                if needed.object_id not in {known.object_id for known in layout.objects}:
                    layout.objects.add(object_id=needed.object_id)
                if needed.object_id.startswith("vo-"):
                    layout.objects[-1].volume_metadata.version = pb.VOLUME_FS_VERSION_V2
        return layout
