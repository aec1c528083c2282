"""An application of FastAPI whose routes are for the peers that one pattern names."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI, WebSocket

from tests.operate.callers import ADMIN
from veritls import SPIFFE
from veritls.serving import Peer, require_peer

admins = require_peer(SPIFFE(ADMIN))
Admin = Annotated[Peer, Depends(admins)]

app = FastAPI()


@app.get("/decorated/{number}")
@admins
async def decorated(number: int, word: str = "x") -> dict[str, Any]:
    return {"number": number, "word": word}


@app.post("/body")
@admins
def body(entries: dict[str, Any]) -> dict[str, Any]:
    return entries


@app.get("/dependency")
async def dependency(peer: Admin) -> dict[str, Any]:
    return {"spiffe": peer.spiffe_id}


@app.get("/listed", dependencies=[Depends(require_peer())])
async def listed() -> dict[str, Any]:
    return {}


@app.websocket("/socket")
async def socket(websocket: WebSocket, peer: Admin) -> None:
    await websocket.accept()
    await websocket.send_text(peer.spiffe_id or "")
    await websocket.close()
