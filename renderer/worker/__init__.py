r"""The worker: runs units of a job, the same way on this machine, in a Kubernetes pod and in a Modal container.

``python -I -m renderer.worker`` unpacks the bundle, runs each unit in a child process and writes for each
``OUTPUT/INDEX/files/…``, ``log.txt`` and, last, ``result.json`` (see backends.worker_protocol). What the units print
goes to stdout as well, with Open Job Description lines for progress and failure.

To run one unit by hand, take the payload and the bundle of a local job from its folder. That is
~/.local/state/manim-renderer/jobs/ID for the handle local://ID; the bundle is there until the job has ended:

    RENDERER_LOG=debug python -I -m renderer.worker \
        --task ID/inputs/task.json --bundle ID/inputs/bundle.tar.gz --output /tmp/out --unit 0
    cat /tmp/out/0/log.txt /tmp/out/0/result.json

A unit whose result.json in OUTPUT says that it succeeded is not run again: choose another OUTPUT, or remove it. The
exit code is that of the first unit that failed (see backends.exit_codes).
"""
