"""What every driver and every server of this folder agrees on: the texts, the limits, and how a result is told.

Here because the two versions of the SDK share no types, so all that the programs can share is plain data. Knows no SDK.
"""

import asyncio
import json
import sys
import traceback
import uuid

# New with each run: an agent with a workspace tells of what changed in it. Everybody else echoes the whole text.
HELLO = f"hello {uuid.uuid4()}"
WRITE_HELLO = f"write hello.txt {HELLO}"
CHUNKS = 5
STREAM = f"spam {CHUNKS}"
ASK = "input Which colour?"
ANSWER = f"blue {uuid.uuid4()}"
WRITE_ANSWER = f"write answer.txt {ANSWER}"
HANG = "hang"
# One chunk of the directive that the benches use.
BULK = "0123456789abcdef" * 4
UNKNOWN = "00000000-0000-7000-8000-000000000000"
TOKEN = "interop-token"

# Seconds for one operation. The slowest one starts a real agent process and stops it again.
LIMIT = 30


class Absent(Exception):
    """The SDK has no such operation; the message says what is missing."""


def check(condition, what):
    """Fails the operation unless `condition` holds."""
    if not condition:
        raise AssertionError(what)


def tell(op, ok, detail=""):
    """Writes one result; `ok` is None where the SDK has no such thing."""
    print(json.dumps({"op": op, "ok": ok, "detail": detail}), flush=True)


async def run(operations):
    """Runs each `(name, function)` in turn and tells how it went; without the first, the card, there is no second."""
    for number, (op, function) in enumerate(operations):
        if not await run_one(op, function) and number == 0:
            return


async def run_one(op, function):
    """Runs one operation within its limit and tells how it went; whether it succeeded."""
    try:
        detail = await asyncio.wait_for(function(), LIMIT)
    except Absent as absent:
        tell(op, None, str(absent))
    except (asyncio.TimeoutError, TimeoutError):
        tell(op, False, f"no answer within {LIMIT} s")
    except Exception as error:  # every failure of the SDK is a result here
        print(traceback.format_exc(), file=sys.stderr)
        tell(op, False, f"{type(error).__name__}: {error}"[:400])
    else:
        tell(op, True, detail or "")
        return True
    return False


def parse_directive(text):
    """Splits what a test says into `(directive, rest)`; a text without a directive is an echo."""
    word, _, rest = text.strip().partition(" ")
    if word in ("spam", "chunks", "input", "hang"):
        return word, rest
    return "echo", text
