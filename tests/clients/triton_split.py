"""Infers through the canary with tritonclient as it comes from PyPI, and counts the versions that answered.

usage: triton_split.py GATEWAY KEY ENDPOINT REQUESTS [keys]

With `keys` every request carries a routing key of its own, twice: the second answer must come from the same version.
"""

import collections
import concurrent.futures
import json
import sys

import numpy as np
import tritonclient.grpc as triton

THREADS = 4


def main():
    address, key, endpoint, count, *keyed = sys.argv[1:]
    client = triton.InferenceServerClient(address)
    headers = {"authorization": f"Bearer {key}"}
    assert client.is_server_live() and client.is_model_ready(endpoint, headers=headers)
    generator = np.random.default_rng(7)

    def ask(number, row):
        tensor = triton.InferInput("x", [1, 4], "FP32")
        tensor.set_data_from_numpy(row)
        sticky = {"wlp-key": f"user-{number}"} if keyed else {}
        answers = []
        for _ in range(2 if keyed else 1):
            answer = client.infer(endpoint, [tensor], headers={**headers, **sticky})
            answers.append((answer.get_response().model_version, int(answer.as_numpy("label")[0])))
        right = all(label == int(row.sum() > 0) for _, label in answers)
        return answers[0][0], right, len({version for version, _ in answers}) == 1

    def some(numbers):
        return [ask(number, rows[number : number + 1]) for number in numbers]

    signs = generator.choice([-1.0, 1.0], (int(count), 1))
    rows = (signs * generator.uniform(0.3, 1.0, (int(count), 4))).astype(np.float32)
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        parts = [range(first, int(count), THREADS) for first in range(THREADS)]
        answers = [answer for part in pool.map(some, parts) for answer in part]
    versions = collections.Counter(version for version, _, _ in answers)
    wrong = sum(not right for _, right, _ in answers)
    moved = sum(not stays for _, _, stays in answers)
    print(json.dumps({"versions": versions, "wrong": wrong, "moved": moved}))


if __name__ == "__main__":
    main()
