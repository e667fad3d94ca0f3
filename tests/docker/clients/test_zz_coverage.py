"""Runs last: every operation of the Engine API, swarm's and plugins' apart, was called by the tests before."""

from conftest import SEEN

OPERATIONS = """
GET /_ping
HEAD /_ping
GET /version
GET /info
GET /events
GET /system/df
POST /auth
GET /containers/json
POST /containers/create
POST /containers/prune
GET /containers/{id}/json
GET /containers/{id}/top
GET /containers/{id}/logs
GET /containers/{id}/changes
GET /containers/{id}/export
GET /containers/{id}/stats
POST /containers/{id}/resize
POST /containers/{id}/start
POST /containers/{id}/stop
POST /containers/{id}/restart
POST /containers/{id}/kill
POST /containers/{id}/update
POST /containers/{id}/rename
POST /containers/{id}/pause
POST /containers/{id}/unpause
POST /containers/{id}/attach
GET /containers/{id}/attach/ws
POST /containers/{id}/wait
DELETE /containers/{id}
HEAD /containers/{id}/archive
GET /containers/{id}/archive
PUT /containers/{id}/archive
POST /containers/{id}/exec
POST /exec/{id}/start
POST /exec/{id}/resize
GET /exec/{id}/json
GET /images/json
POST /images/create
POST /images/load
POST /images/prune
GET /images/get
GET /images/search
GET /images/{id}/json
GET /images/{id}/history
GET /images/{id}/get
POST /images/{id}/push
POST /images/{id}/tag
DELETE /images/{id}
GET /distribution/{id}/json
POST /commit
POST /build
POST /build/prune
GET /networks
POST /networks/create
POST /networks/prune
GET /networks/{id}
POST /networks/{id}/connect
POST /networks/{id}/disconnect
DELETE /networks/{id}
GET /volumes
POST /volumes/create
POST /volumes/prune
GET /volumes/{id}
PUT /volumes/{id}
DELETE /volumes/{id}
"""


def test_every_operation_was_called(request):
    if request.config.args_source.name == "ARGS" and len(request.config.args) > 1:
        return
    wanted = {tuple(line.split()) for line in OPERATIONS.split("\n") if line}
    assert not sorted(wanted - SEEN)
