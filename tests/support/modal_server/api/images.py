"""Handlers of what a function is deployed with: mounts, images and secrets. Images are stored, not built."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator

from grpclib import GRPCError, Status
from modal_proto import api_pb2 as pb
from support.modal_server.api.service import Handlers


class ImageHandlers(Handlers):
    """Storing what is deployed."""

    async def mount_batched_check_existence(
        self, request: pb.MountBatchedCheckExistenceRequest
    ) -> pb.MountBatchedCheckExistenceResponse:
        missing = [digest for digest in request.sha256_hex_hashes if not self.state.path("files", digest).exists()]
        return pb.MountBatchedCheckExistenceResponse(missing_sha256_hex_hashes=missing)

    async def mount_put_file(self, request: pb.MountPutFileRequest) -> pb.MountPutFileResponse:
        from_blob = request.WhichOneof("data_oneof") == "data_blob_id"
        data = self.state.path("blobs", request.data_blob_id).read_bytes() if from_blob else request.data
        if hashlib.sha256(data).hexdigest() != request.sha256_hex:
            raise GRPCError(Status.INVALID_ARGUMENT, "sha256 does not match the data")
        self.state.path("files", request.sha256_hex).write_bytes(data)
        return pb.MountPutFileResponse(exists=True)

    async def mount_get_or_create(self, request: pb.MountGetOrCreateRequest) -> pb.MountGetOrCreateResponse:
        mount_id = self.state.new_id("mo")
        self.state.mounts[mount_id] = list(request.files)  # the client's own mounts come by name, without files
        checksum = hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()
        metadata = pb.MountHandleMetadata(content_checksum_sha256_hex=checksum)
        return pb.MountGetOrCreateResponse(mount_id=mount_id, handle_metadata=metadata)

    async def image_get_or_create(self, request: pb.ImageGetOrCreateRequest) -> pb.ImageGetOrCreateResponse:
        bases = [base.image_id for base in request.image.base_images]
        commands = "\n".join([*bases, *request.image.dockerfile_commands])
        image_id = "im-" + hashlib.sha256(commands.encode()).hexdigest()[:22]
        self.state.images[image_id] = request.image
        response = pb.ImageGetOrCreateResponse(image_id=image_id)
        if image_id in self.state.built:
            response.result.status = pb.GenericResult.GENERIC_STATUS_SUCCESS
            response.metadata.CopyFrom(self._metadata())
        return response

    async def image_join_streaming(
        self, request: pb.ImageJoinStreamingRequest
    ) -> AsyncIterator[pb.ImageJoinStreamingResponse]:
        fault = self.state.faults.failing_step
        result = pb.GenericResult(status=pb.GenericResult.GENERIC_STATUS_SUCCESS)
        for number, command in enumerate(self.state.images[request.image_id].dockerfile_commands):
            text = f"=> Step {number}: {command}\n"
            log = pb.TaskLogs(data=text, file_descriptor=pb.FILE_DESCRIPTOR_STDOUT, timestamp=time.time())
            yield pb.ImageJoinStreamingResponse(task_logs=[log], entry_id=f"{number + 1}-0")
            if fault and fault in command:
                result.status = pb.GenericResult.GENERIC_STATUS_FAILURE
                break
        else:
            self.state.built.add(request.image_id)
        yield pb.ImageJoinStreamingResponse(result=result, eof=True, entry_id="end", metadata=self._metadata())

    async def secret_get_or_create(self, request: pb.SecretGetOrCreateRequest) -> pb.SecretGetOrCreateResponse:
        values = dict(request.env_dict)
        if request.deployment_name:
            if request.deployment_name not in self.state.named_secrets:
                raise GRPCError(Status.NOT_FOUND, f"Secret '{request.deployment_name}' not found in environment 'main'")
            values = self.state.named_secrets[request.deployment_name]
        secret_id = self.state.new_id("st")
        self.state.secrets[secret_id] = values
        return pb.SecretGetOrCreateResponse(secret_id=secret_id, metadata=pb.SecretMetadata(keys=list(values)))

    def _metadata(self) -> pb.ImageMetadata:
        return pb.ImageMetadata(
            python_version_info="Python 3.11.9", image_builder_version=self.state.builder_version, workdir="/root"
        )
