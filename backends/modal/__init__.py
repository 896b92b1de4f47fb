"""Runs jobs at Modal: deploys one function, and calls it for each job. Imports the package ``modal`` only when needed.

The steps of a submit: ``request`` plans the call, without network or disk. ``deploy.deployment`` checks whether the
function is deployed and current; if not, ``deploy.deploy_script`` deploys it in a separate process. ``volume`` uploads
the inputs, ``spawn`` calls the function. At Modal, the function (``deploy.render_function``) runs the worker; for a
scene in shards, a second function (``deploy.shard_function``) calls it.

Later, ``calls`` asks Modal about the call, ``observe`` turns the answers into states, outcomes and log lines, and
``call_store`` keeps them. ``session`` sets a time limit for every request to Modal, ``errors`` translates errors.
"""
