"""Start the API the way its users do, talk to it once, stop it."""

import json
import subprocess
import sys
from urllib.request import Request, urlopen

command = [sys.executable, "-B", "-m", "users_api", "--port", "0", "--database", ":memory:"]
with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as api:
    try:
        url = api.stdout.readline().split()[-1]
        ada = json.dumps({"name": "Ada", "email": "ada@example.com"}).encode()
        for request in (Request(url, ada, method="POST"), Request(url)):
            with urlopen(request, timeout=5) as answer:
                print(request.get_method(), answer.status, answer.read().decode())
    finally:
        api.terminate()
